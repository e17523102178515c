"""Threads of torch: how many, and whether a fit's steps are too small to use several."""

import contextlib
from collections.abc import Iterator

import torch

from emo.heads.head import Batch, Head

SMALL_STEP = 2**28
"""Weights times tokens of one step; up to about this size, one thread was as fast as two."""
SOLVER_PENALTIES = 16
"""About how many penalties a solver computes in one pass over all clips."""


@contextlib.contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Set torch's number of threads inside the block; None leaves it as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def has_small_steps(head: Head, train: Batch, batch_size: int) -> bool:
    """Return whether a step multiplies so little that a second thread makes it no faster.

    Args:
        head: the head before training.
        train: pooled training clips.
        batch_size: clips of a step; dialogues for a dialogue head. It does not matter for a
            solver, which reads all clips at once for every penalty.
    """
    turns = train.in_dialogues().turns if head.unit == "dialogue" else None
    count = len(train) if turns is None else len(turns)
    tokens = max(int(ragged.lengths.sum()) for ragged in train.streams.values())
    weights = sum(weight.numel() for weight in head.parameters())
    share = SOLVER_PENALTIES if head.is_solved else min(1.0, batch_size / max(count, 1))
    return weights * tokens * share <= SMALL_STEP
