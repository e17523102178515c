"""Targets: turn the cells of a manifest's column into labels that a head can learn."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from emo.errors import FitError, OptionError
from emo.heads.labels import Task, Width
from emo.manifest.tasks import NEUTRAL, NONE, YES, number_advice, number_in, parts

TASKS: tuple[Task, ...] = get_args(Task)
"""All kinds of answer that a target can have, see :data:`emo.heads.labels.Task`."""


@dataclass(frozen=True)
class Target:
    """One column of the manifest that a head predicts."""

    name: str
    """Name of the manifest's column."""
    task: Task
    """Kind of answer: one class, several labels, a number, or pairs of turns."""
    classes: tuple[str, ...] = ()
    """Names of the classes of the training split, in the order of the logits; empty for a number.
    """
    centre: float = 0.0
    """For a number, its mean over train; the head learns ``(y - centre) / spread``. For classes 0.
    """
    spread: float = 1.0
    """For a number, its standard deviation over train; for classes 1."""
    scale: str = ""
    """Range of a number, which decides its scores: ``mosi`` (within ±3), ``sims`` (within ±1) or
    ``any``; empty for classes."""

    @property
    def width(self) -> Width:
        """Number of logits C, with the task."""
        return Width(len(self.classes) or 1, self.task)

    def scaled(self, labels: np.ndarray) -> np.ndarray:
        """Return labels as the training loop reads them: numbers are standardised."""
        if self.task != "regress":
            return labels
        return ((labels - self.centre) / self.spread).astype(np.float32)


def score_unit(targets: Sequence[Target]) -> float:
    """Return by what the score of standardised labels is multiplied, for the label's own unit.

    It is the spread of the only target, 1 for classes; the mean score of several has no unit.
    """
    return targets[0].spread if len(targets) == 1 else 1.0


def targets_of(document: Mapping[str, Any]) -> tuple[Target, ...]:
    """Return the targets of a run, from its ``run.json``.

    Runs written before several targets were supported have a single ``target``.
    """
    if "targets" not in document:
        return (Target(document["target"], "classify", tuple(document["classes"])),)
    return tuple(
        Target(**{**target, "classes": tuple(target["classes"])}) for target in document["targets"]
    )


def fit_target(name: str, task: str, cells: Sequence[str | None]) -> Target:
    """Return a target with the classes, or the mean and range, of the given cells.

    Args:
        name: name of the column.
        task: kind of target.
        cells: cells of the training split; empty or None where unlabelled.

    Raises:
        OptionError: an unknown task.
        FitError: no label, or a cell that does not fit the task.
    """
    if task not in TASKS:
        raise OptionError(f"task {task!r} of {name}: expected one of {', '.join(TASKS)}")
    known = [cell for cell in cells if cell]
    if not known:
        raise FitError(f"split train has no clip with a {name} and features")
    if task == "regress":
        values = np.array([number_of(cell, name) for cell in known])
        largest, spread = float(np.abs(values).max()), float(values.std()) or 1.0
        is_signed = values.min() < 0
        scale = "sims" if largest <= 1 else "mosi" if largest <= 3 else "any"
        return Target(
            name, "regress", (), float(values.mean()), spread, scale if is_signed else "any"
        )
    if task == "multilabel":
        classes = tuple(sorted({c for cell in known for c in parts(cell)}))
        if not classes:
            raise FitError(f"split train has no clip of any class of {name}: every cell is none")
        return Target(name, "multilabel", classes)
    if task == "pairs":
        found = {emotion for cell in known for emotion, _ in causes(cell, name)} - {NEUTRAL}
        return Target(name, "pairs", (NONE, *sorted(found)))
    return Target(name, "classify", tuple(sorted(set(known))))


def labels_of(target: Target, cells: Sequence[str | None]) -> np.ndarray:
    """Return the unscaled labels of N clips.

    Returns:
        int64 (N,) classes, int64 (N, C) of 0 and 1 for several labels, or float32 (N,) numbers;
        unlabelled: -1, all -1, or NaN.
    """
    if target.task == "regress":
        return np.array([number_of(c, target.name) if c else np.nan for c in cells], np.float32)
    numbers = {name: number for number, name in enumerate(target.classes)}
    if target.task == "classify":
        return np.array([numbers[cell] if cell else -1 for cell in cells], dtype=np.int64)
    table = np.full((len(cells), len(target.classes)), -1, dtype=np.int64)
    for row, cell in enumerate(cells):
        if cell:
            table[row] = [name in parts(cell) for name in target.classes]
    return table


