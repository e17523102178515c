"""One vector for each clip, from its tokens, and the exact score of two clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from emo.errors import StoreError
from emo.ragged import Ragged, offsets_of

POOLINGS = ("mean", "max")
SIMILARITIES = ("cosine", "dot")
NEAR = 4e-6
"""Largest difference of two float32 scores of unit vectors that are computed again in float64; the
error of such a score is below 1e-6."""
_TOKENS = 4096
"""Number of tokens that are pooled at once; a clip with more of them is pooled by itself."""
_PAIRS = 4096
"""Number of pairs whose exact score is computed at once."""


@dataclass(frozen=True, eq=False)
class Vectors:
    """The vectors of N clips; a clip has one, or with pooling ``max`` one for each token.

    The score of a clip is the largest of its vectors' scores.
    """

    rows: np.ndarray
    """float (R, D): the vectors, in the dtype of the store or float32; of any length."""
    offsets: np.ndarray
    """int64 (N+1,): the vectors of clip k are ``rows[offsets[k]:offsets[k + 1]]``; at least one."""
    ids: Sequence[str]
    """The N clips."""
    is_cosine: bool = True
    """Whether scores are cosines; False: dot products of the vectors as they are."""
    name: str = ""
    """Name of the stream, for errors."""

    def __len__(self) -> int:
        """Number of clips, N."""
        return len(self.offsets) - 1

    @cached_property
    def is_single(self) -> bool:
        """Whether every clip has one vector."""
        return len(self.rows) == len(self)

    @cached_property
    def largest(self) -> float:
        """Length of the longest vector; 1 for cosines. It scales the error of float32 scores."""
        if self.is_cosine or not len(self.rows):
            return 1.0
        blocks = range(0, len(self.rows), _TOKENS)
        return max(1e-30, *(float(lengths(self.rows[k : k + _TOKENS]).max()) for k in blocks))

    def raw(
        self, first: int, last: int, buffer: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return float32 (n, D), vectors ``first`` to ``last``, and float32 (n,), their divisors.

        The divisors are the lengths for cosines, 1 for vectors of zeros and for dot products.

        Args:
            first: first vector.
            last: last vector, exclusive.
            buffer: float32 (at least n, D), which is filled and returned; None: a new one.

        Raises:
            StoreError: a value is not finite.
        """
        stored = torch.from_numpy(np.ascontiguousarray(self.rows[first:last]))
        found = stored.to(torch.float32) if buffer is None else buffer[: last - first].copy_(stored)
        norms = torch.linalg.vector_norm(found, dim=1)
        if not bool(torch.isfinite(norms).all()):
            row = first + int(torch.nonzero(~torch.isfinite(norms))[0])
            clip = int(np.searchsorted(self.offsets, row, side="right")) - 1
            raise not_finite(self.name, self.ids[clip])
        if not self.is_cosine:
            return found, torch.ones_like(norms)
        return found, torch.where(norms > 0, norms, 1)

    def block(self, first: int, last: int) -> torch.Tensor:
        """Return float32 (n, D), vectors ``first`` to ``last``; of length 1 for cosines.

        Raises:
            StoreError: a value is not finite.
        """
        found, norms = self.raw(first, last)
        return found / norms[:, None] if self.is_cosine else found

    def select(self, clips: Sequence[int] | np.ndarray) -> "Vectors":
        """Return the vectors of the given clips, in the given order."""
        index = np.asarray(clips, np.int64)
        kept = Ragged(self.rows, self.offsets).select(index)
        ids = [self.ids[k] for k in index]
        return Vectors(kept.values, np.asarray(kept.offsets), ids, self.is_cosine, self.name)


def not_finite(stream: str, clip_id: str) -> StoreError:
    """Return the error of a clip whose tokens cannot be compared."""
    return StoreError(
        f"stream {stream or 'of tokens'}: clip {clip_id!r} has a token with NaN, infinite or too "
        "large values, which cannot be compared; `emo store verify` lists such clips, and "
        "`emo extract` makes them again"
    )


def lengths(rows: np.ndarray) -> np.ndarray:
    """Return float64 (R,), the length of each vector of float (R, D)."""
    wide = np.ascontiguousarray(rows, np.float64)
    norms: np.ndarray = np.sqrt((wide * wide).sum(1))
    return norms


