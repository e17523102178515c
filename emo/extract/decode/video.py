"""Decode the selected frames of a clip in one sequential pass and keep no others."""

from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import av
import av.filter
import numpy as np
from av.video.frame import VideoFrame

from emo.errors import MediaError
from emo.extract.decode.container import (
    expect_whole,
    open_media,
    origin_seconds,
    packets_from,
    pick,
    reason_of_ffmpeg,
)

_TOLERANCE_SECONDS = 1.0  # a frame that cannot be decoded is replaced by one at most so far away


def frame_seconds(
    path: Path, *, start_seconds: float | None = None, end_seconds: float | None = None
) -> np.ndarray | str:
    """Read the presentation times of a stretch's frames from the packets, without decoding them.

    The counts and lengths that containers declare are often wrong (266 frames declared, 209 shown).

    Args:
        path: a media file.
        start_seconds: start of the stretch, from the start of the file; None: the first frame.
        end_seconds: end of the stretch (exclusive); None: the end of the file.

    Returns:
        float64 (n,), rising, in seconds from the start of the file; or why there are no frames.

    Raises:
        MediaError: the file cannot be read, or ends long before its own index says.
    """
    with open_media(path) as container:
        stream = pick(container.streams.video)
        if stream is None:
            return "the file has no video track"
        seconds = _packet_seconds(path, container, stream, start_seconds, end_seconds)
    if seconds is None:  # packets without times (AVI): only decoding tells
        with open_media(path) as container:
            frames = _decoded(container, pick(container.streams.video), None, path)
            seconds = [time for time, _ in frames]
    if not seconds:
        return "the video has no frames"
    return within(np.unique(seconds), start_seconds=start_seconds, end_seconds=end_seconds)


def within(
    times: np.ndarray, *, start_seconds: float | None, end_seconds: float | None
) -> np.ndarray | str:
    """Return those of the rising times float64 (n,) that lie in a stretch, or why none does."""
    low = -np.inf if start_seconds is None else start_seconds
    found = times[(times >= low) & (times < (np.inf if end_seconds is None else end_seconds))]
    if not len(found):
        return (
            f"no frame between {start_seconds or 0:.2f} s and {end_seconds or np.inf:.2f} s: "
            f"the last is at {times[-1]:.2f} s"
        )
    return found


