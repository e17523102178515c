"""Rank the runs that were scored on the same rows, and say in one sentence what they show."""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emo.errors import FitError, plural
from emo.heads.metrics.measures import HEADLINES, title_of
from emo.heads.runs.comparing.ablated import marks_of
from emo.heads.runs.comparing.baseline import BaselineTests, against_baseline, shown_p
from emo.heads.runs.comparing.compare import Comparison
from emo.heads.runs.comparing.formats import to_latex, to_markdown
from emo.heads.runs.comparing.paired_bootstrap import paired_bootstrap
from emo.heads.runs.comparing.paired_ranks import are_ranked
from emo.heads.runs.comparing.records import tables_of
from emo.heads.runs.comparing.scored_run import ScoredRun
from emo.heads.runs.files import known_number
from emo.machine.table import fold_streams
from emo.report.group import Group, by_split
from emo.report.rows import DECIMALS, number_text
from emo.report.sections.val_choice import chosen_by_val

_NUMBER = tuple[float, float]


@dataclass(frozen=True)
class RankRow:
    """One line of the ranking."""

    name: str
    """Name of the run, or of one of its variants without some streams."""
    head: str
    """Name of the head."""
    streams: str
    """Streams that it reads, in words."""
    marks: tuple[bool, ...]
    """For an ablation, whether it reads each stream of :attr:`BoardFacts.streams`; else empty."""
    mean: float
    """Headline score, as the mean over seeds."""
    std: float
    """Standard deviation of the headline score over seeds."""
    interval: _NUMBER | None
    """95 % interval; None: not known."""
    seeds: tuple[float, ...]
    """Headline score of each seed."""
    others: Mapping[str, float]
    """Title of each other score -> its mean."""
    val: float | None = None
    """Headline score on val; None: not known."""
    baseline: float | None = None
    """Headline score of the most frequent class, or of the mean; None: not known."""
    kind: str = "run"
    """``run``; ``missing``: a run without some streams; ``frozen``: before an adaptation."""
    number: int = -1
    """Number of the run in the order of the ranking; -1: it is no run of its own."""


@dataclass(frozen=True)
class DifferenceRow:
    """The difference of a run from the first run that was named."""

    name: str
    """Name of the run."""
    change: float
    """Difference of the headline score."""
    interval: _NUMBER
    """95 % interval of the difference."""
    p: str
    """p value, in words."""
    corrected: str
    """p value corrected for the number of tests, in words."""

    @property
    def contains_zero(self) -> bool:
        """Whether the interval contains 0."""
        return self.interval[0] <= 0 <= self.interval[1]


@dataclass(frozen=True)
class BoardFacts:
    """The ranking of the runs that were scored on the same rows of one target."""

    target: str
    """Name of the target."""
    task: str
    """Kind of target."""
    classes: tuple[str, ...]
    """Classes that the first run learnt."""
    headline: str
    """Title of the score that ranks."""
    is_lower_better: bool
    """Whether the score is an error."""
    scored_on: str
    """Split or folds, in words."""
    rows: int
    """Number of scored rows."""
    unit: str
    """Word for a row: ``clip``, ``pair`` or ``query``."""
    drawn: str
    """What intervals are drawn over, in words such as ``280 dialogues``."""
    verdict: str
    """What the runs show, in a sentence or two."""
    ranking: tuple[RankRow, ...]
    """A line for each run and variant, the best run first."""
    streams: tuple[str, ...]
    """Streams of an ablation; else empty."""
    first: str
    """Name of the run that the others are compared with."""
    differences: tuple[DifferenceRow, ...]
    """Differences from the first run; empty: there is one run."""
    difference_words: str
    """How differences were drawn and p values corrected."""
    chosen_by_val: str
    """Name of the run that val would have chosen; empty: not known, or one run."""
    latex: str
    """The ranking as a LaTeX table."""
    markdown: str
    """The ranking as a Markdown table."""
    decimals: int = DECIMALS
    """Number of decimals of the headline score."""

    @property
    def units(self) -> str:
        """Plural of :attr:`unit`."""
        return "queries" if self.unit == "query" else f"{self.unit}s"

    @property
    def counted(self) -> str:
        """Number of rows with its word, such as ``2,610 clips``."""
        return f"{self.rows:,} {self.unit if self.rows == 1 else self.units}"

    @property
    def scale(self) -> _NUMBER:
        """Ends of the axis on which scores and intervals are drawn."""
        found = [
            number for row in self.ranking
            for number in (row.mean, *(row.interval or ()), *row.seeds, row.baseline or row.mean)
            if math.isfinite(number)
        ]  # fmt: skip
        return rounded_ends(found)

    @property
    def difference_scale(self) -> _NUMBER:
        """Ends of the axis on which differences are drawn; it contains 0."""
        found = [end for row in self.differences for end in (*row.interval, row.change)]
        return rounded_ends([0.0, *(end for end in found if math.isfinite(end))])


