"""Encode what emo decodes of a clip as a small file that every browser plays."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from emo.errors import MediaError
from emo.extract.decode.decode import NO_VIDEO, budget_of, sound_of
from emo.extract.decode.pictures.display import StoredFrame, square_shape
from emo.extract.decode.pictures.frame_list import FrameList, list_frames
from emo.extract.decode.pictures.still import is_still
from emo.extract.decode.pictures.video import shown_frames
from emo.extract.decode.source import ClipSource
from emo.machine.libraries import late

if TYPE_CHECKING:
    import av
    import av.filter
    from av.video.frame import VideoFrame
else:
    av = late("av")

MOST_SECONDS = 300.0
"""Seconds of a clip that are encoded; of a longer one the first."""
HEIGHT = 240
"""Height of the pictures in pixels; lower ones keep theirs."""
_MOST_RATE = 30.0
"""Pictures a second; of more, some are left out."""
_CLOCK = 90_000
"""Ticks a second of the pictures' times."""
_SOUND_RATE = 44_100
_KINDS = (
    ("mp4", "video/mp4", "libx264", {"preset": "veryfast", "crf": "27", "bf": "0"}, "aac"),
    ("webm", "video/webm", "libvpx", {"deadline": "realtime", "cpu-used": "8"}, "libopus"),
)
"""Container, its type, encoder of pictures with options, encoder of sound: the first that this
build of PyAV has is taken. Its wheels have x264."""


@dataclass(frozen=True)
class EncodedClip:
    """A clip as a small file."""

    data: bytes
    """The file."""
    media_type: str
    """Its type, such as ``video/mp4``."""


def encode_clip(source: ClipSource, *, height: int = HEIGHT) -> EncodedClip:
    """Encode the pictures and the sound of a clip as emo decodes them.

    Pictures are upright, with square pixels; the sound is that of the clip's own file, track and
    channel. Both begin at the clip's start.

    Args:
        source: the clip; its text does not matter. A still picture is left out.
        height: height of the pictures in pixels.

    Raises:
        MediaError: it has neither pictures nor sound, or one of them cannot be decoded.
    """
    source = shortened_source(source)
    listed: FrameList | str = NO_VIDEO
    if source.video is not None and not is_still(source.video):
        listed = list_frames(
            source.video, start_seconds=source.start_seconds, end_seconds=source.end_seconds
        )
    times = listed if isinstance(listed, str) else listed.within(
        source.start_seconds, source.end_seconds)  # fmt: skip
    sound = sound_of(source, budget_of(source))
    if isinstance(times, str) and sound.samples is None:
        raise MediaError(f"nothing to play: {times}; {sound.absent}")
    return _written(source, listed, times, sound.samples, sound.sample_rate or 0, height)


def shortened_source(source: ClipSource) -> ClipSource:
    """Return a source of at most the first ``MOST_SECONDS`` of a clip."""
    end = (source.start_seconds or 0.0) + MOST_SECONDS
    return replace(source, end_seconds=min(end, source.end_seconds or end))


def _written(
    source: ClipSource, listed: FrameList | str, times: np.ndarray | str,
    samples: np.ndarray | None, sample_rate: int, height: int,
) -> EncodedClip:  # fmt: skip
    """Write pictures at ``times`` and samples float32 (channels, S) as one file in memory."""
    name, media_type, codec, options, sound_codec = next(
        (kind for kind in _KINDS if {kind[2], kind[4]} <= av.codec.codecs_available), _KINDS[0]
    )
    if isinstance(times, str):
        media_type = media_type.replace("video", "audio")
    file = io.BytesIO()
    with av.open(file, "w", format=name) as container:
        pictures = _Pictures(source, listed, times, height)
        picture_track: Any = None
        blocks: Iterator[tuple[float, Any]] = iter(())
        first = next(pictures.frames, None)
        if first is not None:
            picture_track = container.add_stream(codec, rate=30, options=options)
            picture_track.width, picture_track.height = first.width, first.height
            picture_track.pix_fmt = "yuv420p"
            picture_track.codec_context.time_base = Fraction(1, _CLOCK)
        if samples is not None:
            rate = _SOUND_RATE if sound_codec == "aac" else 48_000
            track: Any = container.add_stream(sound_codec, rate=rate)
            track.layout = "stereo" if len(samples) == 2 else "mono"
            blocks = _blocks(samples, sample_rate, track)
        sound_until = 0.0
        while first is not None:
            while sound_until <= first.pts / _CLOCK and (block := next(blocks, None)):
                sound_until = block[0]
                container.mux(block[1])
            container.mux(picture_track.encode(first))
            first = next(pictures.frames, None)
        if picture_track is not None:
            container.mux(picture_track.encode(None))
        for _, packets in blocks:
            container.mux(packets)
    return EncodedClip(file.getvalue(), media_type)


