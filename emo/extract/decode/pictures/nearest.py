"""Choose for each wanted time the nearest of the frames that a decoder gives in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from emo.errors import MediaError

if TYPE_CHECKING:
    import numpy as np
    from av.video.frame import VideoFrame

    from emo.extract.decode.pictures.damage import Damage
    from emo.extract.decode.sources.media_file import MediaPath

_TOLERANCE_SECONDS = 1.0  # a frame that cannot be decoded is replaced by one at most so far away
_SAME_SECONDS = 1e-6
"""Two times that differ by less belong to one frame."""
_LATE_FRAMES = 8
"""Frames behind its place in which a missing frame is looked for: after damage a decoder may give
one after frames that are shown later."""


def nearest_frames(
    decoded: Iterator[tuple[float, VideoFrame]], wanted: np.ndarray, damage: Damage, path: MediaPath
) -> Iterator[tuple[float, VideoFrame]]:
    """Yield for each wanted time the nearest of the decoded frames.

    Args:
        decoded: times and frames in the decoder's order, which is that of time, save after damage.
        wanted: float64 (F,), rising times.
        damage: packets that could not be decoded, for the message.
        path: the file, for the message.

    Raises:
        MediaError: no frame is near a wanted time.
    """
    done = 0
    before: tuple[float, VideoFrame] | None = None
    source = _Lookahead(decoded)
    while done < len(wanted):
        after = source.take()
        while done < len(wanted) and (after is None or wanted[done] <= after[0]):
            seconds = float(wanted[done])
            is_there = any(pair and _is_at(pair, seconds) for pair in (before, after))
            late = None if is_there or after is None else source.find(seconds)
            yield late or _nearest(seconds, before, after, path, damage)
            done += 1
        if before is None or after is None or not after[0] < before[0]:  # a late one changes none
            before = after


class _Lookahead:
    """Gives decoded frames in order, and decodes some ahead to look for one that comes late."""

    def __init__(self, decoded: Iterator[tuple[float, VideoFrame]]) -> None:
        self._decoded = chain(decoded, [None])
        self._ahead: deque[tuple[float, VideoFrame] | MediaError | None] = deque()

    def take(self) -> tuple[float, VideoFrame] | None:
        """Return the next frame; None behind the last one."""
        found = self._ahead.popleft() if self._ahead else next(self._decoded)
        if isinstance(found, MediaError):
            raise found
        return found

    def find(self, seconds: float) -> tuple[float, VideoFrame] | None:
        """Return the frame of a time among the next ones, which stay to be taken; None: none."""
        for index in range(_LATE_FRAMES):
            if index == len(self._ahead):
                if self._ahead and not isinstance(self._ahead[-1], tuple):
                    return None  # nothing follows the end or an error
                try:
                    self._ahead.append(next(self._decoded))
                except MediaError as error:
                    self._ahead.append(error)  # raised when its turn comes
            pair = self._ahead[index]
            if isinstance(pair, tuple) and _is_at(pair, seconds):
                return pair
        return None


def _is_at(pair: tuple[float, VideoFrame], seconds: float) -> bool:
    return abs(pair[0] - seconds) <= _SAME_SECONDS


def _nearest(
    wanted: float,
    before: tuple[float, VideoFrame] | None,
    after: tuple[float, VideoFrame] | None,
    path: MediaPath,
    damage: Damage,
) -> tuple[float, VideoFrame]:
    candidates = [pair for pair in (before, after) if pair is not None]
    nearest = min(candidates, key=lambda pair: abs(pair[0] - wanted), default=None)
    if nearest is None or abs(nearest[0] - wanted) > _TOLERANCE_SECONDS:
        at, reason = wanted, "the decoder returned no frame"
        if damage.broken:
            at, reason = damage.broken[0].seconds, damage.broken[0].reason
        raise MediaError(f"{path.name}: decoding broke at {at:.2f} s: {reason}")
    return nearest
