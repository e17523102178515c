"""Mix, resample and cut samples into overlapping windows."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from emo.machine.libraries import late

if TYPE_CHECKING:
    import soxr
else:
    soxr = late("soxr")

_ROWS_AT_ONCE, _CELLS_AT_ONCE = 4096, 2**23


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


def in_blocks(rows: np.ndarray, compute: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Compute something for each row, at most 4,096 rows at a time: an hour of sound has many.

    Args:
        rows: (T, size), such as the view that :func:`count_frames` returns, T >= 1.
        compute: takes (t, size) and returns (t, …); a row must not depend on the others.

    Returns:
        (T, …), what ``compute`` returned for all rows.
    """
    step = max(1, min(_ROWS_AT_ONCE, _CELLS_AT_ONCE // max(1, rows.shape[1])))
    starts = range(0, len(rows), step)
    return np.concatenate([compute(rows[low : low + step]) for low in starts])


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
