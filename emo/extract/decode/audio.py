"""Decode the audio of a clip: float32, every channel, at the file's own sample rate."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame

from emo.errors import MediaError
from emo.extract.decode.container import (
    always_from_start,
    expect_whole,
    open_media,
    origin_seconds,
    packets_from,
    pick,
    reason_of_ffmpeg,
)

Audio = tuple[np.ndarray, int]
"""Samples float32 (channels, S) and their sample rate in Hz."""
_NAMED_CHANNELS = {"left": 0, "right": 1}


def read_audio(
    path: Path, *, channel: str, start_seconds: float | None, end_seconds: float | None
) -> Audio | str:
    """Decode the audio between two times, to the sample.

    The channels are not mixed, because FFmpeg's own down-mix is sqrt(2) louder than their mean, and
    samples outside [-1, 1] are kept.

    Args:
        path: a media file.
        channel: ``mix`` keeps all channels; ``left``, ``right`` or a 0-based number keeps one.
        start_seconds: start of the stretch, from the start of the file; None: the first sample.
        end_seconds: end of the stretch (exclusive); None: the end of the file.

    Returns:
        Samples float32 (channels, S) and their sample rate, or the reason why there are none.

    Raises:
        MediaError: decoding broke, the channel does not exist, a sample is not finite, or a file
            without a video track holds no samples.
    """
    with AudioPass(path, channel=channel, start_seconds=start_seconds) as audio:
        return audio.read(start_seconds, end_seconds)


class AudioPass(AbstractContextManager["AudioPass"]):
    """Read several stretches of a file's audio in one decoding pass; see :func:`read_audio`."""

    def __init__(self, path: Path, *, channel: str, start_seconds: float | None) -> None:
        """Open the file.

        Args:
            path: a media file.
            channel: ``mix``, ``left``, ``right`` or a 0-based number.
            start_seconds: earliest start of the stretches that will be read; None: the file's.
        """
        self._path, self._channel = path, channel
        self._stack = ExitStack()
        self._container = container = self._stack.enter_context(open_media(path))
        self.is_from_start = always_from_start(container)
        """Whether every stretch is decoded from the start of the file, even if read alone."""
        self._stream = stream = pick(container.streams.audio)
        self._has_video = bool(container.streams.video)
        self._frames: Iterator[tuple[AudioFrame, float]] | None = None
        if stream is not None:
            stream.thread_count = 1
            self._frames = _frames(container, stream, start_seconds, path)
        self._kept: deque[_AudioBlock] = deque()
        """Decoded blocks that may overlap this stretch or a later one."""
        self._end: float | None = None
        """End of the decoded audio in seconds; None: nothing was decoded yet."""

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def read(self, start_seconds: float | None, end_seconds: float | None) -> Audio | str:
        """Decode a stretch that starts no earlier than the one read before it.

        Returns:
            Samples float32 (channels, S) and their sample rate, or the reason why there are none.
        """
        if self._frames is None:
            return "the file has no audio track"
        if not self._decode(
            start_seconds or -np.inf, np.inf if end_seconds is None else end_seconds
        ):
            expect_whole(
                self._path, self._container, self._stream, self._end or 0.0,
                start_seconds=start_seconds, end_seconds=end_seconds,
            )  # fmt: skip
        if self._end is None:
            if not self._has_video:
                raise MediaError(f"{self._path.name}: the audio has no samples")
            return "the audio track has no samples"
        pieces = [
            _cut(each.samples, each.rate, each.start, start_seconds, end_seconds)
            for each in self._kept
        ]
        if not sum(piece.shape[1] for piece in pieces):
            return (
                f"no audio between {start_seconds or 0:.2f} s and the end: "
                f"it ends at {self._end:.2f} s"
            )
        rate = self._expect_one_format()
        samples = np.concatenate(pieces, axis=1)
        if not np.isfinite(samples).all():
            moment = np.argmin(np.isfinite(samples).all(axis=0)) / rate + (start_seconds or 0)
            raise MediaError(
                f"{self._path.name}: the audio holds values that are not numbers at {moment:.2f} s"
            )
        return _channel(samples, self._channel), rate

    def _decode(self, start: float, end: float) -> bool:
        """Drop blocks that ended before ``start`` and decode until a block starts after ``end``.

        Returns:
            Whether such a block came; False: the file ended before it.
        """
        assert self._frames is not None
        while self._kept and self._kept[0].end <= start:
            self._kept.popleft()
        while not self._kept or self._kept[-1].start < end:
            found = next(self._frames, None)
            if found is None:
                return False
            frame, seconds = found
            samples = _samples(frame)
            self._end = seconds + samples.shape[1] / frame.rate
            self._kept.append(_AudioBlock(seconds, self._end, frame.rate, samples))
            if self._end <= start and seconds < end:
                self._kept.popleft()
        return True

    def _expect_one_format(self) -> int:
        first = self._kept[0]
        for each in self._kept:
            if (each.rate, len(each.samples)) != (first.rate, len(first.samples)):
                raise MediaError(
                    f"{self._path.name}: the audio's format changes at {each.start:.2f} s"
                )
        return first.rate