class _Pictures:
    """The pictures of a clip, upright and scaled, with their times from the clip's start."""

    def __init__(
        self, source: ClipSource, listed: FrameList | str, times: np.ndarray | str, height: int
    ) -> None:
        self._height, self._shape = height, (0, 0)
        self._graphs: dict[object, Any] = {}
        self.frames: Iterator[VideoFrame] = iter(())
        if not isinstance(times, str) and not isinstance(listed, str) and source.video:
            wanted = _thinned(times)
            shown = shown_frames(source.video, wanted, listed)
            self.frames = self._scaled(shown, wanted - (source.start_seconds or 0.0))

    def _scaled(
        self, shown: Iterator[tuple[float, StoredFrame]], seconds: np.ndarray
    ) -> Iterator[VideoFrame]:
        last = -1
        for time, (_, stored) in zip(seconds.tolist(), shown, strict=True):
            frame = self._through_graph(stored)
            frame.time_base = Fraction(1, _CLOCK)
            frame.pts = last = max(last + 1, round(max(0.0, time) * _CLOCK))
            yield frame

    def _through_graph(self, stored: StoredFrame) -> VideoFrame:
        frame, turn = stored.frame, stored.orientation
        if not self._shape[0]:
            high, wide = turn.turned(square_shape(stored))
            scale = min(1.0, self._height / high)
            self._shape = _even(high * scale), _even(wide * scale)
        key = frame.width, frame.height, frame.format.name, turn
        if key not in self._graphs:
            graph = av.filter.Graph()
            source = graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format,
                time_base=Fraction(1, _CLOCK),
            )  # fmt: skip
            size = f"{self._shape[1]}:{self._shape[0]}"
            steps = [*turn.filters, ("scale", size), ("format", "yuv420p"), ("setsar", "1")]
            filters = [graph.add(*step) for step in steps]
            graph.link_nodes(source, *filters, graph.add("buffersink")).configure()
            self._graphs[key] = graph
        graph = self._graphs[key]
        graph.push(frame)
        found: VideoFrame = graph.pull()
        found.pict_type = av.video.frame.PictureType.NONE
        return found


def _even(size: float) -> int:
    """Return a size to which pictures with colour at half size can be scaled."""
    return max(2, 2 * round(size / 2))


def _thinned(seconds: np.ndarray) -> np.ndarray:
    """Return the times of at most ``_MOST_RATE`` pictures a second."""
    slots = np.floor((seconds - seconds[0]) * _MOST_RATE + 1e-3)
    first = np.flatnonzero(np.diff(slots, prepend=-1.0) > 0)
    thinned: np.ndarray = seconds[first]
    return thinned


def _blocks(samples: np.ndarray, sample_rate: int, track: Any) -> Iterator[tuple[float, Any]]:
    """Yield the end in seconds and the encoded packets of each second of the sound."""
    if len(samples) > 2:
        samples = samples.mean(0, keepdims=True)
    resampler = av.AudioResampler(format="fltp", layout=track.layout, rate=track.rate)
    step = max(1, sample_rate)
    for low in range(0, samples.shape[1], step):
        piece = np.clip(samples[:, low : low + step], -1, 1).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(piece), format="fltp", layout=track.layout.name
        )
        frame.sample_rate, frame.pts, frame.time_base = sample_rate, low, Fraction(1, step)
        packets = [packet for each in resampler.resample(frame) for packet in track.encode(each)]
        yield (low + step) / step, packets
    rest = [packet for each in resampler.resample(None) for packet in track.encode(each)]
    yield np.inf, [*rest, *track.encode(None)]
