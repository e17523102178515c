"""What a target asks for: a class, several, a number or pairs; without torch."""

from typing import Literal

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
