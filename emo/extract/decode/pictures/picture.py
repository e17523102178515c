"""A decoded frame as the picture that is shown: upright, with square pixels, in RGB."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from emo.extract.decode.pictures.display import StoredFrame, square_shape
from emo.machine.libraries import late

if TYPE_CHECKING:
    import av
    import av.filter
    from av.video.frame import VideoFrame
else:
    av = late("av")


class Picture:
    """One decoded frame, converted to RGB only when it is read."""

    def __init__(self, stored: StoredFrame, shape: tuple[int, int] | None) -> None:
        """Keep a frame, to be shown in the shape (H, W); None: its own shape."""
        self._orientation = stored.orientation
        own = square_shape(stored)
        wanted = own if shape is None else self._orientation.turned(shape)
        self.shape = self._orientation.turned(wanted)
        """Height and width (H, W) as shown."""
        frame = stored.frame
        if wanted != own and stored.pixel_aspect == 1.0:
            frame = frame.reformat(width=wanted[1], height=wanted[0], threads=1)
        self._frame, self._scaled = frame, wanted

    @property
    def bytes(self) -> int:
        """Bytes of :attr:`rgb`."""
        return 3 * self.shape[0] * self.shape[1]

    @property
    def is_converted(self) -> bool:
        """Whether :attr:`rgb` exists already."""
        return "rgb" in self.__dict__

    @cached_property
    def rgb(self) -> np.ndarray:
        """Pixels as shown, uint8 (H, W, 3) RGB."""
        if (self._frame.height, self._frame.width) == self._scaled:
            return self._orientation.apply(self._frame.to_ndarray(format="rgb24", threads=1))
        # FFmpeg's tool turns a picture before it makes its pixels square
        height, width = self.shape
        return _scaled(self._frame, f"{width}:{height}", self._orientation.filters)

    def squashed(self, size: int) -> np.ndarray:
        """Return the picture scaled to uint8 (size, size, 3) RGB, as decord scales it.

        The aspect ratio is not kept; the picture is turned and mirrored as it is shown.
        """
        return self._orientation.apply(_scaled(self._frame, f"{size}:{size}:flags=bilinear", ()))


def _scaled(frame: VideoFrame, size: str, before: Sequence[tuple[str, str]]) -> np.ndarray:
    """Scale a frame by FFmpeg's ``scale`` filter to uint8 (H, W, 3) RGB.

    Args:
        frame: the frame.
        size: arguments of the filter.
        before: name and arguments of each filter that comes before it.
    """
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
    )
    filters = [graph.add(*each) for each in (*before, ("scale", size), ("format", "rgb24"))]
    graph.link_nodes(source, *filters, graph.add("buffersink")).configure()
    graph.push(frame)
    scaled = graph.pull()
    assert isinstance(scaled, av.VideoFrame)
    return scaled.to_ndarray()
