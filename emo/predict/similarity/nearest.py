"""Exact search: the items with the highest scores for each query."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from emo.predict.similarity.blocks import BLOCK, QUERIES, in_threads, near, score_blocks
from emo.predict.similarity.vectors import Vectors, exact_scores


@dataclass(frozen=True, eq=False)
class Hits:
    """The best items of one query, the best first; equal scores in the order of the ids."""

    items: np.ndarray
    """int64 (n,): indices of the items."""
    scores: np.ndarray
    """float32 (n,): their exact scores."""


@dataclass(eq=False)
class _Candidates:
    """The items that may be among the best of one query."""

    items: np.ndarray
    scores: np.ndarray
    """float32 (n,): scores of blocks."""
    floor: float = -np.inf
    """The lowest score of the best ones; less than this, by more than the error, cannot be best."""

    def add(self, items: np.ndarray, scores: np.ndarray, top: int, margin: float) -> None:
        """Add items; drop those that cannot be among the ``top`` best any more."""
        self.items = np.concatenate([self.items, items])
        self.scores = np.concatenate([self.scores, scores])
        if len(self.scores) > top:
            self.floor = float(np.partition(self.scores, -top)[-top])
            kept = self.scores >= self.floor - margin
            self.items, self.scores = self.items[kept], self.scores[kept]


def nearest(
    queries: Vectors, items: Vectors, top: int, *, threads: int | None = None, block: int = BLOCK
) -> list[Hits]:
    """Find the items with the highest scores for each query.

    Args:
        queries: vectors of the queries, one for each.
        items: vectors of the items.
        top: number of items for each query; all, if there are fewer.
        threads: number of threads; None: one for each core.
        block: number of items that are multiplied at once.
    """
    found: list[Hits] = []
    for first in range(0, len(queries), QUERIES):
        part = queries.select(range(first, min(first + QUERIES, len(queries))))
        found += _nearest(part, items, top, threads, block)
    return found


def _nearest(
    queries: Vectors, items: Vectors, top: int, threads: int | None, block: int
) -> list[Hits]:
    margin = near(queries, items)

    def run(first: int, last: int) -> list[_Candidates]:
        found = [_empty() for _ in queries.ids]
        floors = np.full(len(found), -np.inf, np.float32)
        for start, scores in score_blocks(queries, items, first, last, block=block):
            rows, columns = np.nonzero(scores >= (floors - margin)[:, None])
            ends = np.flatnonzero(np.diff(rows, append=-1)) + 1
            for begin, end in pairwise([0, *ends.tolist()]):
                query, own = int(rows[begin]), columns[begin:end]
                found[query].add(start + own, scores[query, own], top, margin)
                floors[query] = found[query].floor
        return found

    parts = in_threads(run, len(items), threads=threads, least=4 * block)
    return [
        _best(queries, items, query, [part[query] for part in parts], top, margin)
        for query in range(len(queries))
    ]


def _best(
    queries: Vectors, items: Vectors, query: int, parts: list[_Candidates], top: int, margin: float
) -> Hits:
    """Compute the exact scores of a query's candidates and return the best."""
    joined = _empty()
    for each in parts:
        joined.add(each.items, each.scores, top, margin)
    candidates = joined.items
    exact = exact_scores(queries, items, (np.full(len(candidates), query), candidates))
    order = sorted(range(len(exact)), key=lambda k: (-exact[k], items.ids[int(candidates[k])]))[
        :top
    ]
    return Hits(candidates[order], exact[order])


def _empty() -> _Candidates:
    return _Candidates(np.zeros(0, np.int64), np.zeros(0, np.float32))
