"""`emo score`: score a file, a run, or all files and runs in a folder, and rank them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from emo.errors import EmoError, ScoreError
from emo.heads.runs.files import check_probabilities, kept_columns, read_document
from emo.manifest.tables.spreadsheet import table_file
from emo.score.by_seed import score_seeds
from emo.score.check import check_gold, check_labels
from emo.score.choose import allowed_classes, classes_of_runs, metric_for, usual_metric
from emo.score.conversations import score_conversations
from emo.score.listing import FILE_ENDINGS, is_scored_folder, other_folders, predictions_in
from emo.score.metrics import Metric, find_metric
from emo.score.own_splits import gold_of_run, split_note
from emo.score.readers.alpro import read_answers
from emo.score.readers.answers import IDS, find_column
from emo.score.readers.columns import ColumnsRead, prediction_column
from emo.score.readers.gold import Gold, read_gold
from emo.score.readers.run_folder import answers_of_run, is_run, target_of
from emo.score.report import Scored, ScoreReport, ranked_results
from emo.score.retrieval import score_ranks, truth_of

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
    """Count predicted classes that gold lacks, and missing predictions, as wrong, instead of
    refusing the file."""
    by: str | None = None
    """Column of gold by whose values the scores are split; None: none."""
    video_to_text: str = "own"
    """Rule for items with several queries: ``own`` or ``grouped``, see
    :func:`emo.heads.metrics.retrieval.ranks_of_matrix`."""
    answers: Path | None = None
    """JSON file with the number of each answer, as in ALPRO's ans2label.json; None: predictions are
    answers, not numbers."""
    has_interval: bool = False
    """Whether the 95 % interval of the headline is drawn."""


def score(path: Path, gold_path: Path, options: ScoreOptions) -> ScoreReport:
    """Score one file or run, or all files and runs in a folder.

    Args:
        path: a file of predictions, a folder of their parts, the folder of a run, or a folder of
            such files and runs.
        gold_path: the file of gold labels.
        options: metric, columns and split.

    Raises:
        EmoError: gold cannot be read, the single file or run cannot be scored, or the folder holds
            neither files nor runs.
    """
    file = table_file(path)
    if not file.exists():
        raise ScoreError(f"{path}: no such file or folder")
    is_one = file.is_file() or is_scored_folder(path)
    paths = [path] if is_one else predictions_in(path, gold_path)
    if options.metric == "retrieval":
        _check_ranked(options)
        return _retrieval_report(paths, is_one, path, gold_path, options)
    if options.video_to_text != "own":
        raise ScoreError("--video-to-text goes with --metric retrieval")
    golds = _golds_of(paths, gold_path, options)
    gold = next((each for each in golds.values() if isinstance(each, Gold)), None)
    if gold is None:
        raise next(each for each in golds.values() if isinstance(each, EmoError))
    every = gold
    if is_one and is_run(path):
        gold = gold_of_run(path, gold, options.target, options.split)
    name = options.metric or usual_metric(paths, gold, options.target)
    metric = find_metric(name)
    if options.metric is None and not options.classes:
        check_labels(gold, metric, classes_of_runs(paths, options.target))
    if is_one:
        metric = metric_for(path, gold, metric, options.target)
        check_gold(gold, metric, name, options.classes)
        scored = _scored(path, str(path), gold, metric, options)
        results = [_noted(scored, path, every, gold, options)]
    else:
        check_gold(gold, metric_for(None, gold, metric, options.target), name, options.classes)
        results = [
            _noted(_tried(each, golds[each], metric, name, options), each, every, every, options)
            for each in paths
        ]
    ranked = ranked_results(results, metric.headline, metric.sign)
    unit = "dialogues" if gold.conversations else "clips"
    count = len(gold.conversations) or len(gold.cells)
    return ScoreReport(
        name, metric.headline, metric.sign, gold_path, count, unit, gold.split, ranked,
        has_several_labels=any(one.has_several_labels for one in results), by=options.by or "",
        folders_not_read=() if is_one else other_folders(path),
    )  # fmt: skip


def _retrieval_report(
    paths: Sequence[Path], is_one: bool, path: Path, gold_path: Path, options: ScoreOptions
) -> ScoreReport:
    """Score files of scores, and runs of `emo retrieve`, by the ranks of the right items."""
    metric, columns = find_metric("retrieval"), options.columns or {}
    truth, split = truth_of(gold_path, columns, options.split)
    results = []
    for each in paths:
        name = str(each) if is_one else each.name
        try:
            found = score_ranks(each, name, truth, gold_path, columns, options.video_to_text)
        except _UNREADABLE as error:
            if is_one:
                raise
            found = Scored(name, {}, error=_reason(error).removeprefix(f"{each}: "))
        results.append(found)
    return ScoreReport(
        "retrieval", metric.headline, metric.sign, gold_path, len(truth), "queries", split,
        ranked_results(results, metric.headline, metric.sign),
        folders_not_read=() if is_one else other_folders(path),
    )  # fmt: skip


def _check_ranked(options: ScoreOptions) -> None:
    """Raise ScoreError if an option is given that ranks do not have."""
    given = {
        "--by": options.by, "--classes": options.classes, "--open": options.is_open,
        "--answers": options.answers, "--target": options.target,
    }  # fmt: skip
    for name, value in given.items():
        if value:
            raise ScoreError(f"{name}: --metric retrieval scores ranks; leave it out")


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
                    has_our_ids=is_run(path), renamed=renamed, by=options.by,
                    may_lack_splits=is_run(path) and len(paths) == 1,
                )  # fmt: skip
            except EmoError as error:
                read[key] = error
        golds[path] = read[key]
    return golds


def _noted(result: Scored, path: Path, every: Gold, scored: Gold, options: ScoreOptions) -> Scored:
    """Add the note on the clips that a run was fitted on to its result."""
    note = "" if result.error else split_note(path, every, scored, options.target)
    return replace(result, notes=(*result.notes, note)) if note else result


def _tried(
    path: Path, gold: Gold | EmoError, metric: Metric, metric_name: str, options: ScoreOptions
) -> Scored:
    """Score a file or run; if it cannot be scored, return the error as its result."""
    try:
        if isinstance(gold, EmoError):
            raise gold
        if not is_scored_folder(path) and path.suffix.lower() not in FILE_ENDINGS:
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
    rows, notes = (
        (answers_of_run(path, options.target)[1], ()) if is_run(path)
        else read_answers(path, options.answers)
    )  # fmt: skip
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
    found = score_seeds(
        rows, path, gold, metric, id_column=id_column, column=column, allowed=allowed,
        classes=options.classes, is_open=options.is_open, has_interval=options.has_interval,
    )  # fmt: skip
    if found.absent:
        notes = (*notes, f"{found.absent:,} of {len(gold.cells):,} rows in {gold.path} have no "
                         "prediction, and count as wrong (--open)")  # fmt: skip
    return Scored(
        name, found.means, found.seeds, found.std, read=ColumnsRead(id_column, column),
        label=gold.column, has_several_labels=metric.kind == "labels", notes=notes, by=found.by,
        headline_interval=found.interval, drawn_over=gold.drawn_over,
    )  # fmt: skip
