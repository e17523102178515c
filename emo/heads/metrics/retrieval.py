"""Ranks and recalls of retrieval from a table of scores; equal scores share their ranks fairly.

An item that ties with the right one stands above it in half of all orders of the tied items. So the
rank is g + 1 + e/2, for g better and e equal items, and recall is the share of orders in which the
right item is among the first K. A table of equal scores then has the scores of chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from emo.heads.metrics.classes import RESAMPLES, interval_of

RECALLS = (1, 5, 10)
"""The K of R@K."""
_DRAWN = 5_000_000
"""Number of queries of all resamples that are held at once."""


@dataclass(frozen=True, eq=False)
class RankCounts:
    """For each query, how many items stand above and beside its right one."""

    greater: np.ndarray
    """int64 (Q,): wrong items with a higher score than the best right one."""
    equal: np.ndarray
    """int64 (Q,): wrong items with the score of the best right one."""
    own: np.ndarray
    """int64 (Q,): right items with the score of the best right one; at least 1."""

    @property
    def ranks(self) -> np.ndarray:
        """float64 (Q,): mean rank of the first right item over all orders of tied items, from 1."""
        ranks: np.ndarray = self.greater + 1 + self.equal / (self.own + 1)
        return ranks

    def recall(self, k: int) -> np.ndarray:
        """Return float64 (Q,): share of the orders of tied items with a right one in the first K.

        It is 1 - C(e, j) / C(e + m, j) with j = K - g, for m right items among the equal ones.
        """
        missed = np.ones(len(self.greater))
        for i in range(k):
            is_drawn = i < k - self.greater
            left = np.maximum(self.equal - i, 0)
            total = np.maximum(self.equal + self.own - i, 1)
            missed = np.where(is_drawn, missed * left / total, missed)
        return 1 - missed

    def scores(self, recalls: Sequence[int] = RECALLS) -> dict[str, float]:
        """Return ``r@1`` … in [0, 1], ``medr`` and ``meanr``: means over the queries."""
        found = {f"r@{k}": float(self.recall(k).mean()) for k in recalls}
        ranks = self.ranks
        return found | {"medr": float(np.median(ranks)), "meanr": float(ranks.mean())}

    @property
    def tied(self) -> int:
        """Number of queries whose right item has the score of a wrong one."""
        return int((self.equal > 0).sum())

    @classmethod
    def joined(cls, parts: Sequence["RankCounts"]) -> "RankCounts":
        """Return the counts of several blocks of queries as one."""
        names = ("greater", "equal", "own")
        if not parts:
            return cls(*(np.zeros(0, np.int64) for _ in names))
        return cls(*(np.concatenate([getattr(each, name) for each in parts]) for name in names))


def rank_counts(scores: np.ndarray, own: Sequence[np.ndarray]) -> RankCounts:
    """Count the wrong items above and beside the best right item of each query.

    Args:
        scores: float (Q, M), queries by items.
        own: for each query int (m,), its right items, at least one.
    """
    lengths = np.array([len(mine) for mine in own], np.int64)
    rows = np.repeat(np.arange(len(own)), lengths)
    starts = np.cumsum(lengths) - lengths
    right = scores[rows, np.concatenate([*own, np.zeros(0, np.int64)]).astype(np.int64)]
    best = np.maximum.reduceat(right, starts) if len(own) else right
    same = np.bincount(rows[right == best[rows]], minlength=len(own))
    above, beside = (
        np.count_nonzero(mask, axis=1) for mask in (scores > best[:, None], scores == best[:, None])
    )
    return RankCounts(above, beside - same, same)


def items_of_owner(owner: np.ndarray, owners: int) -> list[np.ndarray]:
    """Return for each of ``owners`` owners int64 (m,): the items that it owns, in order.

    Args:
        owner: int (M,), the owner of each item.
        owners: number of owners.
    """
    order = np.argsort(owner, kind="stable")
    ends = np.searchsorted(owner[order], np.arange(owners + 1))
    return [order[first:last] for first, last in pairwise(ends)]


def ranks_of_matrix(scores: np.ndarray, truth: np.ndarray, direction: str) -> RankCounts:
    """Count ranks in one direction of a table of scores.

    Args:
        scores: float (Q, M): texts by videos.
        truth: int (Q,), the right video of each text.
        direction: ``text_to_video``: each text is a query. ``video_to_text``: each video that has
            a text is a query, its best own text counts, and its other texts do not count against
            it. ``grouped``: each video is a query among videos, which score as their best text
            does (CLIP4Clip's and LanguageBind's evaluation).
    """
    if direction == "text_to_video":
        return rank_counts(scores, [*truth[:, None]])
    texts = items_of_owner(truth, scores.shape[1])
    having = np.array([k for k, own in enumerate(texts) if len(own)], np.int64)
    if direction == "video_to_text":
        return rank_counts(scores.T[having], [texts[k] for k in having])
    best = np.stack([scores[texts[k]].max(0)[having] for k in having], axis=1)
    return rank_counts(best, [*np.arange(len(having))[:, None]])


def rank_intervals(
    counts: RankCounts, groups: np.ndarray, *, seed: int = 0, recalls: Sequence[int] = RECALLS
) -> dict[str, tuple[float, float]]:
    """Return the 95 % bootstrap interval of each score, see :func:`rank_draws`."""
    draws = rank_draws(counts, groups, seed=seed, recalls=recalls)
    return {name: interval_of(found) for name, found in draws.items()}


def rank_draws(
    counts: RankCounts, groups: np.ndarray, *, seed: int = 0, recalls: Sequence[int] = RECALLS
) -> dict[str, np.ndarray]:
    """Return the scores on resampled queries, float64 (resamples,); whole groups are drawn.

    The same groups and seed draw the same queries, so that two runs can be compared in pairs.

    Args:
        counts: the ranks of Q queries.
        groups: int (Q,), the group of each query, such as the video that its text describes.
        seed: seed of the resamples.
        recalls: the K of R@K.
    """
    names, group = np.unique(groups, return_inverse=True)
    ranks = counts.ranks
    values = np.stack([*(counts.recall(k) for k in recalls), ranks, np.ones(len(ranks))], axis=1)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, group, values)
    random, order = np.random.default_rng(seed), np.argsort(ranks, kind="stable")
    together = max(1, _DRAWN // max(1, len(ranks)))
    means, medians = [], []
    for start in range(0, RESAMPLES, together):
        shares = np.full(len(names), 1 / len(names))
        drawn = random.multinomial(len(names), shares, min(together, RESAMPLES - start))
        found = drawn @ sums
        means.append(found[:, :-1] / found[:, -1:])
        medians.append(_weighted_medians(ranks[order], drawn[:, group[order]]))
    scores = dict(
        zip((*(f"r@{k}" for k in recalls), "meanr"), np.concatenate(means).T, strict=True)
    )
    scores["medr"] = np.concatenate(medians)
    return {name: scores[name] for name in (*(f"r@{k}" for k in recalls), "medr", "meanr")}


def _weighted_medians(ranks: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return float64 (R,), the median of sorted ranks that occur ``times`` (R, Q) times each."""
    ends = np.cumsum(times, axis=1)
    total = ends[:, -1:]
    low, high = ((ends <= half).sum(1) for half in ((total - 1) // 2, total // 2))
    middle: np.ndarray = (ranks[low] + ranks[high]) / 2
    return middle
