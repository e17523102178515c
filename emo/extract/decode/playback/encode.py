"""Encode what emo decodes of a clip as a small file that every browser plays."""

from __future__ import annotations

import heapq
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
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

MOST_COPIED_SECONDS = 300.0
"""Seconds of a clip that are encoded; of a longer one the first."""
_CLOCK = 90_000
"""Ticks a second of the pictures' times."""
_SOUND_RATES = {"aac": 44_100, "libopus": 48_000}
"""Encoder -> samples a second; Opus has no others."""
_KINDS = (
    ("mp4", "video/mp4", "libx264", {"preset": "veryfast", "bf": "0"}, "aac"),
    ("webm", "video/webm", "libvpx", {"deadline": "realtime", "cpu-used": "8"}, "libopus"),
)
"""Container, its type, encoder of pictures with options, encoder of sound: the first that this
build of PyAV has is taken. Its wheels have x264."""


@dataclass(frozen=True)
class CopyForm:
    """How large a copy is."""

    height: int = 240
    """Height of the pictures in pixels; lower ones keep theirs."""
    pictures_per_second: float = 30.0
    """Pictures a second; of more, some are left out."""
    crf: int = 27
    """Quality of x264; a higher number is a smaller file."""
    sound_bits: int | None = None
    """Bits a second of the sound; None: the encoder's own choice."""
    is_mono: bool = False
    """Whether channels are averaged."""


FULL_COPY = CopyForm()
"""What `emo view` plays."""
SMALL_COPY = CopyForm(pictures_per_second=12.0, crf=30, sound_bits=32_000, is_mono=True)
"""What `emo report --media` embeds."""
_MP3_RATE = 16_000
"""Samples a second of an MP3."""


@dataclass(frozen=True)
class EncodedClip:
    """A clip as a small file."""

    data: bytes
    """The file."""
    media_type: str
    """Media type of the file, such as ``video/mp4``."""


