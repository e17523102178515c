"""Note the damaged pictures of a file while it is decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from emo.extract.decode.pictures.decoder import BrokenPacket
from emo.extract.decode.pictures.losses import NO_LOSSES, Losses

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_SAME_SECONDS = 1e-6
"""Two times that differ by less belong to one frame."""


@dataclass
class Damage:
    """Times of the damaged pictures of a file, as far as it was decoded.

    A picture is damaged if FFmpeg's decoder flags it, if it is predicted from a damaged one (all
    pictures up to the next keyframe count), if it did not come out of the decoder, or if the
    damaged file does not hold it.
    """

    seconds: list[float] = field(default_factory=list)
    """Time of each damaged picture."""
    broken: list[BrokenPacket] = field(default_factory=list)
    """Packets that could not be decoded."""

    def watched(
        self,
        frames: Iterable[tuple[float, VideoFrame]],
        expected: np.ndarray | None,
        losses: Losses = NO_LOSSES,
    ) -> Iterator[tuple[float, VideoFrame]]:
        """Yield decoded frames unchanged and note which are damaged.

        Args:
            frames: times and frames, in the decoder's order.
            expected: float64 (n,), rising times at which a frame should come out; None: whatever
                comes out, so that each broken packet counts as one lost picture.
            losses: pictures that the file lost.
        """
        lost, doubtful = set(losses.lost.tolist()), losses.doubtful
        waiting = iter(sorted(lost.union(() if expected is None else expected.tolist())))
        next_time, seen, is_spoiled, seconds = next(waiting, np.inf), 0, False, 0.0
        for seconds, frame in frames:
            while next_time < seconds - _SAME_SECONDS:
                self.seconds.append(next_time)
                is_spoiled = is_spoiled or (next_time in lost and not len(doubtful))
                next_time = next(waiting, np.inf)
            if next_time <= seconds + _SAME_SECONDS:
                next_time = next(waiting, np.inf)
            before, seen = seen, self._broken_until(seconds if expected is not None else np.inf)
            if expected is None:
                self.seconds += [seconds] * (seen - before)
            is_doubtful = _holds(doubtful, seconds)
            is_spoiled = not frame.key_frame and (is_spoiled or seen > before or is_doubtful)
            is_spoiled = is_spoiled or frame.is_corrupt
            if is_spoiled or is_doubtful:
                self.seconds.append(seconds)
            yield seconds, frame
        if expected is None:
            self.seconds += [seconds] * (len(self.broken) - seen)
        self.seconds += [time for time in (next_time, *waiting) if time < np.inf]

    def mark(self) -> tuple[int, int]:
        """Return how much is noted, for :meth:`forget_since`."""
        return len(self.seconds), len(self.broken)

    def forget_since(self, mark: tuple[int, int]) -> None:
        """Drop what was noted since a :meth:`mark`, because it is decoded again."""
        del self.seconds[mark[0] :], self.broken[mark[1] :]

    def _broken_until(self, seconds: float) -> int:
        """Return the number of broken packets up to a time."""
        return sum(packet.seconds <= seconds for packet in self.broken)

    def between(self, first: float, last: float) -> int:
        """Return the number of damaged pictures from one time to another, both included."""
        return sum(first <= seconds <= last for seconds in self.seconds)


def _holds(times: np.ndarray, seconds: float) -> bool:
    """Return whether a time is among others."""
    return bool(len(times)) and bool(np.abs(times - seconds).min() <= _SAME_SECONDS)
