"""Tokens of many clips without padding: values (ΣT, D) and offsets int64 (N+1,).

Rows of a table may share the tokens of a clip, such as questions about one video. Then the tokens
of each of M distinct clips are kept once, and an index says which of them each of the N rows has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Ragged:
    """The tokens of N clips laid end to end; clip k is ``values[offsets[k]:offsets[k + 1]]``.

    ``values`` is (ΣT, D) and ``offsets`` is int64 (N+1,). Both are numpy arrays (in ``emo.store``)
    or both torch tensors (in ``emo.heads``). A clip of length 0 means: this clip lacks the stream.

    Where ``index`` is given, values and offsets are those of the M distinct clips, and clip k of
    the N is distinct clip ``index[k]``. Heads get tokens without an index, from :meth:`select`.
    """

    values: Any
    """Any dtype (ΣT, D): the tokens of all clips in order."""
    offsets: Any
    """int64 (N+1,): where each clip starts, then ΣT; starts at 0 and does not decrease. With an
    index (M+1,)."""
    index: np.ndarray | None = None
    """int64 (N,), numpy: the distinct clip, from 0 to M-1, whose tokens each clip has; None: each
    clip has tokens of its own."""

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.offsets.ndim != 1 or len(self.offsets) < 1:
            raise ValueError(
                f"expected values (ΣT, D) and offsets (N+1,), got {tuple(self.values.shape)} "
                f"and {tuple(self.offsets.shape)}"
            )
        if int(self.offsets[0]) != 0 or int(self.offsets[-1]) != len(self.values):
            raise ValueError(
                f"expected offsets from 0 to {len(self.values)}, "
                f"got {int(self.offsets[0])} to {int(self.offsets[-1])}"
            )
        distinct = len(self.offsets) - 1
        if self.index is not None and len(self.index):
            low, high = int(self.index.min()), int(self.index.max())
            if low < 0 or high >= distinct:
                raise ValueError(f"expected an index below {distinct}, got {low} to {high}")

    @classmethod
    def of(cls, arrays: Sequence[np.ndarray]) -> Ragged:
        """Lay numpy arrays of shape (T, D) end to end, one a clip.

        Args:
            arrays: at least one, all of the same width D and dtype.
        """
        lengths = [len(array) for array in arrays]
        return cls(np.concatenate(list(arrays)), offsets_of(np.asarray(lengths)))

    def __len__(self) -> int:
        """Number of clips, N."""
        return len(self.offsets) - 1 if self.index is None else len(self.index)

    def __getitem__(self, clip: int) -> Any:
        """Return the tokens (T, D) of one clip, as a view."""
        if not -len(self) <= clip < len(self):
            raise IndexError(f"clip {clip} of {len(self)}")
        clip %= len(self)
        clip = clip if self.index is None else int(self.index[clip])
        return self.values[int(self.offsets[clip]) : int(self.offsets[clip + 1])]

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the tokens (T, D) of each clip in order."""
        return (self[clip] for clip in range(len(self)))

    @property
    def width(self) -> int:
        """Length of one token, D."""
        return int(self.values.shape[1])

    @property
    def lengths(self) -> Any:
        """int64 (N,): number of tokens of each clip."""
        lengths = self.offsets[1:] - self.offsets[:-1]
        return lengths if self.index is None else lengths[self.index]

    @cached_property
    def distinct(self) -> Ragged:
        """The M distinct clips, without an index; the same object if no tokens are shared."""
        return self if self.index is None else Ragged(self.values, self.offsets)

    @cached_property
    def is_single(self) -> bool:
        """True when every clip has one token of its own and no more, as after pooling."""
        return (
            self.index is None and len(self.values) == len(self) and bool((self.lengths == 1).all())
        )

    def select(self, clips: Sequence[int] | np.ndarray) -> Ragged:
        """Return the given clips in the given order, each with tokens of its own.

        Args:
            clips: int (n,), indices of clips.

        Returns:
            A view when the clips are consecutive, else a copy.
        """
        index = np.asarray(clips, dtype=np.int64)
        if self.index is not None:
            return self.distinct.select(self.index[index])
        if self.is_single and len(index) <= len(self):
            return self._select_rows(index)
        known = self.offsets if isinstance(self.offsets, np.ndarray) else self.offsets.cpu().numpy()
        starts = known[index]
        lengths = known[index + 1] - starts
        offsets = offsets_of(lengths)
        like = self.offsets.new_tensor if not isinstance(self.offsets, np.ndarray) else np.asarray
        if len(index) and (np.diff(index) == 1).all():
            return Ragged(self.values[starts[0] : starts[0] + offsets[-1]], like(offsets))
        rows = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        if like is np.asarray:
            return Ragged(self.values[rows], offsets)
        return Ragged(self.values.index_select(0, like(rows)), like(offsets))

    def subset(self, clips: Sequence[int] | np.ndarray) -> Ragged:
        """Return the given clips in the given order; shared tokens stay shared, without a copy.

        Args:
            clips: int (n,), indices of clips.
        """
        if self.index is None:
            return self.select(clips)
        chosen = self.index[np.asarray(clips, dtype=np.int64)]
        return Ragged(self.values, self.offsets, chosen)

    def with_values(self, values: Any, offsets: Any) -> Ragged:
        """Return other tokens of the same distinct clips, shared by the same rows.

        Args:
            values: any dtype (ΣT, D).
            offsets: int64, of as many distinct clips.
        """
        return Ragged(values, offsets, self.index)

    def _select_rows(self, index: np.ndarray) -> Ragged:
        """Select clips when each has one token; this runs at every training step, so it is fast."""
        offsets = self.offsets[: len(index) + 1]  # 0, 1, 2 …
        if len(index) and (index[1:] - index[:-1] == 1).all():
            found = Ragged(self.values[index[0] : index[0] + len(index)], offsets)
        elif isinstance(self.values, np.ndarray):
            found = Ragged(self.values[index], offsets)
        else:
            found = Ragged(self.values.index_select(0, self.offsets.new_tensor(index)), offsets)
        found.__dict__["is_single"] = True  # fills the cached property
        return found


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """Return int64 (N+1,) offsets for int (N,) lengths."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