def exact_scores(
    queries: Vectors, items: Vectors, pairs: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Compute the scores of some pairs in float64, rounded to float32.

    The score of a pair depends on its two clips only, not on the other pairs.

    Args:
        queries: vectors of the queries, one for each.
        items: vectors of the items.
        pairs: int (P,) and int (P,), index of the query and of the item.

    Returns:
        float32 (P,).
    """
    found = np.empty(len(pairs[0]), np.float32)
    step = max(1, _PAIRS * len(items) // max(1, len(items.rows)))
    for first in range(0, len(found), step):
        asked, clips = (side[first : first + step] for side in pairs)
        counts = items.offsets[clips + 1] - items.offsets[clips]
        starts = np.cumsum(counts) - counts
        within = np.arange(counts.sum()) - np.repeat(starts, counts)
        right = items.rows[np.repeat(items.offsets[clips], counts) + within].astype(np.float64)
        left = queries.rows[np.repeat(asked, counts)].astype(np.float64)
        dots = (left * right).sum(1)
        if items.is_cosine:
            norms = np.sqrt((left * left).sum(1) * (right * right).sum(1))
            dots = np.divide(dots, norms, out=np.zeros_like(dots), where=norms > 0)
        best = np.maximum.reduceat(dots, starts) if len(dots) else dots
        found[first : first + step] = best + 0.0  # -0 becomes 0, so that they tie
    return found


def vectors_of(
    tokens: Ragged, ids: Sequence[str], *, pooling: str = "mean", similarity: str = "cosine",
    name: str = "",
) -> Vectors:  # fmt: skip
    """Make the vectors of clips from their tokens.

    ``mean`` scales each token to length 1 and averages them; for dot products it averages the
    tokens as they are. ``max`` keeps every token: the best one scores. A clip of one token keeps
    it as it is stored, in each of them.

    Args:
        tokens: the tokens of the N clips; each clip has some.
        ids: the N clips.
        pooling: ``mean`` or ``max``.
        similarity: ``cosine`` or ``dot``.
        name: name of the stream, for errors.

    Raises:
        StoreError: a token that is averaged is not finite; others are found when they are compared.
    """
    values, offsets = tokens.values, np.asarray(tokens.offsets)
    is_cosine = similarity == "cosine"
    if pooling == "max" or len(values) == len(offsets) - 1:
        return Vectors(values, offsets, ids, is_cosine, name)
    rows = np.empty((len(ids), tokens.width), np.float32)
    for first, last in _runs(offsets):
        start, stop = offsets[first], offsets[last]
        block = values[start:stop].astype(np.float64)
        if not np.isfinite(block).all():
            row = start + int(np.flatnonzero(~np.isfinite(block).all(1))[0])
            raise not_finite(name, ids[int(np.searchsorted(offsets, row, side="right")) - 1])
        rows[first:last] = _means(block, offsets[first : last + 1] - start, is_cosine)
    singles = np.flatnonzero(np.diff(offsets) == 1)
    rows[singles] = values[offsets[singles]]
    return Vectors(rows, offsets_of(np.ones(len(ids), np.int64)), ids, is_cosine, name)


def _means(block: np.ndarray, offsets: np.ndarray, is_cosine: bool) -> np.ndarray:
    """Return float64 (n, D), the mean of each clip's tokens; scaled before for cosines."""
    if is_cosine:
        norms = np.sqrt((block * block).sum(1))
        block = block / np.where(norms > 0, norms, 1)[:, None]
    sums = np.add.reduceat(block, offsets[:-1], axis=0)
    means = sums / np.diff(offsets)[:, None]
    if not is_cosine:
        return means
    norms = np.sqrt((means * means).sum(1))
    return means / np.where(norms > 0, norms, 1)[:, None]


def _runs(offsets: np.ndarray) -> list[tuple[int, int]]:
    """Cut N clips into runs ``(first, last)`` of at most ``_TOKENS`` tokens, or of one clip."""
    runs, first = [], 0
    while first < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[first] + _TOKENS, side="right")) - 1
        runs.append((first, max(first + 1, last)))
        first = runs[-1][1]
    return runs