def labels_and_others(
    target: Target, cells: Sequence[str | None]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the labels of N clips of a target of classes, some of which the head does not learn.

    Args:
        target: the target.
        cells: cell of each clip; empty or None where unlabelled.

    Returns:
        int64 (N,) classes; C, C + 1 … for the classes that the target lacks; -1 where unlabelled.
        And the names of the classes that it lacks, sorted.
    """
    others = tuple(sorted({cell for cell in cells if cell} - set(target.classes)))
    wider = replace(target, classes=(*target.classes, *others))
    return labels_of(wider, cells), others


def pair_labels(
    target: Target,
    cells: Sequence[str | None],
    numbers: np.ndarray,
    pairs: np.ndarray,
    is_labelled: np.ndarray,
) -> tuple[np.ndarray, int]:
    """Return the class of each pair of turns, and how many cells name a turn that is not there.

    Args:
        target: a pair target.
        cells: for each of N clips, the turns that cause its emotion; empty: none, if annotated.
        numbers: int64 (N,), the turn number of each clip, by which cells name turns.
        pairs: int64 (P, 2), rows of (emotion turn, cause turn).
        is_labelled: bool (N,), see :func:`labelled_with_pairs`.

    Returns:
        int64 (P,) classes, 0: no pair, -1: unlabelled; and the number of named turns that are
        missing.
    """
    known = {(int(e), int(numbers[c])): index for index, (e, c) in enumerate(pairs)}
    labels, lost = np.where(is_labelled[pairs[:, 0]], 0, -1).astype(np.int64), 0
    for row, cell in enumerate(cells):
        for emotion, turn in causes(cell, target.name) if cell else []:
            if emotion != NEUTRAL and (row, turn) in known:
                labels[known[row, turn]] = target.classes.index(emotion)
            lost += emotion != NEUTRAL and (row, turn) not in known
    return labels, lost


def labelled_with_pairs(cells: Sequence[str | None], splits: Sequence[str | None]) -> np.ndarray:
    """Return whether the causes of each clip were annotated, bool (N,).

    They were if any cell of the clip's split is filled; an empty cell then means no causes.

    Args:
        cells: cell of each clip of the manifest.
        splits: split of each clip in the manifest, not one that was made for a fit.
    """
    filled = {split for cell, split in zip(cells, splits, strict=True) if cell}
    return np.array([split in filled for split in splits], dtype=bool)


def causes(cell: str, name: str) -> list[tuple[str, int]]:
    """Return the (emotion, turn) pairs that a cell of a pair target names.

    >>> causes("joy:1 joy:3", "cause"), causes("1, 3", "cause"), causes("none", "cause")
    ([('joy', 1), ('joy', 3)], [('yes', 1), ('yes', 3)], [])

    Args:
        cell: the cell's text, not empty.
        name: name of the column, for the message of an error.
    """
    if cell == NONE:
        return []
    found = []
    for word in cell.replace(",", " ").split():
        emotion, _, turn = word.rpartition(":")
        if not turn.isdecimal():
            raise FitError(
                f"{name} {cell!r}: expected numbers of turns such as '1 3' or 'joy:1 joy:3', or "
                "the word none"
            )
        found.append((emotion or YES, int(turn)))
    return found


def number_of(cell: str, name: str) -> float:
    """Return the number in a cell.

    Raises:
        FitError: the cell holds no finite number; the message names the column.
    """
    value = number_in(cell)
    if not math.isfinite(value):
        hint = f"; {number_advice(cell)}" if math.isnan(value) else ", a finite one"
        raise FitError(f"{name} {cell!r}: expected a number{hint}")
    return value


def strata_of(task: str, cells: Sequence[str | None]) -> list[str]:
    """Return a word for each clip, of which splits get similar shares; ``""`` where unlabelled.

    It is the class, the first of several classes, the quartile of a number, or whether the clip
    has causes.
    """
    if task == "regress":
        values = np.array([number_in(cell) if cell else np.nan for cell in cells])
        if np.isnan(values).all():  # cells are words: fit_target raises the error
            return ["" for _ in cells]
        edges = np.nanquantile(values, [0.25, 0.5, 0.75])
        return [
            "" if np.isnan(value) else str(np.digitize(value, edges, right=True))
            for value in values.tolist()
        ]
    if task == "multilabel":
        return [(parts(cell) or [NONE])[0] if cell else "" for cell in cells]
    if task == "pairs":
        return [YES if cell and cell != NONE else NONE for cell in cells]
    return [cell or "" for cell in cells]
