"""How a stored frame is shown: turned and mirrored as its matrix says, with square pixels."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from emo.machine.libraries import late

if TYPE_CHECKING:
    import av
    import av.filter
    from av.video.frame import VideoFrame
else:
    av = late("av")

_MOST_STRETCH = 10.0
"""Pixels declared to be more than so many times as wide as high, or the reverse, are an error in
the file and count as square."""


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to turn and mirror a stored picture before it is shown."""

    is_transposed: bool = False
    """Whether rows and columns are swapped, before the two other steps."""
    is_mirrored: bool = False
    """Whether left and right are then swapped."""
    is_flipped: bool = False
    """Whether top and bottom are then swapped."""

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Return a stored picture uint8 (H, W, 3) as it is shown; (W, H, 3) if it is transposed."""
        name = _TURNS.get((self.is_transposed, self.is_mirrored))
        if name is not None:
            image = _turned(np.ascontiguousarray(image), name)
        return np.ascontiguousarray(image[::-1] if self.is_flipped else image)

    @property
    def filters(self) -> list[tuple[str, str]]:
        """Name and arguments of FFmpeg's filters that do what :meth:`apply` does."""
        steps = {
            ("transpose", "cclock_flip"): self.is_transposed,
            ("hflip", ""): self.is_mirrored,
            ("vflip", ""): self.is_flipped,
        }
        return [name for name, is_done in steps.items() if is_done]

    def turned(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return the shape (H, W) of a picture after :meth:`apply`; twice: the shape itself."""
        return shape[::-1] if self.is_transposed else shape


_TURNS = {
    (True, False): "transpose=cclock_flip",
    (True, True): "transpose=clock",
    (False, True): "hflip",
}
"""Whether rows and columns are swapped, and left and right then -> the filter that does it."""
_MOST_GRAPHS = 4
_graphs = threading.local()


def _turned(image: np.ndarray, name: str) -> np.ndarray:
    """Turn a picture uint8 (H, W, 3) by a filter of FFmpeg, in a fifth of the time of NumPy.

    The filters of a thread are kept: building one takes as long as turning a small picture.
    """
    known = _graphs.__dict__
    key = f"{name} {image.shape}"
    if key not in known:
        if len(known) >= _MOST_GRAPHS:
            known.clear()
        known[key] = _graph(image.shape[1], image.shape[0], name)
    graph = known[key]
    graph.push(av.VideoFrame.from_ndarray(image, format="rgb24"))
    turned: np.ndarray = graph.pull().to_ndarray()
    return turned


def _graph(width: int, height: int, name: str) -> Any:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=width, height=height, format=av.VideoFormat("rgb24", width, height),
        time_base=Fraction(1, 1000),
    )  # fmt: skip
    filter_name, _, arguments = name.partition("=")
    graph.link_nodes(source, graph.add(filter_name, arguments), graph.add("buffersink"))
    graph.configure()
    return graph


@dataclass(frozen=True)
class StoredFrame:
    """A decoded frame, and how its pixels are shown."""

    frame: VideoFrame
    """The frame as the decoder gives it."""
    orientation: Orientation = Orientation()
    """How it is turned and mirrored."""
    pixel_aspect: float = 1.0
    """Width of a stored pixel divided by its height."""


def orientation_of(frame: VideoFrame) -> Orientation:
    """Return how a frame is turned and mirrored: its display matrix, to the nearest quarter turn.

    FFmpeg's tool does the same (``-autorotate``), except that it turns by other angles, too.

    The matrix is read from a copy of 2 x 2 pixels: PyAV's ``side_data`` and its frame refer to each
    other, so that the frame stays in memory until the garbage collector comes.
    """
    copy = av.video.reformatter.VideoReformatter().reformat(
        frame, width=2, height=2, format="rgb24", interpolation="POINT"
    )
    data = copy.side_data.get("DISPLAYMATRIX")
    if data is None:
        return Orientation()
    # x' = a x + c y and y' = b x + d y, y pointing down; the rest of the matrix moves the picture
    a, b, _, c, d = np.frombuffer(data, np.int32)[:5].tolist()  # type: ignore[call-overload]
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(True, c < 0, b < 0)
    return Orientation(False, a < 0, d < 0)


def pixel_aspect_of(stream: Any) -> float:
    """Return the width of a stored pixel of a video track divided by its height.

    The container's statement counts before the codec's. Unknown and absurd ones count as 1.
    """
    ratio = stream.sample_aspect_ratio
    if not ratio or not 1 / _MOST_STRETCH <= ratio <= _MOST_STRETCH:
        return 1.0
    return float(ratio.numerator / ratio.denominator)


def square_shape(stored: StoredFrame) -> tuple[int, int]:
    """Return the shape (H, W) to which a stored frame is scaled so that its pixels are square.

    The height of the picture as it is shown is kept and its width changes, rounded down, as
    FFmpeg's ``scale=iw*sar:ih`` does.
    """
    height, width = stored.frame.height, stored.frame.width
    if stored.pixel_aspect == 1.0:
        return height, width
    if stored.orientation.is_transposed:
        return max(1, int(height / stored.pixel_aspect)), width
    return height, max(1, int(width * stored.pixel_aspect))
