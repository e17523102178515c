"""Mix, resample and cut samples into overlapping windows."""

from typing import TYPE_CHECKING

import numpy as np

from emo.machine.libraries import late

if TYPE_CHECKING:
    import soxr
else:
    soxr = late("soxr")


def count_frames(samples: np.ndarray, size: int, hop: int) -> np.ndarray:
    """Cut samples into overlapping windows (the frames of speech processing).

    Args:
        samples: (S,).
        size: samples of a window.
        hop: samples from the centre of a window to the centre of the next.

    Returns:
        (T, size), a view, T = 1 + S // hop; window k is centred on sample ``k * hop``, with zeros
        before the first and after the last sample.
    """
    padded = np.pad(samples, (size // 2, size - size // 2))
    return np.lib.stride_tricks.sliding_window_view(padded, size)[: len(samples) + 1 : hop]


def to_mono(samples: np.ndarray) -> np.ndarray:
    """Return the mean of the channels: (channels, S) -> float32 (S,)."""
    mono: np.ndarray = samples.mean(axis=0, dtype=np.float32)
    return mono


def resample_audio(samples: np.ndarray, sample_rate: int, to_sample_rate: int) -> np.ndarray:
    """Resample with soxr at high quality.

    Args:
        samples: float32 (S,), S >= 1.
        sample_rate: rate of ``samples`` in Hz.
        to_sample_rate: rate of the result in Hz.

    Returns:
        float32 (S',) with S' >= 1.
    """
    if sample_rate == to_sample_rate:
        return samples
    resampled: np.ndarray = soxr.resample(samples, sample_rate, to_sample_rate)
    return resampled if len(resampled) else samples[:1]
