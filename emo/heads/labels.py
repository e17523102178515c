"""What a target asks for: a class, several, a number or pairs; without torch."""

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Task = Literal["classify", "multilabel", "regress", "pairs"]


class Width(int):
    """C of a target, that also knows its task; a plain int is the C of classes of clips."""

    task: Task

    def __new__(cls, count: int, task: Task) -> "Width":
        """C, and what the logits mean."""
        width = super().__new__(cls, count)
        width.task = task
        return width

    def __getnewargs__(self) -> tuple[int, Task]:  # type: ignore[override]
        """For pickle."""
        return int(self), self.task


def task_of(width: int) -> Task:
    """What the logits of a target mean."""
    return width.task if isinstance(width, Width) else "classify"


def is_known(labels: np.ndarray) -> np.ndarray:
    """(rows,) bool: the row has a label."""
    known = ~np.isnan(labels) if labels.dtype.kind == "f" else labels >= 0
    return np.asarray(known if known.ndim == 1 else known.all(1))


def is_classes(labels: "Tensor") -> bool:
    """(rows,) int64: one class a row."""
    return labels.ndim == 1 and not labels.is_floating_point()


def known_rows(labels: "Tensor") -> "Tensor":
    """(rows,) bool: the row has a label."""
    if labels.is_floating_point():
        return ~labels.isnan()
    return labels >= 0 if labels.ndim == 1 else (labels >= 0).all(1)