class Picture:
    """One decoded frame, converted to RGB only when it is read."""

    def __init__(self, frame: VideoFrame, shape: tuple[int, int] | None) -> None:
        """Keep a frame, scaled to the upright shape (H, W); None: its own shape."""
        self._rotations = round(frame.rotation / 90) % 4
        if shape is not None:
            height, width = shape[::-1] if self._rotations % 2 else shape
            if (frame.height, frame.width) != (height, width):
                frame = frame.reformat(width=width, height=height)
        self._frame = frame

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width (H, W) after rotation."""
        height, width = self._frame.height, self._frame.width
        return (width, height) if self._rotations % 2 else (height, width)

    @cached_property
    def rgb(self) -> np.ndarray:
        """Pixels after rotation, uint8 (H, W, 3) RGB."""
        return self._upright(self._frame.to_ndarray(format="rgb24"))

    def squashed(self, size: int) -> np.ndarray:
        """Return the picture scaled to uint8 (size, size, 3) RGB, as decord scales it.

        The aspect ratio is not kept; the rotation is applied.
        """
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=self._frame.width, height=self._frame.height, format=self._frame.format,
            time_base=Fraction(1, 1000),
        )  # fmt: skip
        scale = graph.add("scale", f"{size}:{size}:flags=bilinear")
        rgb, sink = graph.add("format", "rgb24"), graph.add("buffersink")
        graph.link_nodes(source, scale, rgb, sink).configure()
        graph.push(self._frame)
        scaled = graph.pull()
        assert isinstance(scaled, VideoFrame)
        return self._upright(scaled.to_ndarray())

    def _upright(self, image: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.rot90(image, self._rotations))


def read_pictures(path: Path, wanted_seconds: np.ndarray) -> Iterator[tuple[float, Picture]]:
    """Decode the frames shown at the selected times.

    A frame that the decoder leaves out is replaced by the nearest decoded one. The rotation in the
    file's metadata is applied. If the picture size changes within the track, later pictures are
    scaled to the first size.

    Args:
        path: a file with a video track.
        wanted_seconds: float64 (F,), rising times from :func:`frame_seconds`.

    Yields:
        For each of the F times the time of the decoded frame and its picture.

    Raises:
        MediaError: decoding broke before the last wanted frame; the message says at which second.
    """
    shape: tuple[int, int] | None = None
    for seconds, frame in shown_frames(path, wanted_seconds):
        picture = Picture(frame, shape)
        shape = shape or picture.shape
        yield seconds, picture


def shown_frames(path: Path, wanted_seconds: np.ndarray) -> Iterator[tuple[float, VideoFrame]]:
    """Decode the frames shown at the selected times float64 (F,), without converting them.

    Yields:
        For each time the time of the decoded frame and the frame; see :func:`read_pictures`.
    """
    done = 0
    with open_media(path) as container:
        stream = pick(container.streams.video)
        before: tuple[float, VideoFrame] | None = None
        decoded = _decoded(container, stream, float(wanted_seconds[0]), path)
        for after in chain(decoded, [None]):
            while done < len(wanted_seconds) and (
                after is None or wanted_seconds[done] <= after[0]
            ):
                yield _nearest(float(wanted_seconds[done]), before, after, path)
                done += 1
            if done == len(wanted_seconds):
                return
            before = after


def _packet_seconds(
    path: Path, container: Any, stream: Any, start: float | None, end: float | None
) -> list[float] | None:
    origin, seconds = origin_seconds(container), []
    for packet in packets_from(container, stream, start):
        if packet.size == 0:
            continue
        if packet.pts is None:
            return None
        if not packet.is_discard:
            seconds.append(float(packet.pts * packet.time_base) - origin)
        reached = packet.pts if packet.dts is None else packet.dts
        if end is not None and float(reached * packet.time_base) - origin >= end:
            return seconds
    expect_whole(
        path, container, stream, max(seconds, default=0.0), start_seconds=start, end_seconds=end
    )
    return seconds


def _decoded(
    container: Any, stream: Any, start: float | None, path: Path
) -> Iterator[tuple[float, VideoFrame]]:
    stream.thread_count = 1  # several clips run in parallel instead
    origin, step = origin_seconds(container), float(1 / (stream.average_rate or 25))
    seconds = -step
    for packet in packets_from(container, stream, start):
        broken = None
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            broken, frames = error, _drain(stream)
        for frame in frames:
            seconds = seconds + step if frame.time is None else frame.time - origin
            yield seconds, frame
        if broken is not None:
            at = seconds if packet.pts is None else float(packet.pts * packet.time_base) - origin
            raise MediaError(
                f"{path.name}: decoding broke at {at:.2f} s: {reason_of_ffmpeg(broken)}"
            )


def _drain(stream: Any) -> list[VideoFrame]:
    try:
        return list(stream.codec_context.decode(None))
    except av.error.FFmpegError:
        return []


def _nearest(
    wanted: float,
    before: tuple[float, VideoFrame] | None,
    after: tuple[float, VideoFrame] | None,
    path: Path,
) -> tuple[float, VideoFrame]:
    candidates = [pair for pair in (before, after) if pair is not None]
    nearest = min(candidates, key=lambda pair: abs(pair[0] - wanted), default=None)
    if nearest is None or abs(nearest[0] - wanted) > _TOLERANCE_SECONDS:
        raise MediaError(
            f"{path.name}: decoding broke at {wanted:.2f} s: the decoder returned no frame"
        )
    return nearest
