"""Tokens of many clips without padding: values (ΣT, D) and offsets int64 (N+1,)."""

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
    """

    values: Any
    """Any dtype (ΣT, D): the tokens of all clips in order."""
    offsets: Any
    """int64 (N+1,): where each clip starts, then ΣT; starts at 0 and does not decrease."""

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
        return len(self.offsets) - 1

    def __getitem__(self, clip: int) -> Any:
        """Return the tokens (T, D) of one clip, as a view."""
        if not -len(self) <= clip < len(self):
            raise IndexError(f"clip {clip} of {len(self)}")
        clip %= len(self)
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
        return self.offsets[1:] - self.offsets[:-1]

    @cached_property
    def is_single(self) -> bool:
        """True when every clip has exactly one token, as after pooling."""
        return len(self.values) == len(self) and bool((self.lengths == 1).all())

    def select(self, clips: Sequence[int] | np.ndarray) -> Ragged:
        """Return the given clips in the given order.

        Args:
            clips: int (M,), indices of clips.

        Returns:
            A view when the clips are consecutive, else a copy.
        """
        index = np.asarray(clips, dtype=np.int64)
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