def board_facts(
    group: Group, names: Mapping[Path, str], frozen: Mapping[Path, Mapping[str, Any]]
) -> BoardFacts:
    """Return the ranking of a group, its differences and its sentence.

    Args:
        group: the runs.
        names: name of each run on the page.
        frozen: for adapted runs, scores by target and split of the same head on frozen backbones.
    """
    ranked, first = group.ranked, group.runs[0]
    tests = _tests(group)
    comparison = Comparison(ranked, None, (), group.over, tests)
    (table,) = tables_of(comparison)
    rows: list[RankRow] = []
    for number, (run, record) in enumerate(zip(ranked, table.records, strict=True)):
        marks = tuple(bool(mark) for mark in marks_of(run, table.streams).values())
        ends = (record["low"], record["high"])
        rows.append(_row(run, names[run.path], run.metrics, ends, marks, number))
        rows += _variants(run, names[run.path], frozen.get(run.path, {}), group.over)
    drawn = group.drawn(ranked[0])
    return BoardFacts(
        first.target.name, first.target.task, first.target.classes, title_of(table.headline),
        table.is_lower_better, str(ranked[0].row()["scored on"]), len(group.rows[first.path]),
        "query" if are_ranked(first) else "pair" if first.target.task == "pairs" else "clip",
        drawn, _verdict(group, names, drawn), tuple(rows), table.streams, names[first.path],
        _differences(tests, names), _difference_words(tests, names[first.path]),
        names.get(chosen.path, "") if (chosen := chosen_by_val(group).run) else "",
        to_latex(comparison, names=names), to_markdown(comparison, names=names),
        group.rows[first.path].decimals,
    )  # fmt: skip


def _row(
    run: ScoredRun, name: str, found: Mapping[str, Any], interval: Sequence[float | None] | None,
    marks: tuple[bool, ...] = (), number: int = -1, kind: str = "run",
) -> RankRow:  # fmt: skip
    """Return a line of the ranking from scores as they are in ``run.json``."""
    headline = HEADLINES[run.target.task]
    val = by_split(run).get("val", {}).get("mean", {}).get(headline) if run.split != "val" else None
    ends = None if interval is None else tuple(map(known_number, interval))
    return RankRow(
        name, str(run.document["head"]["name"]), fold_streams([*run.document["streams"]]), marks,
        known_number(found["mean"][headline]), known_number(found["std"][headline]),
        None if ends is None else (ends[0], ends[1]),
        tuple(known_number(each.get(headline)) for each in found["seeds"].values()),
        {title_of(key): known_number(value) for key, value in found["mean"].items()
         if key != headline},
        val if kind == "run" else None, found.get("majority", {}).get(headline), kind, number,
    )  # fmt: skip


def _tests(group: Group) -> BaselineTests | None:
    """Return the differences of the runs from the first one; None: there is one run.

    They are drawn as the intervals are, or over dialogues or clips where the column is not known.
    """
    if len(group.runs) == 1:
        return None
    try:
        return against_baseline(group.runs[0], group.ranked, over=group.over)
    except FitError:
        return against_baseline(group.runs[0], group.ranked)


def _variants(run: ScoredRun, name: str, frozen: Mapping[str, Any], over: str) -> list[RankRow]:
    """Return the lines of a run without some streams, and of the same head on frozen backbones.

    They have no interval if theirs is drawn over something else than ``over``.
    """
    headline, rows = HEADLINES[run.target.task], []
    is_same = run.document.get("drawn") == run.drawn_over(over)
    for variant, scores in run.document.get("missing", {}).get(run.target.name, {}).items():
        found = scores[run.split]
        ends = found.get("interval", {}).get(headline) if is_same else None
        rows.append(_row(run, f"{name} {variant}", found, ends, kind="missing"))
    found = frozen.get(run.target.name, {}).get(run.split)
    if found:
        ends = found.get("interval", {}).get(headline) if is_same else None
        rows.append(_row(run, f"{name}, backbone frozen", found, ends, kind="frozen"))
    return rows


