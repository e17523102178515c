"""Keep sound and picture in step where the clock of a file starts again, as in joined recordings.

The pictures go on one step after the last one before the restart (clock.py does the same for them);
the sound follows them, although it ended a little earlier or later.
"""

from itertools import pairwise

import numpy as np

from emo.extract.decode.container import open_media, packets_of, pick
from emo.extract.decode.sources.media_file import MediaPath

_BACK_SECONDS = 0.1
"""Decoding times that fall by more are a clock that starts again, as in FFmpeg's tool."""
_NEAR_SECONDS = 2.0
"""Sound ends at most so much earlier or later than the pictures of its recording."""


class Restarts:
    """Offsets of the clocks of a file's recordings, read when they are needed."""

    def __init__(self, path: MediaPath) -> None:
        """Read nothing yet; ``path`` is the file."""
        self._path = path
        self._offsets: np.ndarray | None = None

    def offset(self, own_seconds: float) -> float:
        """Return what to add to the times of the sound after a restart.

        Args:
            own_seconds: what to add so that the sound follows directly on the sound before.
        """
        if self._offsets is None:
            self._offsets = picture_offsets(self._path)
        if not len(self._offsets):
            return own_seconds
        nearest = float(self._offsets[np.abs(self._offsets - own_seconds).argmin()])
        return nearest if abs(nearest - own_seconds) <= _NEAR_SECONDS else own_seconds


def picture_offsets(path: MediaPath) -> np.ndarray:
    """Return what is added to the times of the pictures after each restart, float64 (n,)."""
    with open_media(path) as container:
        stream = pick(container.streams.video)
        if stream is None:
            return np.zeros(0)
        packets = [
            (packet.pts, packet.pts if packet.dts is None else packet.dts)
            for packet in packets_of(container, stream)
            if packet.size and packet.pts is not None
        ]
        tick = float(stream.time_base)
    if not packets:
        return np.zeros(0)
    shown, decoded = np.array(packets, np.float64).T * tick
    bounds = [0, *(np.flatnonzero(np.diff(decoded) < -_BACK_SECONDS) + 1).tolist(), len(shown)]
    offsets: list[float] = []
    end = 0.0
    for low, high in pairwise(bounds):
        part = np.sort(shown[low:high])
        step = float(np.median(np.diff(part))) if len(part) > 1 else 0.0
        offsets.append(end - part[0] if low else 0.0)
        end = part[-1] + offsets[-1] + step
    return np.array(offsets[1:])
