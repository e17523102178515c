"""Exact search for pairs of clips whose score is above a limit."""

import numpy as np

from emo.errors import OptionError
from emo.predict.similarity.blocks import in_threads, near
from emo.predict.similarity.vectors import Vectors, exact_scores

MOST_PAIRS = 1_000_000
"""Largest number of pairs that are returned; more mean that the limit is too low."""
_BLOCK = 2048


def pairs_above(
    vectors: Vectors, above: float, *, threads: int | None = None, block: int = _BLOCK
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find all pairs of different clips with a score of ``above`` or more.

    Args:
        vectors: the vectors, one for each clip.
        above: the lowest score.
        threads: number of threads; None: one for each core.
        block: number of clips in a block.

    Returns:
        int64 (P,) and int64 (P,), the clips of each pair, the first with the smaller index, and
        float32 (P,), their exact scores.

    Raises:
        OptionError: there are more than ``MOST_PAIRS`` pairs.
    """
    starts = range(0, len(vectors), block)
    rows = np.concatenate(
        [np.zeros((0, vectors.rows.shape[1]), np.float32)]
        + [vectors.block(k, k + block).numpy() for k in starts]
    )
    blocks = [(i, j) for i in starts for j in starts if j >= i]
    limit = np.float32(above - near(vectors, vectors))

    def run(first: int, last: int) -> list[tuple[np.ndarray, np.ndarray]]:
        import torch

        table, found, count = torch.from_numpy(rows), [], 0
        for i, j in blocks[first:last]:
            scores = (table[i : i + block] @ table[j : j + block].T).numpy()
            left, right = np.nonzero(scores >= limit)
            left, right = left + i, right + j
            kept = left < right
            found.append((left[kept], right[kept]))
            count += int(kept.sum())
            if count > MOST_PAIRS:
                raise OptionError(_too_many(above))
        return found

    parts = [each for part in in_threads(run, len(blocks), threads=threads, least=2)
             for each in part]  # fmt: skip
    left, right = (np.concatenate([p[k] for p in parts] or [np.zeros(0, int)]) for k in (0, 1))
    scores = exact_scores(vectors, vectors, (left, right))
    kept = scores >= np.float32(above)
    if kept.sum() > MOST_PAIRS:
        raise OptionError(_too_many(above))
    return left[kept], right[kept], scores[kept]


def _too_many(above: float) -> str:
    return f"more than {MOST_PAIRS:,} pairs have a score of {above} or more; give a higher --above"