@dataclass(frozen=True, eq=False)
class _AudioBlock:
    """One decoded block of audio (FFmpeg calls it a frame)."""

    start: float
    """Time of the first sample in seconds from the start of the file."""
    end: float
    """Time after the last sample in seconds."""
    rate: int
    """Sample rate in Hz."""
    samples: np.ndarray
    """float32 (channels, S)."""


def _frames(
    container: Any, stream: Any, start_seconds: float | None, path: Path
) -> Iterator[tuple[AudioFrame, float]]:
    origin, following, broken = origin_seconds(container), 0.0, None
    may_begin_within = not always_from_start(container) and bool(start_seconds)
    for packet in packets_from(container, stream, start_seconds):
        try:
            frames: Sequence[Any] = packet.decode()
        except av.error.FFmpegError as error:
            if may_begin_within and not following:
                continue  # after a seek the first packet may begin within a frame
            # an error only when more audio follows: the end of a cut file looks like this, too
            broken = broken or error
            continue
        for frame in frames:
            if broken is not None:
                raise MediaError(
                    f"{path.name}: decoding the audio broke at {following:.2f} s: "
                    f"{reason_of_ffmpeg(broken)}"
                )
            seconds = following if frame.time is None else frame.time - origin
            following = seconds + frame.samples / frame.rate
            yield frame, seconds


def _samples(frame: AudioFrame) -> np.ndarray:
    raw: np.ndarray = frame.to_ndarray()  # planar: (channels, S); packed: (1, S * channels)
    if not frame.format.is_planar:
        raw = raw.reshape(-1, frame.layout.nb_channels).T
    if raw.dtype.kind == "f":
        return raw.astype(np.float32)
    if raw.dtype.kind == "u":
        raw = raw.astype(np.int16) - 128
        return raw.astype(np.float32) / 128
    full_scale = 2.0 ** (8 * raw.itemsize - 1)
    return (raw / full_scale).astype(np.float32)


def _cut(
    samples: np.ndarray, rate: int, seconds: float, start: float | None, end: float | None
) -> np.ndarray:
    low = 0 if start is None else max(0, round((start - seconds) * rate))
    high = samples.shape[1] if end is None else max(0, round((end - seconds) * rate))
    return samples[:, low:high]


def _channel(samples: np.ndarray, channel: str) -> np.ndarray:
    if channel == "mix":
        return samples
    index = _NAMED_CHANNELS.get(channel, int(channel) if channel.isdecimal() else -1)
    if not 0 <= index < len(samples):
        raise MediaError(
            f"audio_channel {channel!r}: expected mix, left, right or a number below "
            f"{len(samples)}; the audio has {len(samples)} channel(s)"
        )
    return samples[index : index + 1]
