"""Scores of queries against items in float32 blocks, by several threads of one core each."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch

from emo.predict.similarity.vectors import NEAR, Vectors

BLOCK = 2048
"""Number of vectors of items in one block."""
QUERIES = 1024
"""Largest number of queries that are multiplied at once."""
BlockResult = TypeVar("BlockResult")


def in_threads(
    run: Callable[[int, int], BlockResult],
    count: int,
    *,
    threads: int | None = None,
    least: int = BLOCK,
) -> list[BlockResult]:
    """Call ``run(first, last)`` on runs of ``count`` things; return the results in order.

    Each thread multiplies with one core of its own: two cores for one product would wait for each
    other at every block.

    Args:
        run: does the things from ``first`` to before ``last``.
        count: number of things.
        threads: number of threads; None: one for each core.
        least: smallest number of things for a further thread.
    """
    wanted = threads or _cores()
    number = max(1, min(wanted, count // least))
    ends = [round(count * k / number) for k in range(number + 1)]
    before = torch.get_num_threads()

    def alone(index: int) -> BlockResult:
        torch.set_num_threads(1)
        return run(ends[index], ends[index + 1])

    try:
        if number == 1:
            return [alone(0)]
        with ThreadPoolExecutor(number) as pool:
            return list(pool.map(alone, range(number)))
    finally:
        torch.set_num_threads(before)


def _cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def near(queries: Vectors, items: Vectors) -> float:
    """Return the largest difference of two scores of blocks that exact scores may reverse."""
    return NEAR * queries.largest * items.largest


def score_blocks(
    queries: Vectors, items: Vectors, first: int, last: int, *, block: int = BLOCK
) -> Iterator[tuple[int, np.ndarray]]:
    """Iterate over blocks of items; yield the first item and float32 (Q, n), their scores.

    They differ from the exact ones by less than half of :func:`near`.

    Args:
        queries: vectors of the queries, one for each.
        items: vectors of the items.
        first: first item.
        last: last item, exclusive.
        block: number of items in a block.
    """
    left = queries.block(0, len(queries))
    most = 0  # rows of the largest block: one buffer serves all of them
    for start in range(first, last, block):
        most = max(most, int(items.offsets[min(last, start + block)] - items.offsets[start]))
    buffer = torch.empty(most, left.shape[1])
    for start in range(first, last, block):
        stop = min(last, start + block)
        rows = slice(int(items.offsets[start]), int(items.offsets[stop]))
        scores = _product(left, items, rows, buffer)
        if not items.is_single:
            firsts = items.offsets[start:stop] - rows.start
            scores = np.maximum.reduceat(scores, firsts, axis=1)
        yield start, scores


def _product(left: torch.Tensor, items: Vectors, rows: slice, buffer: torch.Tensor) -> np.ndarray:
    """Return float32 (Q, n): the products with some vectors, divided by these vectors' lengths."""
    raw, norms = items.raw(rows.start, rows.stop, buffer)
    scores = torch.mv(raw, left[0])[None] if len(left) == 1 else left @ raw.T
    if items.is_cosine:
        scores /= norms
    return scores.numpy()
