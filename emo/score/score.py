"""`emo score`: score a file, a run, or all files and runs in a folder, and rank them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emo.errors import EmoError, ScoreError, listed
from emo.heads.runs.files import check_probabilities, kept_columns, read_document
from emo.manifest.rows import TextTable
from emo.manifest.spreadsheet import table_file
from emo.score.answers import (
    IDS,
    answers_of,
    check_cells,
    find_column,
    read_table,
)
from emo.score.check import check_gold, check_labels
from emo.score.choose import allowed_classes, classes_of_runs, metric_for, usual_metric
from emo.score.columns import ColumnsRead, prediction_column
from emo.score.conversations import score_conversations
from emo.score.gold import Gold, read_gold
from emo.score.metrics import Metric, find_metric, score_cells
from emo.score.report import Scored, ScoreReport
from emo.score.run_folder import answers_of_run, is_run, target_of

FILE_ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx")
"""Extensions of files of predictions."""
_UNREADABLE = (EmoError, OSError, ValueError, KeyError, TypeError)
"""Exceptions that mean: this file or run cannot be scored."""


@dataclass(frozen=True)
class ScoreOptions:
    """Options of `emo score`."""

    metric: str | None = None
    """Name of the metric; None: the usual one for labels of this kind."""
    classes: tuple[str, ...] = ()
    """All classes that exist; empty: those in gold."""
    columns: Mapping[str, str] | None = None
    """Names of columns: ``id`` and ``prediction`` of predictions, ``gold_id`` and ``label`` of
    gold."""
    split: str | None = None
    """The split to score; None: test if there is one, else all clips."""
    target: str | None = None
    """Target of runs; None: the first target of each."""
    is_open: bool = False
    """Count predicted classes that gold lacks as wrong, instead of refusing the file."""


def score(path: Path, gold_path: Path, options: ScoreOptions) -> ScoreReport:
    """Score one file or run, or all files and runs in a folder.

    Args:
        path: a file of predictions, the folder of a run, or a folder of such files and runs.
        gold_path: the file of gold labels.
        options: metric, columns and split.

    Raises:
        EmoError: gold cannot be read, the single file or run cannot be scored, or the folder holds
            neither files nor runs.
    """
    file = table_file(path)
    if not file.exists():
        raise ScoreError(f"{path}: no such file or folder")
    is_one = file.is_file() or is_run(path)
    paths = [path] if is_one else _inside(path, gold_path)
    golds = _golds_of(paths, gold_path, options)
    gold = next((each for each in golds.values() if isinstance(each, Gold)), None)
    if gold is None:
        raise next(each for each in golds.values() if isinstance(each, EmoError))
    name = options.metric or usual_metric(paths, gold, options.target)
    metric = find_metric(name)
    if options.metric is None and not options.classes:
        check_labels(gold, metric, classes_of_runs(paths, options.target))
    if is_one:
        metric = metric_for(path, gold, metric, options.target)
        check_gold(gold, metric, name, options.classes)
        results = [_scored(path, str(path), gold, metric, options)]
    else:
        check_gold(gold, metric_for(None, gold, metric, options.target), name, options.classes)
        results = [_tried(each, golds[each], metric, name, options) for each in paths]
    ranked = sorted(
        results,
        key=lambda one: (
            one.error is not None,
            -metric.sign * one.scores[metric.headline] if one.scores else 0.0,
            one.name,
        ),
    )
    unit = "dialogues" if gold.conversations else "clips"
    count = len(gold.conversations) or len(gold.cells)
    return ScoreReport(
        name, metric.headline, metric.sign, gold_path, count, unit, gold.split, tuple(ranked),
        has_several_labels=any(one.has_several_labels for one in results),
        folders_not_read=() if is_one else _other_folders(path),
    )  # fmt: skip


def classes_of(text: str | None) -> tuple[str, ...]:
    """Parse the value of ``--classes``, such as ``joy, fear`` -> ``("joy", "fear")``.

    Raises:
        ScoreError: a class occurs twice, or there is only one.
    """
    if text is None:
        return ()
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if len(names) < 2 or len(set(names)) < len(names):
        raise ScoreError(f"--classes {text}: expected several different classes, such as joy,fear")
    return names


def _inside(folder: Path, gold: Path) -> list[Path]:
    """List all files and the runs in a folder, without the file of gold and hidden files.

    Raises:
        ScoreError: none of them is a table or a run.
    """
    found = [
        each
        for each in sorted(folder.iterdir())
        if is_run(each) or (not each.is_dir() and not _is_hidden(each) and not _is_same(each, gold))
    ]
    if not any(is_run(each) or each.suffix.lower() in FILE_ENDINGS for each in found):
        others = _other_folders(folder)
        hint = f"; its folders were not read: {listed(others)}; give one of them" if others else ""
        raise ScoreError(
            f"{folder}: no predictions ({' '.join(FILE_ENDINGS)}) and no run in it{hint}"
        )
    return found


def _other_folders(folder: Path) -> tuple[str, ...]:
    """Return the names of the folders in a folder that are no runs, without hidden ones."""
    return tuple(
        each.name
        for each in sorted(folder.iterdir())
        if each.is_dir() and not is_run(each) and not _is_hidden(each)
    )


def _is_hidden(path: Path) -> bool:
    """Return whether a file is hidden, or Excel's ``~$`` of an open file."""
    return path.name.startswith((".", "~$"))


