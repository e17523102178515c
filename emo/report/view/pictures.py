"""Pictures of a clip for the page: a frame, the spectrogram of its sound, crops of faces."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from emo.errors import MediaError
from emo.machine.libraries import late

if TYPE_CHECKING:
    from PIL import Image

    from emo.extract.decode.source import ClipSource
else:
    Image = late("PIL.Image")

_FRAME_SIZE = (320, 240)
_BANDS = 80
_COLUMNS = 1000
"""Largest number of columns of a spectrogram; those of a long clip are further apart than 10 ms."""
_QUIET, _LOUD = -80.0, 0.0
"""Decibels below the loudest cell that are white, and black."""
_RATE = 16_000


class _Middle:
    """Select the frame in the middle of a clip."""

    def indices(self, seconds: np.ndarray) -> np.ndarray:
        """Return the index of the middle one of the times float64 (n,)."""
        return np.array([len(seconds) // 2])


def frame_jpeg(source: ClipSource) -> bytes:
    """Return the frame in the middle of a clip as a JPEG of at most 320 x 240 pixels.

    Raises:
        MediaError: the clip has no frame, or it cannot be decoded.
    """
    from emo.extract.decode.decode import load_media
    from emo.extract.decode.playback.encode import shortened_source
    from emo.extract.media import Needs

    needs = Needs(frames=_Middle(), keep_frames=True)
    media = load_media(replace(shortened_source(source), audio=None), [needs])[0]
    if media.frames is None:
        raise MediaError(media.absent.get("video", "the clip has no frame"))
    image = Image.fromarray(media.frames[0])
    image.thumbnail(_FRAME_SIZE)
    return _encoded(image, "JPEG")


def spectrogram_png(source: ClipSource) -> bytes:
    """Return the log-mel spectrogram of a clip's sound as a grey PNG: time to the right, low below.

    Raises:
        MediaError: the clip has no sound, or it cannot be decoded.
    """
    from emo.extract.decode.decode import budget_of, sound_of
    from emo.extract.decode.playback.encode import shortened_source
    from emo.extract.transforms.audio import resample_audio, to_mono
    from emo.extract.transforms.log_mel import log_mel

    source = shortened_source(source)
    sound = sound_of(source, budget_of(source))
    if sound.samples is None or sound.sample_rate is None or not sound.samples.size:
        raise MediaError(sound.absent or "the clip has no sound")
    samples = resample_audio(to_mono(sound.samples), sound.sample_rate, _RATE)
    hop = max(0.01, len(samples) / _RATE / _COLUMNS)
    levels = log_mel(samples, _RATE, mels=_BANDS, hop_seconds=hop)
    share = np.clip((levels - levels.max() - _QUIET) / (_LOUD - _QUIET), 0, 1)
    grey = (255 * (1 - share)).astype(np.uint8).T[::-1]
    return _encoded(Image.fromarray(np.ascontiguousarray(grey)), "PNG")


def crops_png(crops: np.ndarray) -> bytes:
    """Return pictures uint8 (T, H, W, 3) side by side as one PNG."""
    return _encoded(
        Image.fromarray(np.ascontiguousarray(np.concatenate(list(crops), axis=1))), "PNG"
    )


def _encoded(image: Image.Image, kind: str) -> bytes:
    """Return a picture as a file, ``JPEG`` or ``PNG``."""
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()
