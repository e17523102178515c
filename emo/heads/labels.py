"""Tasks and labels: what a target's labels mean, and which rows have one; imports no torch.

Labels have three forms, in numpy and in torch alike: one class a row, int64 (rows,), -1 where
unlabelled; several labels at once, int64 (rows, C) of 0 and 1, all -1 where unlabelled; a number,
float32 (rows,), NaN where unlabelled.
"""

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Task = Literal["classify", "multilabel", "regress", "pairs"]
"""What a head predicts: one class, several labels, a number, or a class for each pair of turns."""

SEPARATOR = "|"
"""Character between the classes of a multi-label cell."""
NO_LABEL = "none"
"""Cell of a clip that has no class."""


def parts(cell: str) -> list[str]:
    """Return the classes that a multi-label cell names.

    >>> parts("joy|fear"), parts("none")
    (['joy', 'fear'], [])
    """
    if cell == NO_LABEL:
        return []
    return [part for part in map(str.strip, cell.split(SEPARATOR)) if part]


class Width(int):
    """Number of logits C of a target that also knows the task; a plain int means ``classify``."""

    task: Task

    def __new__(cls, count: int, task: Task) -> "Width":
        """Make a width of ``count`` logits for this task."""
        width = super().__new__(cls, count)
        width.task = task
        return width

    def __getnewargs__(self) -> tuple[int, Task]:  # type: ignore[override]
        """Return the arguments with which pickle makes an equal object."""
        return int(self), self.task


def task_of(width: int) -> Task:
    """Return the task of a target, given its number of logits."""
    return width.task if isinstance(width, Width) else "classify"


def is_known(labels: np.ndarray) -> np.ndarray:
    """Return bool (rows,): True where the row has a label; for numpy labels of any form."""
    known = ~np.isnan(labels) if labels.dtype.kind == "f" else labels >= 0
    return np.asarray(known if known.ndim == 1 else known.all(1))


def is_classes(labels: "Tensor") -> bool:
    """Return whether the labels are one class a row, int64 (rows,)."""
    return labels.ndim == 1 and not labels.is_floating_point()


def known_rows(labels: "Tensor") -> "Tensor":
    """Return bool (rows,): True where the row has a label; for torch labels of any form."""
    if labels.is_floating_point():
        return ~labels.isnan()
    return labels >= 0 if labels.ndim == 1 else (labels >= 0).all(1)
