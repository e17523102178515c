"""Check the target columns of a manifest: their tasks, and the classes of each split."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from emo.datasets.check.finding import Finding, error, warning
from emo.errors import plural
from emo.manifest import Clip
from emo.manifest.cells import ARRAYS, SPLITS
from emo.manifest.missing import missing_cells, missing_classes
from emo.manifest.tasks import (
    NONE,
    classes_in,
    near_classes,
    number_in,
    odd_cells,
    task_of_cells,
)

MOST_CLASSES = 20
"""Most classes of a column other than the target that counts as a column of classes, and most
classes of a column that is shown as a table."""

_LEAST_ROWS = 5
"""Number of rows from which a column that differs in each of them is reported."""
ColumnCounts = dict[str, Counter[tuple[str, str | None]]]
"""Column -> (class, split) -> number of clips."""


def class_findings(clips: Sequence[Clip], target: str, task: str | None = None) -> list[Finding]:
    """Check the classes of each split as `emo fit-head` does.

    Classes that train lacks are an error in the target and a warning in other columns.

    Args:
        clips: the rows.
        target: the column that will be trained.
        task: its task; None: the task that its cells suggest.
    """
    cells = {clip.id: clip.targets.get(target) for clip in clips}
    odd, advice = ({}, "") if task else odd_cells(target, cells)
    is_given, task = task is not None, task or task_of_cells(cells.values())
    missing = {} if odd or is_given else missing_cells(task, cells)
    counts = {
        column: found
        for column, found in count_classes(clips, {target: task}).items()
        if column == target or 1 < len({name for name, _ in found}) <= MOST_CLASSES
    }
    if odd:
        counts.pop(target, None)
    unseen = {column: _unseen(column, found) for column, found in counts.items()}
    others = [line for column, lines in unseen.items() if column != target for line in lines]
    trained = {name for name, split in counts.get(target, ()) if split in ("train", None)}
    is_single = task == "classify" and len(trained) == 1
    single = [f"{target} is {next(iter(trained))!r} throughout"] if is_single else []
    near = [
        f"{column}: {line}"
        for column in counts
        for line in near_classes(
            task if column == target else _task(clips, column),
            [clip.targets.get(column) for clip in clips],
        )
    ]
    is_labelled = any(clip.targets.get(target) for clip in clips if clip.split in ("train", None))
    unlabelled = [clip.id for clip in clips if is_labelled and target not in clip.targets]
    return [
        error(
            f"cells of {target} that are no number",
            [f"{clip_id} {cell!r}" for clip_id, cell in odd.items()],
            f"others are numbers; {advice}",
        ),
        error(
            f"missing values of {target} as words",
            [f"{clip_id} {cell!r}" for clip_id, cell in missing.items()],
            f"leave the cell empty, or say with --task {target}={task} that the word is a class",
        ),
        error(f"classes of {target} that train lacks", unseen.get(target, [])),
        error(f"train with one class of {target}", single),
        warning("classes of other columns that train lacks", others),
        warning("classes that differ only in spelling", near),
        warning(
            "classes that are words for no value",
            [
                f"{column}: {words}"
                for column in counts
                if not (column == target and missing)
                and (words := _words(clips, column, task if column == target else None))
            ],
            "leave the cell empty where nothing is known",
        ),
        warning(
            "columns with one row a class",
            _ids_as_classes(clips, target, task),
            "nothing can be learned of them; are they ids or texts?",
        ),
        warning(f"clips without {target}", unlabelled),
    ]


def class_tables(
    clips: Sequence[Clip], target: str = "label", task: str | None = None
) -> list[list[dict[str, object]]]:
    """Return a table for each column with 2 to 20 classes: number of clips by class and split.

    Args:
        clips: the rows.
        target: the column that will be trained.
        task: its task; None: the task that its cells suggest.
    """
    splits = [split for split in SPLITS if any(clip.split == split for clip in clips)]
    tables = []
    for column, counts in count_classes(clips, {target: task} if task else {}).items():
        names = sorted({name for name, _ in counts})
        if not 1 < len(names) <= MOST_CLASSES:
            continue
        rows: list[dict[str, object]] = []
        for name in names:
            total = sum(n for (other, _), n in counts.items() if other == name)
            row = {column: name, **{split: counts[name, split] for split in splits}}
            rows.append({**row, "clips": total})
        tables.append(rows)
    return tables


def count_classes(clips: Sequence[Clip], tasks: dict[str, str]) -> ColumnCounts:
    """Return the number of clips of each class and split, for columns of classes.

    Args:
        clips: the rows.
        tasks: tasks of some columns; others have the task that their cells suggest.
    """
    counts: ColumnCounts = defaultdict(Counter)
    for column in dict.fromkeys(name for clip in clips for name in clip.targets):
        task = tasks.get(column) or _task(clips, column)
        if task not in ("classify", "multilabel"):
            continue
        for clip in clips:
            for name in classes_in(task, clip.targets.get(column) or ""):
                if name:
                    counts[column][name, clip.split] += 1
    return dict(counts)


def _words(clips: Sequence[Clip], column: str, task: str | None) -> str:
    """Return the classes of a column that are words for a missing value; ``none`` of the target.

    Args:
        clips: the rows.
        column: name of the column.
        task: task of the target; None: the column is not the target.
    """
    cells = [clip.targets.get(column) for clip in clips]
    return missing_classes(task or _task(clips, column), cells, but=() if task else (NONE,))


def _ids_as_classes(clips: Sequence[Clip], target: str, task: str) -> list[str]:
    """Return a text for each column of classes in which every class has one row.

    Numbers count in the target alone, and files of arrays do not.
    """
    found = []
    for column in dict.fromkeys(name for clip in clips for name in clip.targets):
        cells = [clip.targets[column] for clip in clips if column in clip.targets]
        if len(cells) < _LEAST_ROWS or len(cells) > len(set(cells)):
            continue
        is_number = not any(math.isnan(number_in(cell)) for cell in cells)
        if column == target:
            is_class = task == "classify"
        else:
            is_class = not is_number and not all(cell.endswith(ARRAYS) for cell in cells)
        if is_class:
            found.append(f"{column} ({len(cells):,} classes in {len(cells):,} clips)")
    return found


def _task(clips: Sequence[Clip], column: str) -> str:
    """Return the task that the cells of a column suggest."""
    return task_of_cells(clip.targets.get(column) for clip in clips)


def _unseen(column: str, counts: Counter[tuple[str, str | None]]) -> list[str]:
    """Return a text for each class of val or test that train lacks; none if train has no class."""
    trained = {name for name, split in counts if split == "train"}
    return [
        f"{name!r} of {column} in {split} ({plural(count, 'clip')})"
        for (name, split), count in counts.items()
        if trained and split in ("val", "test") and name not in trained
    ]
