"""Targets: what the cells of a column mean, as numbers that a head can learn."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from emo.errors import FitError, OptionError
from emo.heads.labels import Task, Width

TASKS: tuple[Task, ...] = get_args(Task)
SEPARATOR = "|"
"""Between the classes of a multi-label cell; ``none`` says that there is none."""
NONE, NEUTRAL, YES = "none", "neutral", "yes"
"""Pairs: class 0; the emotion whose pairs do not count; the class of a cell without emotions."""


@dataclass(frozen=True)
class Target:
    """One column that a head predicts."""

    name: str
    task: Task
    classes: tuple[str, ...] = ()
    """In the order of the logits, from the training split; of a number: none."""
    centre: float = 0.0
    """Of a number, over train: the head learns ``(y - centre) / spread``."""
    spread: float = 1.0
    scale: str = ""
    """Of a number: ``mosi`` (within ±3), ``sims`` (within ±1) or ``any``: which scores are given.
    """

    @property
    def width(self) -> Width:
        """C, which knows the task."""
        return Width(len(self.classes) or 1, self.task)

    def scaled(self, labels: np.ndarray) -> np.ndarray:
        """Labels as the loop learns them."""
        if self.task != "regress":
            return labels
        return ((labels - self.centre) / self.spread).astype(np.float32)


def targets_of(document: Mapping[str, Any]) -> tuple[Target, ...]:
    """What a run's head predicts. Runs of before there were several name one."""
    if "targets" not in document:
        return (Target(document["target"], "classify", tuple(document["classes"])),)
    return tuple(
        Target(**{**target, "classes": tuple(target["classes"])}) for target in document["targets"]
    )


def task_of_cells(cells: Sequence[str | None]) -> Task:
    """``regress`` if all are numbers and some not whole, ``multilabel`` if any has a ``|``."""
    known = [cell for cell in cells if cell]
    values = [_number(cell) for cell in known]
    if known and all(not math.isnan(value) for value in values):
        is_whole = all(float(value).is_integer() for value in values)
        return "classify" if is_whole else "regress"
    return "multilabel" if any(SEPARATOR in cell for cell in known) else "classify"


def fit_target(name: str, task: str, cells: Sequence[str | None]) -> Target:
    """The target as the training split's cells tell it (for pairs: of all splits' cells)."""
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
    """Labels of clips, unscaled: (N,) or (N, C), see :class:`emo.heads.head.Batch`."""
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


def pair_labels(
    target: Target,
    cells: Sequence[str | None],
    numbers: np.ndarray,
    pairs: np.ndarray,
    is_labelled: np.ndarray,
) -> tuple[np.ndarray, int]:
    """(P,) classes of pairs, -1 where unlabelled, and how many name a turn that is not there.

    Args:
        target: of pairs.
        cells: of each clip, the turns that cause its emotion; empty: none, if it is labelled.
        numbers: (N,) the number of each clip's turn, by which cells name them.
        pairs: (P, 2) rows.
        is_labelled: (N,) bool, see :func:`labelled_with_pairs`.
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
    """(N,) bool: a clip whose cell is empty has no causes, unless no cell of its split is filled.

    Args:
        cells: of each clip of the manifest.
        splits: the manifest's own; folds and cuts say nothing about who was annotated.
    """
    filled = {split for cell, split in zip(cells, splits, strict=True) if cell}
    return np.array([split in filled for split in splits], dtype=bool)


def causes(cell: str, name: str) -> list[tuple[str, int]]:
    """``"joy:1 joy:3"`` or ``"1 3"`` -> ``[("joy", 1), ("joy", 3)]``; ``none`` -> ``[]``.

    >>> causes("1, 3", "cause")
    [('yes', 1), ('yes', 3)]
    """
    if cell == NONE:
        return []
    found = []
    for word in cell.replace(",", " ").split():
        emotion, _, turn = word.rpartition(":")
        if not turn.isdecimal():
            raise FitError(
                f"{name} {cell!r}: expected turns such as '1 3' or 'joy:1 joy:3', or none"
            )
        found.append((emotion or YES, int(turn)))
    return found


def parts(cell: str) -> list[str]:
    """``"joy|fear"`` -> ``["joy", "fear"]``; ``none`` -> ``[]``."""
    return [] if cell == NONE else [part for part in map(str.strip, cell.split(SEPARATOR)) if part]


def number_of(cell: str, name: str) -> float:
    """The number in a cell."""
    value = _number(cell)
    if not math.isfinite(value):
        hint = "; --task classify takes words" if math.isnan(value) else ", a finite one"
        raise FitError(f"{name} {cell!r}: expected a number{hint}")
    return value


def strata_of(task: str, cells: Sequence[str | None]) -> list[str]:
    """A word for each clip by which splits are cut alike; unlabelled: empty."""
    if task == "regress":
        values = np.array([_number(cell) if cell else np.nan for cell in cells])
        if np.isnan(values).all():  # words: fit_target says so
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


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
