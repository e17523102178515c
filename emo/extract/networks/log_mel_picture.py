"""Draw the sound of a clip as pictures, for networks that read pictures."""

from collections.abc import Iterator

import numpy as np

from emo.extract.media import window_starts
from emo.extract.transforms.audio import resample_audio, to_mono
from emo.extract.transforms.log_mel import log_mel

PICTURE_BANDS, PICTURE_FLOOR_DB = 128, -100.0
"""Bands of a log-mel picture, and the level in dB that is drawn black (digital silence); 0 dB is
white."""
PICTURE_RATE = 16000
"""Hz of the sound of which a log-mel picture is drawn."""
PICTURE_SECONDS = 10.0
"""Default seconds of sound in one log-mel picture."""


def picture_of(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Draw a log-mel spectrogram as a grey picture, low bands at the bottom.

    Args:
        samples: float32 (channels, S).
        sample_rate: Hz.

    Returns:
        uint8 (128, T, 3), one column per 10 ms.
    """
    bands = log_mel(
        resample_audio(to_mono(samples), sample_rate, PICTURE_RATE), PICTURE_RATE,
        mels=PICTURE_BANDS, window_seconds=0.025, hop_seconds=0.01,
    )  # fmt: skip
    grey = np.clip(255 * (1 - bands / PICTURE_FLOOR_DB), 0, 255).round().astype(np.uint8)
    return np.repeat(grey.T[::-1, :, None], 3, axis=2)


def pictures_of(
    samples: np.ndarray, sample_rate: int, window: float | None, hop: float | None
) -> Iterator[np.ndarray]:
    """Draw each window of the sound as a picture, see :func:`picture_of`.

    Args:
        samples: float32 (channels, S).
        sample_rate: Hz.
        window: seconds in one picture; None: 10.
        hop: seconds from window to window; None: equal to ``window``.
    """
    length = window or PICTURE_SECONDS
    for low in window_starts(samples.shape[1] / sample_rate, length, hop or length):
        first = round(low * sample_rate)
        yield picture_of(samples[:, first : first + round(length * sample_rate)], sample_rate)
