"""Ranks of the right items among the vectors of all items, and tables of exact scores."""

from collections.abc import Sequence

import numpy as np

from emo.heads.metrics.retrieval import RankCounts, items_of_owner, rank_counts
from emo.predict.similarity.blocks import in_threads, near, score_blocks
from emo.predict.similarity.vectors import Vectors, exact_scores

_QUERIES = 256
"""Number of queries whose scores of all items are held at once."""


def ranks_of_vectors(
    texts: Vectors, videos: Vectors, truth: np.ndarray, direction: str, *,
    threads: int | None = None, step: int = _QUERIES,
) -> RankCounts:  # fmt: skip
    """Count ranks in one direction; scores that nearly tie with the right one are made exact.

    Args:
        texts: vectors of the texts, one for each.
        videos: vectors of the videos; one for each, where videos are the queries.
        truth: int (Q,), the right video of each text.
        direction: ``text_to_video``, ``video_to_text`` or ``grouped``; see
            :func:`emo.heads.metrics.retrieval.ranks_of_matrix`.
        threads: number of threads; None: one for each core.
        step: number of queries in a block.
    """
    if direction == "text_to_video":
        return _ranks(texts, videos, [*truth[:, None]], threads, step)
    owned = items_of_owner(truth, len(videos))
    having = [k for k, own in enumerate(owned) if len(own)]
    queries = videos.select(having)
    if direction == "video_to_text":
        return _ranks(queries, texts, [owned[k] for k in having], threads, step)
    order = np.concatenate([owned[k] for k in having])
    ends = np.cumsum([0, *(len(owned[k]) for k in having)])
    groups = Vectors(texts.rows[order], ends, queries.ids, texts.is_cosine, texts.name)
    return _ranks(queries, groups, [*np.arange(len(having))[:, None]], threads, step)


def score_table(queries: Vectors, items: Vectors) -> np.ndarray:
    """Return float32 (Q, M), the scores of all queries and items, computed in blocks."""
    found = np.empty((len(queries), len(items)), np.float32)

    def run(first: int, last: int) -> None:
        for start, scores in score_blocks(queries, items, first, last):
            found[:, start : start + scores.shape[1]] = scores

    in_threads(run, len(items))
    return found


def _ranks(
    queries: Vectors, items: Vectors, own: Sequence[np.ndarray], threads: int | None, step: int
) -> RankCounts:
    margin = near(queries, items)

    def run(first: int, last: int) -> RankCounts:
        parts = []
        for begin in range(first, last, step):
            index = range(begin, min(begin + step, last))
            mine = [own[k] for k in index]
            asked = queries.select(index)
            _, scores = next(score_blocks(asked, items, 0, len(items), block=max(1, len(items))))
            _make_exact(scores, asked, items, mine, margin)
            parts.append(rank_counts(scores, mine))
        return RankCounts.joined(parts)

    return RankCounts.joined(in_threads(run, len(queries), threads=threads, least=step))


def _make_exact(
    scores: np.ndarray, queries: Vectors, items: Vectors, own: Sequence[np.ndarray], margin: float
) -> None:
    """Replace the scores that are near to the best right one by exact ones, in place.

    A right item that is alone within the margin needs no exact score.
    """
    best = np.array([row[mine].max() for row, mine in zip(scores, own, strict=True)])
    within = scores >= (best - margin)[:, None]
    above = np.count_nonzero(scores > (best + margin)[:, None], axis=1)
    tied = np.flatnonzero(np.count_nonzero(within, axis=1) - above > 1)
    rows, columns = np.nonzero(within[tied] & (scores[tied] <= (best[tied] + margin)[:, None]))
    rows = tied[rows]
    scores[rows, columns] = exact_scores(queries, items, (rows, columns))
