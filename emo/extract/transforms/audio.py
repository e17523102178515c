"""TODO."""

import numpy as np
import soxr


def count_frames(samples: np.ndarray, size: int, hop: int) -> np.ndarray:
    """(S,) -> (T, size), T = 1 + S // hop: row k is centred on sample ``k * hop``, 0 outside."""
    padded = np.pad(samples, (size // 2, size - size // 2))
    return np.lib.stride_tricks.sliding_window_view(padded, size)[: len(samples) + 1 : hop]


def to_mono(samples: np.ndarray) -> np.ndarray:
    """(channels, S) -> (S,): the mean of the channels."""
    mono: np.ndarray = samples.mean(axis=0, dtype=np.float32)
    return mono


def resample_audio(samples: np.ndarray, sample_rate: int, to_sample_rate: int) -> np.ndarray:
    """(S,) at one rate -> float32 at another, at least one sample; soxr, high quality."""
    if sample_rate == to_sample_rate:
        return samples
    resampled: np.ndarray = soxr.resample(samples, sample_rate, to_sample_rate)
    return resampled if len(resampled) else samples[:1]