def _differences(
    tests: BaselineTests | None, names: Mapping[Path, str]
) -> tuple[DifferenceRow, ...]:
    """Return the differences from the first run."""
    return tuple(
        DifferenceRow(
            names[test.run.path], test.difference.second - test.difference.first,
            test.difference.interval, shown_p(test.difference.p), shown_p(test.corrected),
        )
        for test in (tests.tests if tests else ())
    )  # fmt: skip


def _difference_words(tests: BaselineTests | None, first: str) -> str:
    """Return how the differences were drawn."""
    if tests is None:
        return ""
    drawn = " or ".join(dict.fromkeys(test.paired.drawn for test in tests.tests))
    return (
        f"Each run less {first}, the first that was named. Paired bootstrap over {drawn}: both "
        f"runs are scored on the same resamples. p is corrected by Holm's method for "
        f"{plural(len(tests.tests), 'test')}. The interval does not cover the choice of seeds."
    )


def _verdict(group: Group, names: Mapping[Path, str], drawn: str) -> str:
    """Return what the runs show, in one sentence for the best, and one for its lead."""
    ranked, target = group.ranked, group.target
    best, headline = ranked[0], HEADLINES[target.task]
    low, high = best.interval(group.over)
    mean, seeds = known_number(best.metrics["mean"][headline]), len(best.metrics["seeds"])
    what = f"{title_of(headline)} on {best.row()['scored on']}"
    of_seeds = f", mean of {seeds} seeds" if seeds > 1 else ", one seed"
    shown = functools.partial(number_text, decimals=group.rows[best.path].decimals)
    ends = f"{shown(known_number(low))} to {shown(known_number(high))}"
    number = f"{shown(mean)} (95 % interval {ends} over {drawn}{of_seeds})"
    guess = best.metrics.get("majority", {}).get(headline)
    word = "the mean of train" if target.task == "regress" else "the most frequent class"
    word = "no label at all" if target.task == "multilabel" else word
    against = "" if guess is None else f"; always predicting {word} gives {shown(guess)}"
    if len(ranked) == 1:
        article = "an" if what[0] in "aAM" else "a"
        return f"{names[best.path]} reaches {article} {what} of {number}{against}."
    kind = "lowest" if target.task == "regress" else "highest"
    sentence = f"{names[best.path]} has the {kind} {what}: {number}{against}."
    try:
        paired = paired_bootstrap(ranked[1], best, over=group.over)
    except FitError:  # as in the differences
        paired = paired_bootstrap(ranked[1], best)
    found = paired.differences[headline]
    ends = " to ".join(shown(end, sign="+") for end in found.interval)
    lead = f"Its difference from the next run, {names[ranked[1].path]}, is "
    lead += f"{shown(found.second - found.first, sign='+')} ({ends}): "
    lead += (
        "the interval contains 0, so these clips do not tell which is better."
        if found.contains_zero
        else "the interval does not contain 0."
    )
    return f"{sentence} {lead}"


def rounded_ends(numbers: Sequence[float]) -> _NUMBER:
    """Return ends of an axis around some numbers, at multiples of a step of 1, 2 or 5."""
    low, high = (min(numbers), max(numbers)) if numbers else (0.0, 1.0)
    step = _step((high - low) or max(abs(high), 0.1))
    return math.floor(low / step) * step, math.ceil(high / step) * step


def _step(width: float) -> float:
    """Return 1, 2 or 5 times a power of ten, so that an axis has about five steps."""
    power = 10 ** math.floor(math.log10(width / 5))
    return float(next(k * power for k in (1, 2, 5, 10) if k * power >= width / 5 * 0.999))


def ticks_of(ends: _NUMBER) -> list[float]:
    """Return the numbers that are written below an axis.

    >>> ticks_of((0.0, 0.5))
    [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    """
    step = _step((ends[1] - ends[0]) or 1)
    first = math.ceil(ends[0] / step - 1e-9)
    count = int(np.floor(ends[1] / step + 1e-9)) - first + 1
    return [round((first + k) * step, 10) for k in range(count)]
