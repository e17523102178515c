"""Facts on one run: confusion, classes, groups, mistakes, curves, calibration, what made it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from emo.errors import EmoError
from emo.heads.metrics.measures import title_of
from emo.heads.metrics.retrieval import rank_intervals
from emo.heads.runs.command_lines import commands_of
from emo.heads.runs.comparing.scored_run import ScoredRun
from emo.heads.runs.files import known_number
from emo.heads.runs.ranks import has_ranks, read_ranks
from emo.heads.runs.show import show_run
from emo.machine.table import with_spread
from emo.report.adaptation import is_adapted
from emo.report.context import Context
from emo.report.group import Group
from emo.report.names import replaced, without_folders
from emo.report.rows import RunRows
from emo.report.sections.calibration import Reliability, reliability_of
from emo.report.sections.cards import MistakeCard, cards_of
from emo.report.sections.draw import Drawing
from emo.report.sections.groups import GroupTable, group_tables
from emo.report.sections.pictures import curves_drawing, map_drawings, numbers_drawing
from emo.report.sections.trials import best_trials
from emo.report.sections.where import run_tokens

MOST_MATRIX = 40
"""Largest number of classes whose confusion is a table."""
MOST_CLASS_ROWS = 60
"""Largest number of classes in the table of classes, the commonest ones."""


@dataclass(frozen=True)
class ConfusionCell:
    """Rows of one true and one predicted class."""

    count: float
    """Number of rows, as the mean over seeds."""
    share: float
    """Share of the rows of the true class."""


@dataclass(frozen=True)
class ConfusionTable:
    """Rows by true class (lines) and predicted class (columns)."""

    names: tuple[str, ...]
    """Names of the classes."""
    totals: tuple[int, ...]
    """Rows of each true class."""
    cells: tuple[tuple[ConfusionCell, ...], ...]
    """One tuple for each true class."""


@dataclass(frozen=True)
class ClassRow:
    """Scores of one class, as in ``run.json``."""

    name: str
    """Name of the class."""
    clips: int
    """Number of its rows."""
    predicted: float
    """Rows that were predicted as it, as the mean over seeds."""
    precision: float
    """Precision."""
    recall: float
    """Recall."""
    f1: float
    """F1."""


@dataclass(frozen=True)
class RankScore:
    """One score of a retrieval, as `emo score --metric retrieval` gives it."""

    title: str
    """Title of the score, such as ``R@5``."""
    score: float
    """The score, from query to item."""
    interval: tuple[float, float]
    """95 % interval, drawn over items."""


@dataclass(frozen=True)
class FoldRow:
    """One fold of a cross-validation."""

    name: str
    """Name of the fold."""
    clips: int
    """Number of its scored clips."""
    scores: Mapping[str, str]
    """Title of a score -> mean and spread."""


@dataclass(frozen=True, eq=False)
class RunFacts:
    """Facts on one run and target."""

    name: str
    """Name of the run."""
    confusion: ConfusionTable | None
    """Confusion; None: numbers, several labels or very many classes."""
    classes: tuple[ClassRow, ...]
    """Scores by class; empty for numbers."""
    classes_left_out: int
    """Number of classes that the table leaves out."""
    groups: tuple[GroupTable, ...]
    """Results by the values of columns."""
    cards: tuple[MistakeCard, ...]
    """The most confident mistakes, or the largest errors of numbers."""
    numbers: Drawing | None
    """Predicted against true numbers."""
    curves: tuple[Drawing, ...]
    """Loss and score on val by round."""
    curves_note: str
    """Why there are no curves; empty: there are."""
    calibration: Reliability | None
    """Whether probabilities are shares of right predictions; None: no probabilities of classes."""
    maps: tuple[Drawing, ...]
    """Clips in two dimensions."""
    ranks: tuple[RankScore, ...]
    """Scores of a retrieval; empty: it is none."""
    trials: tuple[Mapping[str, str], ...]
    """The best trials of a search, a mapping of column -> cell each."""
    trials_count: int
    """Number of trials of the search."""
    folds: tuple[FoldRow, ...]
    """Folds of a cross-validation."""
    made: Mapping[str, list[tuple[str, str]]]
    """What made the run: title of a section -> its lines, see `emo show`."""
    commands: tuple[str, ...]
    """Commands that make the run again; empty: they are not known."""
    is_adapted: bool
    """Whether `emo adapt` made it, whose options are in ``adapt.json``."""
    question: str
    """Hash of options and clips, which the commands give again."""


def run_facts(group: Group, run: ScoredRun, context: Context) -> RunFacts:
    """Return the facts on one run of a group."""
    rows = group.rows[run.path]
    classes, tokens = _classes(run), run_tokens(rows, context)
    curves, note = curves_drawing(run)
    return RunFacts(
        context.run_names[run.path], _confusion(rows), classes[:MOST_CLASS_ROWS],
        max(0, len(classes) - MOST_CLASS_ROWS), group_tables(rows, context),
        cards_of(rows, context, tokens), numbers_drawing(rows), curves,
        note, reliability_of(rows), map_drawings(rows, context, tokens),
        _ranks(run), *best_trials(run.path), _folds(run, context),
        _made(run, context), _commands(run), is_adapted(run.path),
        str(run.document.get("question") or ""),
    )  # fmt: skip


def _confusion(rows: RunRows) -> ConfusionTable | None:
    """Return the confusion as a table; None: there is none, or its classes are too many."""
    if rows.task not in ("classify", "pairs") or len(rows.names) > MOST_MATRIX:
        return None
    counts = rows.confusion.copy()
    if rows.task == "pairs":
        counts[0, 0] = np.nan  # pairs that neither the label nor the head names: nearly all
    totals = np.nansum(counts, 1)
    shares = counts / np.maximum(totals, 1)[:, None]
    return ConfusionTable(
        tuple(name or "(no tokens)" for name in rows.names),
        tuple(round(total) for total in totals.tolist()),
        tuple(
            tuple(ConfusionCell(float(c), float(s)) for c, s in zip(line, share, strict=True))
            for line, share in zip(counts, shares, strict=True)
        ),
    )


def _classes(run: ScoredRun) -> tuple[ClassRow, ...]:
    """Return the scores of each class from ``run.json``; of many the commonest first."""
    found = [
        ClassRow(name, round(each["clips"]), *(known_number(each[score]) for score in
                 ("predicted", "precision", "recall", "f1")))
        for name, each in run.metrics.get("classes", {}).items()
    ]  # fmt: skip
    if len(found) > MOST_CLASS_ROWS:
        found.sort(key=lambda row: (-row.clips, row.name))
    return tuple(found)


def _folds(run: ScoredRun, context: Context) -> tuple[FoldRow, ...]:
    """Return a row for each fold of a cross-validation."""
    rows = []
    for fold in run.document.get("folds", {}).get("each", ()):
        found = fold.get("metrics", {}).get(run.target.name) or {}
        scores = {
            title_of(name): with_spread(
                known_number(value), known_number(found["std"][name]), len(found["seeds"])
            )
            for name, value in found.get("mean", {}).items()
        }
        name = context.names.of("fold", str(fold.get("name", "")))
        rows.append(FoldRow(name, int(found.get("clips", 0)), scores))
    return tuple(rows)


def _ranks(run: ScoredRun) -> tuple[RankScore, ...]:
    """Return the scores of a retrieval from ``ranks.csv``; empty: the run is none."""
    if not has_ranks(run.path):
        return ()
    ranks = read_ranks(run.path)
    ends = rank_intervals(ranks.counts, ranks.groups)
    return tuple(
        RankScore(title_of(name), value, ends[name])
        for name, value in ranks.counts.scores().items()
    )


def _made(run: ScoredRun, context: Context) -> Mapping[str, list[tuple[str, str]]]:
    """Return what `emo show` says of the run, without its commands; empty: too little is known."""
    try:
        found = show_run(run.path)
    except EmoError:  # a retrieval has no options of a fit
        return {}
    found.pop("commands", None)
    found = {title: lines for title, lines in found.items() if "since then" not in title}
    shown: dict[str, list[tuple[str, str]]] = {}
    for number, (title, lines) in enumerate(found.items()):
        title = "the fit" if number == 0 else title
        kept = [
            (name, text) for name, text in lines if " on " not in f" {name} " and ", " not in name
        ]
        shown[title] = [(name, replaced(text, context.run_names)) for name, text in kept]
    return shown


def _commands(run: ScoredRun) -> tuple[str, ...]:
    """Return the commands that make the run again; empty: they are not known."""
    if is_adapted(run.path):  # the commands in run.json fit the head to the base's weights
        return ()
    asked: Any = run.document.get("asked")
    is_known = isinstance(asked, list) and all(isinstance(line, str) for line in asked)
    if is_known and "folds" in run.document:  # earlier versions wrote no --cv into them
        is_known = any("--cv" in line for line in asked)
    if is_known:
        return tuple(map(without_folders, asked))
    try:
        return tuple(map(without_folders, commands_of(run.document, relative=True)))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return ()