def encode_clip(source: ClipSource, *, form: CopyForm = FULL_COPY) -> EncodedClip:
    """Encode the pictures and the sound of a clip as emo decodes them.

    Pictures are upright, with square pixels; the sound is that of the clip's own file, track and
    channel. Both begin at the clip's start.

    Args:
        source: the clip; its text does not matter. A still picture is left out.
        form: how large the copy is.

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
    frames: Iterator[VideoFrame] = iter(())
    if not isinstance(listed, str) and not isinstance(times, str):
        frames = _pictures(source, listed, times, form)
    sound = sound_of(source, budget_of(source))
    if isinstance(times, str) and sound.samples is None:
        raise MediaError(f"nothing to play: {times}; {sound.absent}")
    return _written(frames, sound.samples, sound.sample_rate or 0, form)


def encode_sound(source: ClipSource, *, form: CopyForm = SMALL_COPY) -> EncodedClip:
    """Encode the sound of a clip, as emo decodes it, as MP3 with one channel.

    Args:
        source: the clip.
        form: how large the copy is.

    Raises:
        MediaError: it has no sound, or it cannot be decoded.
    """
    source = shortened_source(source)
    sound = sound_of(source, budget_of(source))
    if sound.samples is None or not sound.samples.shape[-1]:
        raise MediaError(sound.absent or "the clip has no sound")
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        track: Any = container.add_stream("libmp3lame", rate=_MP3_RATE, layout="mono")
        if form.sound_bits is not None:
            track.bit_rate = form.sound_bits
        mono = sound.samples.mean(0, keepdims=True)
        for _, packets in _sound_packets(mono, sound.sample_rate or 0, track):
            container.mux(packets)
    return EncodedClip(file.getvalue(), "audio/mpeg")


def shortened_source(source: ClipSource) -> ClipSource:
    """Return a source of at most the first ``MOST_COPIED_SECONDS`` of a clip."""
    end = (source.start_seconds or 0.0) + MOST_COPIED_SECONDS
    return replace(source, end_seconds=min(end, source.end_seconds or end))


def _written(
    frames: Iterator[VideoFrame], samples: np.ndarray | None, sample_rate: int, form: CopyForm
) -> EncodedClip:
    """Write pictures and samples float32 (channels, S) as one file in memory."""
    name, media_type, codec, options, sound_codec = next(
        (kind for kind in _KINDS if {kind[2], kind[4]} <= av.codec.codecs_available), _KINDS[0]
    )
    if codec == "libx264":
        options = {**options, "crf": str(form.crf)}
    if samples is not None and form.is_mono:
        samples = samples.mean(0, keepdims=True)
    file = io.BytesIO()
    with av.open(file, "w", format=name) as container:
        parts = []
        if first := next(frames, None):
            pictures: Any = container.add_stream(codec, rate=30, options=options)
            pictures.width, pictures.height = first.width, first.height
            pictures.pix_fmt = "yuv420p"
            pictures.codec_context.time_base = Fraction(1, _CLOCK)
            parts.append(_picture_packets(chain([first], frames), pictures))
        else:
            media_type = media_type.replace("video", "audio")
        if samples is not None:
            sound: Any = container.add_stream(sound_codec, rate=_SOUND_RATES[sound_codec])
            sound.layout = "stereo" if len(samples) == 2 else "mono"
            if form.sound_bits is not None:
                sound.bit_rate = form.sound_bits
            parts.append(_sound_packets(samples, sample_rate, sound))
        for _, packets in heapq.merge(*parts, key=lambda part: part[0]):  # in the order of time
            container.mux(packets)
    return EncodedClip(file.getvalue(), media_type)


def _picture_packets(frames: Iterable[VideoFrame], track: Any) -> Iterator[tuple[float, Any]]:
    """Yield the time in seconds and the encoded packets of each picture."""
    for frame in frames:
        yield (frame.pts or 0) / _CLOCK, track.encode(frame)
    yield np.inf, track.encode(None)


def _sound_packets(
    samples: np.ndarray, sample_rate: int, track: Any
) -> Iterator[tuple[float, Any]]:
    """Yield the start in seconds and the encoded packets of each second of the sound."""
    if len(samples) > 2:
        samples = samples.mean(0, keepdims=True)
    resampler = av.AudioResampler(format="fltp", layout=track.layout, rate=track.rate)
    for low in range(0, samples.shape[1], sample_rate):
        piece = np.clip(samples[:, low : low + sample_rate], -1, 1).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(piece), format="fltp", layout=track.layout.name
        )
        frame.sample_rate, frame.pts, frame.time_base = sample_rate, low, Fraction(1, sample_rate)
        packets = [packet for each in resampler.resample(frame) for packet in track.encode(each)]
        yield low / sample_rate, packets
    rest = [packet for each in resampler.resample(None) for packet in track.encode(each)]
    yield np.inf, [*rest, *track.encode(None)]


def _pictures(
    source: ClipSource, listed: FrameList, times: np.ndarray, form: CopyForm
) -> Iterator[VideoFrame]:
    """Yield the pictures of a clip, upright and scaled, with their times from the clip's start."""
    assert source.video is not None
    wanted = _thinned(times, form.pictures_per_second)
    seconds = (wanted - (source.start_seconds or 0.0)).tolist()
    scaler, last = _Scaler(form.height), -1
    shown = shown_frames(source.video, wanted, listed)
    for time, (_, stored) in zip(seconds, shown, strict=True):
        frame = scaler.scaled(stored)
        frame.time_base = Fraction(1, _CLOCK)
        frame.pts = last = max(last + 1, round(max(0.0, time) * _CLOCK))
        yield frame


class _Scaler:
    """Turns pictures upright and scales them to the shape of the first one."""

    def __init__(self, height: int) -> None:
        """Begin without having seen a picture.

        Args:
            height: largest height in pixels.
        """
        self._height, self._shape = height, (0, 0)
        self._graphs: dict[object, Any] = {}

    def scaled(self, stored: StoredFrame) -> VideoFrame:
        """Return a picture in 4:2:0, of at most the height, with square pixels."""
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


def _thinned(seconds: np.ndarray, most: float) -> np.ndarray:
    """Return the times of at most ``most`` pictures a second."""
    slots = np.floor((seconds - seconds[0]) * most + 1e-3)
    first = np.flatnonzero(np.diff(slots, prepend=-1.0) > 0)
    thinned: np.ndarray = seconds[first]
    return thinned
