"""Lay clips end to end in rows of equal length, so that an LSTM computes little padding.

An LSTM that runs over clips side by side computes each of them to the length of the longest. So
short clips share a row: each clip goes, longest first, into the row that it fills best, with one
empty position between two clips.
"""

import bisect
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

POSITIONS_AT_ONCE, FEWEST_ROWS = 2048, 8
"""About how many positions, and at least how many rows, are computed at once; what is kept of them
for the gradient stays in the processor's cache."""
WIDTH_OF_A_ROW = 16
"""Numbers of a state for which there is at least one row: few rows do not pay for reading its
weights."""
WORTH_SHARING = 0.8
"""Rows are shared if the clips, with an empty position each, take at most this share of the
positions that they take in rows of their own."""


@dataclass(frozen=True)
class RowLayout:
    """Positions of the tokens of some clips, in an array (groups, steps, rows of the group)."""

    steps: int
    """Length of a row: that of the longest clip."""
    sizes: list[int]
    """Number of positions of each group of rows that are computed at once."""
    count: int
    """Number of positions of all groups."""
    are_shared: bool
    """Whether there are fewer rows than clips; else each clip has a row of its own."""
    positions: Tensor
    """int64 (ΣT,): position of each token."""
    reversed_positions: Tensor
    """int64 (ΣT,): position of each token where the tokens of each clip are reversed."""

    @classmethod
    def of(cls, offsets: np.ndarray, hidden: int) -> "RowLayout":
        """Lay out clips.

        Args:
            offsets: int64 (N+1,), where each clip's tokens start, then ΣT, which is at least 1.
            hidden: width H of the LSTM's state.
        """
        lengths = offsets[1:] - offsets[:-1]
        steps, clips = int(lengths.max()), int(np.count_nonzero(lengths))
        if offsets[-1] + clips <= WORTH_SHARING * steps * clips:
            row, start, count = _share(lengths)
        else:
            row, count = np.cumsum(lengths > 0) - 1, clips
            start = np.zeros_like(row)
        fewest = max(FEWEST_ROWS, hidden // WIDTH_OF_A_ROW)
        groups = max(1, round(count / max(fewest, POSITIONS_AT_ONCE // steps)))
        at_once = -(-count // groups)  # as many rows in each group; few rows take as long as many
        sizes = [steps * min(at_once, count - k) for k in range(0, count, at_once)]
        group, column = np.divmod(row, at_once)
        beside = np.minimum(at_once, count - group * at_once)
        first = group * (at_once * steps) + start * beside + column
        beside = np.repeat(beside, lengths)
        # token k of a clip lies at first + beside · k, and reversed at first + beside · (T - 1 - k)
        token = np.arange(offsets[-1])
        positions = np.repeat(first, lengths) + beside * (token - np.repeat(offsets[:-1], lengths))
        back = np.repeat(first, lengths) + beside * (np.repeat(offsets[1:] - 1, lengths) - token)
        return cls(
            steps, sizes, steps * count, count < clips, torch.from_numpy(positions),
            torch.from_numpy(back),
        )  # fmt: skip


def _share(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Put each clip, longest first, into the row that it fills best, after an empty position.

    Args:
        lengths: int64 (N,), tokens of each clip.

    Returns:
        int64 (N,) row of each clip; int64 (N,) step of its first token; the number of rows.
    """
    row, start = np.zeros((2, len(lengths)), dtype=np.int64)
    longest_first = np.argsort(-lengths, kind="stable")[: np.count_nonzero(lengths)].tolist()
    steps, count = int(lengths.max()), 0
    rooms: list[tuple[int, int]] = []  # (steps left, row), fewest first
    for clip, length in zip(longest_first, lengths[longest_first].tolist(), strict=True):
        position = bisect.bisect_left(rooms, (length, 0))
        if position == len(rooms):
            room, own = steps, count
            count += 1
        else:
            room, own = rooms.pop(position)
        row[clip], start[clip] = own, steps - room
        if room - length - 1 > 0:
            bisect.insort(rooms, (room - length - 1, own))
    return row, start, count