def _is_same(one: Path, other: Path) -> bool:
    """Return whether two paths are the same existing file."""
    file = table_file(other)
    return one.exists() and file.exists() and one.samefile(file)


def _golds_of(
    paths: Sequence[Path], gold_path: Path, options: ScoreOptions
) -> dict[Path, Gold | EmoError]:
    """Return path -> gold labels, or the error why it cannot be scored.

    A run is scored on the column of the target that it predicts.
    """
    read: dict[tuple[bool, str | None, str], Gold | EmoError] = {}
    golds: dict[Path, Gold | EmoError] = {}
    for path in paths:
        try:
            target = target_of(path, options.target) if is_run(path) else options.target
            renamed = kept_columns(read_document(path), gold_path) if is_run(path) else {}
        except _UNREADABLE as error:
            golds[path] = error if isinstance(error, EmoError) else ScoreError(_reason(error))
            continue
        key = is_run(path), target, str(renamed)
        if key not in read:
            try:
                read[key] = read_gold(
                    gold_path, columns=options.columns or {}, split=options.split, target=target,
                    has_our_ids=is_run(path), renamed=renamed,
                )  # fmt: skip
            except EmoError as error:
                read[key] = error
        golds[path] = read[key]
    return golds


def _tried(
    path: Path, gold: Gold | EmoError, metric: Metric, metric_name: str, options: ScoreOptions
) -> Scored:
    """Score a file or run; if it cannot be scored, return the error as its result."""
    try:
        if isinstance(gold, EmoError):
            raise gold
        if not is_run(path) and path.suffix.lower() not in FILE_ENDINGS:
            kind = repr(path.suffix) if path.suffix else "a name without extension"
            raise ScoreError(f"expected a table ({' '.join(FILE_ENDINGS)}), got {kind}")
        metric = metric_for(path, gold, metric, options.target)
        check_gold(gold, metric, metric_name, options.classes)
        return _scored(path, path.name, gold, metric, options)
    except _UNREADABLE as error:
        text = _reason(error)
        return Scored(path.name, {}, error=text.removeprefix(f"{path}: "))


def _reason(error: Exception) -> str:
    """Return why a file cannot be scored, in words where they are known."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) if isinstance(error, EmoError) else repr(error)


def _scored(path: Path, name: str, gold: Gold, metric: Metric, options: ScoreOptions) -> Scored:
    """Score a file or run.

    Raises:
        EmoError: it cannot be scored.
    """
    if metric.kind in ("pairs", "spans"):
        split = options.split or "test"
        return Scored(name, score_conversations(path, gold, metric, split=split))
    rows = answers_of_run(path, options.target)[1] if is_run(path) else read_table(path)
    if is_run(path) and "cause_id" in rows.columns:
        raise ScoreError(
            f"{path}: the run's target is of pairs: give the JSON of conversations as --gold, or "
            "another target with --target"
        )
    columns = options.columns or {}
    id_column = find_column(rows, path, IDS, given=columns.get("id"), option="id")
    column = prediction_column(rows, path, id_column=id_column, given=columns.get("prediction"))
    allowed = allowed_classes(
        path, gold, metric, options.target, given=options.classes, is_open=options.is_open
    )
    if not is_run(path) and metric.kind == "classes":
        columns_of_classes = {f"p_{name}" for name in {*rows.columns[column], *gold.cells.values()}}
        known = {name: cells for name, cells in rows.columns.items() if name in columns_of_classes}
        check_probabilities(path, known)
    found = []
    for part in _by_seed(rows):
        answers = answers_of(part, path, id_column=id_column, column=column, split=gold.split)
        check_cells(answers, gold.cells, metric.kind, allowed)
        predicted = [answers.cells[clip_id] for clip_id in gold.cells]
        names = options.classes or (allowed if metric.kind == "labels" else None)
        found.append(score_cells(metric, [*gold.cells.values()], predicted, names))
    means = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    values = [one[metric.headline] for one in found]
    std = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Scored(
        name, means, len(found), std, read=ColumnsRead(id_column, column), label=gold.column,
        has_several_labels=metric.kind == "labels",
    )  # fmt: skip


def _by_seed(rows: TextTable) -> list[TextTable]:
    """Split a table of several seeds, as `emo fit-head` writes it, into one table for each seed."""
    seeds = rows.columns.get("seed", [])
    if len(set(seeds)) < 2:
        return [rows]
    parts = []
    for seed in dict.fromkeys(seeds):
        kept = [k for k, each in enumerate(seeds) if each == seed]
        columns = {name: [cells[k] for k in kept] for name, cells in rows.columns.items()}
        parts.append(TextTable(columns, [rows.origins[k] for k in kept]))
    return parts
