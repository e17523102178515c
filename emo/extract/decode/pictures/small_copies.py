"""Small copies of decoded sound and pictures that every browser plays: MP3 and MP4 in memory."""

import io
from fractions import Fraction
from typing import Any

import numpy as np

SOUND_BITS, SOUND_RATE = 32_000, 16_000
"""Bits per second and sample rate in Hz of the sound."""


def mp3_of(samples: np.ndarray | None, sample_rate: int | None) -> bytes:
    """Return sound as MP3 with one channel; empty: there is none.

    Args:
        samples: float32 (channels, S).
        sample_rate: their sample rate in Hz.
    """
    if samples is None or not sample_rate or not samples.shape[-1]:
        return b""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        _encode_sound(container, _sound_track(container, "libmp3lame"), samples, sample_rate)
    return file.getvalue()


def mp4_of(
    frames: Any, frames_per_second: int, samples: np.ndarray | None, sample_rate: int | None
) -> bytes:
    """Return pictures with their sound as MP4 (H.264, AAC); empty: there are no pictures.

    Args:
        frames: uint8 (F, H, W, 3), H and W even.
        frames_per_second: their rate.
        samples: float32 (channels, S); None: there is no sound.
        sample_rate: sample rate of the sound in Hz.
    """
    if not len(frames):
        return b""
    import av

    file, step = io.BytesIO(), Fraction(1, frames_per_second)
    with av.open(file, "w", format="mp4") as container:
        options = {"crf": "30", "preset": "veryfast", "threads": "1"}
        track: Any = container.add_stream("libx264", rate=frames_per_second, options=options)
        track.height, track.width = frames[0].shape[:2]
        track.pix_fmt, track.time_base = "yuv420p", step
        has_sound = samples is not None and sample_rate and samples.shape[-1]
        sound = _sound_track(container, "aac") if has_sound else None
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts, picture.time_base = number, step
            container.mux(track.encode(picture))
        container.mux(track.encode())
        if sound is not None:
            _encode_sound(container, sound, samples, int(sample_rate or 0))
    return file.getvalue()


def _sound_track(container: Any, codec: str) -> Any:
    """Add a track of sound with one channel to a container."""
    return container.add_stream(codec, rate=SOUND_RATE, layout="mono", bit_rate=SOUND_BITS)


def _encode_sound(container: Any, track: Any, samples: Any, sample_rate: int) -> None:
    """Encode float32 (channels, S) samples as the mean of their channels."""
    import av

    mono = np.clip(samples.mean(0, keepdims=True), -1, 1).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(mono), format="fltp", layout="mono")
    frame.sample_rate, frame.pts = sample_rate, 0
    resampler = av.AudioResampler(
        format=track.format.name, layout="mono", rate=SOUND_RATE,
        frame_size=track.codec_context.frame_size or 1152,
    )  # fmt: skip
    for part in (*resampler.resample(frame), *resampler.resample(None)):
        container.mux(track.encode(part))
    container.mux(track.encode(None))
