"""Compare the pictures that come out of a decoder with those that the packets' times announce."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from emo.extract.decode.seeking.listing import PacketTable
from emo.extract.decode.seeking.unsure import Unsure

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_FARTHEST = 64
"""Packets after which a picture that is shown before an earlier one cannot come; H.264 and HEVC
reorder within 16."""
_LEAST_SEEN = 8
"""Pictures after the first start whose order is looked at if times rise from packet to packet: it
shows whether they are those of the pictures or were written in decoding order."""


class Expected:
    """The pictures that should come out from one start on, in the order of presentation."""

    def __init__(
        self, table: PacketTable, start: int, indices: Sequence[int], *, is_first: bool
    ) -> None:
        """Note what should come; nothing came out yet.

        Args:
            table: the packets of the track.
            start: index of the packet at which decoding starts.
            indices: indices of the packets whose pictures are wanted.
            is_first: whether this is the first start in the file.
        """
        self._table, self._start = table, start
        self._first = int(table.pts[start])
        self._seen: list[int] = []
        self._least = 1
        if is_first:
            later = table.starts[table.starts > start]
            end = later[0] if len(later) else len(table.pts)
            rises = bool((np.diff(table.pts[start:end]) > 0).all())
            self._least = _LEAST_SEEN if rises and end - start > _LEAST_SEEN else 1
        ahead = slice(start, max(indices) + 1 + _FARTHEST)
        self._furthest = int(table.pts[list(indices)].max())
        self._coming = np.sort(self._shown(ahead)).tolist()

    def _shown(self, indices: slice | list[int]) -> np.ndarray:
        """Return the times of the pictures of some packets, leading and hidden ones left out."""
        pts = self._table.pts[indices]
        shown: np.ndarray = pts[self._table.is_shown[indices] & (pts >= self._first)]
        return shown

    @property
    def is_looked_at(self) -> bool:
        """Whether so many pictures came out that their order can be believed."""
        return len(self._seen) >= self._least

    @property
    def is_enough(self) -> bool:
        """Whether all wanted pictures are out or held by the decoder."""
        return self.is_looked_at and self._seen[-1] >= self._furthest

    def take(self, frame: VideoFrame) -> int | None:
        """Check the next picture.

        Returns:
            Its time in ticks; None: it is shown before the start, and its references are not there.

        Raises:
            Unsure: it is not the one that should come.
        """
        seen = self._seen
        if frame.pts is None or (seen and frame.pts <= seen[-1]):
            raise Unsure("the pictures come out in another order than listed")
        if frame.pts < self._first:
            return None
        if not seen and self._table.is_shown[self._start] and not frame.key_frame:
            raise Unsure("the first picture is no keyframe")
        if frame.pts <= self._furthest and frame.pts != self._coming[len(seen)]:
            raise Unsure("a listed picture does not come out")
        seen.append(frame.pts)
        return frame.pts

    def finish(self, fed: Sequence[int]) -> None:
        """Check that all pictures of the decoded packets came out.

        Args:
            fed: indices of these packets.

        Raises:
            Unsure: others came out.
        """
        if self._seen != np.sort(self._shown(list(fed))).tolist():
            raise Unsure("the pictures that come out are not those listed")
