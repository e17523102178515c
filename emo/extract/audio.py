"""Decodes the audio of a clip: float32, every channel, at the file's own rate."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame

from emo.errors import MediaError
from emo.extract.container import open_media, origin_seconds, packets_from, pick, words_of

Audio = tuple[np.ndarray, int]
"""(channels, S) float32 samples, sample rate in Hz."""
_NAMED_CHANNELS = {"left": 0, "right": 1}


def read_audio(
    path: Path, *, channel: str, start_seconds: float | None, end_seconds: float | None
) -> Audio | str:
    """Samples and sample rate between two times, or the reason why there are none.

    Nothing is mixed down: FFmpeg's own down-mix is sqrt(2) louder than the mean of the channels.
    Nothing is clamped either.

    Args:
        path: any file with an audio track.
        channel: ``mix`` keeps all channels; ``left``, ``right`` or a 0-based number keeps one.
        start_seconds: first moment from the start of the file, to the sample; None: the first.
        end_seconds: end of the stretch (exclusive), to the sample; None: the end.

    Raises:
        MediaError: decoding broke, the channel does not exist, a sample is not finite, or a mere
            audio file holds no samples.
    """
    with open_media(path) as container:
        stream = pick(container.streams.audio)
        if stream is None:
            return "the file has no audio track"
        stream.thread_count = 1
        pieces: list[np.ndarray] = []
        rate, last = 0, 0.0
        for frame, seconds in _frames(container, stream, start_seconds, path):
            if end_seconds is not None and seconds >= end_seconds:
                break
            piece = _samples(frame)
            if rate not in {0, frame.rate} or (pieces and len(pieces[0]) != len(piece)):
                raise MediaError(f"{path.name}: the audio's format changes at {seconds:.2f} s")
            rate, last = frame.rate, seconds + piece.shape[1] / frame.rate
            pieces.append(_cut(piece, rate, seconds, start_seconds, end_seconds))
        if not rate and not container.streams.video:
            raise MediaError(f"{path.name}: the audio has no samples")
    if not rate:
        return "the audio track has no samples"
    samples = np.concatenate(pieces, axis=1)
    if not samples.shape[1]:
        return f"no audio between {start_seconds or 0:.2f} s and the end: it ends at {last:.2f} s"
    if not np.isfinite(samples).all():
        moment = np.argmin(np.isfinite(samples).all(axis=0)) / rate + (start_seconds or 0)
        raise MediaError(
            f"{path.name}: the audio holds values that are not numbers at {moment:.2f} s"
        )
    return _channel(samples, channel), rate


def _frames(
    container: Any, stream: Any, start_seconds: float | None, path: Path
) -> Iterator[tuple[AudioFrame, float]]:
    origin, following, broken = origin_seconds(container), 0.0, None
    for packet in packets_from(container, stream, start_seconds):
        try:
            frames: Sequence[Any] = packet.decode()
        except av.error.FFmpegError as error:
            broken = (
                broken or error
            )  # fatal only when more audio follows: a cut file ends like this
            continue
        for frame in frames:
            if broken is not None:
                raise MediaError(
                    f"{path.name}: decoding the audio broke at {following:.2f} s: "
                    f"{words_of(broken)}"
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
