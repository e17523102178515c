"""Synthetic clips, written by PyAV: their frames and samples tell when they are."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

_MILLISECOND = Fraction(1, 1000)


def picture(frame: int, size=(64, 64)) -> np.ndarray:
    """(H, W, 3) uint8: a grey level that tells the frame's number, with one dark corner."""
    image = np.full((size[1], size[0], 3), 40 + 4 * (frame % 50), np.uint8)
    image[: size[1] // 4, : size[0] // 4] = 0
    return image


def number_of(image: np.ndarray) -> int:
    """The number of the frame that :func:`picture` drew."""
    return round((float(np.median(image)) - 40) / 4)


def tone(seconds: float, sample_rate: int, channels: int) -> np.ndarray:
    """(channels, S) float32: 220 Hz; every channel half as loud as the one before."""
    wave = 0.5 * np.sin(2 * np.pi * 220 * np.arange(round(seconds * sample_rate)) / sample_rate)
    return np.stack([wave / 2**k for k in range(channels)]).astype(np.float32)


def make_clip(
    path: Path,
    *,
    seconds: float = 1.0,
    fps: int = 12,
    size: tuple[int, int] = (64, 64),
    frames: list[np.ndarray] | None = None,
    times: list[float] | None = None,
    video: bool = True,
    audio: bool = True,
    samples: np.ndarray | None = None,
    sample_rate: int = 16000,
    channels: int = 1,
    codec: str = "libx264",
    audio_codec: str = "aac",
    rotation: int = 0,
    options: dict[str, str] | None = None,
    sound_start_seconds: float = 0.0,
) -> Path:
    """Write a clip; ``frames`` and ``samples`` replace the drawn ones, ``times`` make it VFR."""
    with av.open(str(path), "w", options=options or {}) as container:
        picture_track = (
            _video_track(container, codec, fps, size, frames, times, rotation) if video else None
        )
        sound_track = None
        if audio:
            samples = tone(seconds, sample_rate, channels) if samples is None else samples
            sound_track = container.add_stream(audio_codec, rate=sample_rate)
            sound_track.layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(samples)]
        if picture_track is not None:
            count = len(frames or times or range(round(seconds * fps)))
            for index in range(count):
                image = frames[index] if frames else picture(index, size)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                step = Fraction(1, fps) if times is None else _MILLISECOND
                frame.pts = index if times is None else round(times[index] * 1000)
                frame.time_base = step
                container.mux(picture_track.encode(frame))
            container.mux(picture_track.encode(None))
        if sound_track is not None:
            _write_sound(container, sound_track, samples, sample_rate, sound_start_seconds)
    return path


def _video_track(container, codec, fps, size, frames, times, rotation):
    height, width = frames[0].shape[:2] if frames else size[::-1]
    track = container.add_stream(codec, rate=fps)
    track.width, track.height = width, height
    track.pix_fmt = "bgr0" if codec == "ffv1" else "yuv420p"
    track.codec_context.time_base = Fraction(1, fps) if times is None else _MILLISECOND
    track.codec_context.gop_size = 6
    if rotation:
        track.set_display_rotation(rotation)
    return track


def _write_sound(container, track, samples, sample_rate, start_seconds):
    kind = {"pcm_f32le": ("flt", np.float32, 1), "pcm_u8": ("u8", np.uint8, 127)}
    name, dtype, scale = kind.get(track.codec.name, ("s16", np.int16, 32767))
    whole = np.round(samples * scale) if scale > 1 else samples
    whole = (whole + 128 if name == "u8" else whole).astype(dtype)
    for low in range(0, whole.shape[1], 1024):
        piece = np.ascontiguousarray(whole[:, low : low + 1024].T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(piece, format=name, layout=track.layout.name)
        frame.sample_rate, frame.pts = sample_rate, low + round(start_seconds * sample_rate)
        container.mux(track.encode(frame))
    container.mux(track.encode(None))
