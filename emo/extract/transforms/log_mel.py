"""Log-mel spectrograms equal to librosa's, in numpy alone.

Importing librosa (numba) would cost every worker seconds. Tests compare the two.
"""

from functools import lru_cache

import numpy as np

from emo.extract.transforms.audio import count_frames, in_blocks

MOST_MELS = 10_000
"""Most bands of a spectrogram; speech has 40 to 128."""


def log_mel(
    samples: np.ndarray,
    sample_rate: int,
    *,
    mels: int = 64,
    hop_seconds: float = 0.01,
    window_seconds: float = 0.025,
    fmin: float = 0.0,
    fmax: float | None = None,
) -> np.ndarray:
    """Compute a log-mel spectrogram in decibels of full scale, which keeps loudness.

    Row k is centred on ``k * hop_seconds``; the samples are padded with zeros on both sides, so
    that even one sample gives a row.

    Args:
        samples: float32 (S,), mono, in [-1, 1], S >= 1.
        sample_rate: Hz; resample before calling, this function does not.
        mels: number of bands between ``fmin`` and ``fmax``, Slaney's scale, each of equal area.
        hop_seconds: seconds between rows, rounded to a sample.
        window_seconds: length of the Hann window, rounded to a sample; the FFT has the next power
            of two.
        fmin: lower edge of the lowest band in Hz.
        fmax: upper edge of the highest band in Hz; None: half the sample rate.

    Returns:
        float32 (T, mels), T = 1 + S // hop; power re 1.0 in dB, floor -100 (digital silence).

    Raises:
        ValueError: ``samples`` is not 1-D, or is empty.

    Source: librosa.feature.melspectrogram and power_to_db(ref=1, amin=1e-10, top_db=None); Slaney
        1998 (Auditory Toolbox) for the scale.
    """
    if samples.ndim != 1 or not len(samples):
        raise ValueError(f"expected samples (S,) with S >= 1, got {samples.shape}")
    hop, window = (max(1, round(s * sample_rate)) for s in (hop_seconds, window_seconds))
    size = 1 << max(1, window - 1).bit_length()
    taper = np.zeros(size, np.float32)
    low = (size - window) // 2
    taper[low : low + window] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    bank = mel_filters(sample_rate, size, mels, fmin, fmax or sample_rate / 2)
    rows = count_frames(samples, size, hop)  # (T, size), a view
    return in_blocks(rows, lambda block: _decibels(block * taper, bank))


@lru_cache(maxsize=16)
def mel_filters(
    sample_rate: int, size: int, mels: int, fmin: float, fmax: float
) -> tuple[tuple[int, np.ndarray], ...]:
    """Compute the mel filters, without their zeros.

    Args:
        sample_rate: Hz.
        size: length of the FFT in samples.
        mels: number of bands.
        fmin: lower edge of the lowest band in Hz.
        fmax: upper edge of the highest band in Hz.

    Returns:
        For each band the first FFT bin with a weight, and float32 (bins,), the weights from there.

    Raises:
        ValueError: the band edges do not rise between 0 Hz and half the sample rate.
    """
    if not 0 <= fmin < fmax <= sample_rate / 2:
        raise ValueError(f"expected 0 <= fmin < fmax <= {sample_rate / 2:g} Hz, got {fmin}, {fmax}")
    edges = _hertz(np.linspace(_mel(fmin), _mel(fmax), mels + 2))
    bins = np.arange(size // 2 + 1) * sample_rate / size
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    weights = np.clip(np.minimum(rising, falling), 0, None)
    weights *= 2 / (edges[2:] - edges[:-2])[:, None]  # every band has the same area
    bank = []
    for band in weights.astype(np.float32):
        used = np.flatnonzero(band)
        low, high = (used[0], used[-1] + 1) if len(used) else (0, 1)
        bank.append((int(low), band[low:high]))
    return tuple(bank)


def _decibels(rows: np.ndarray, bank: tuple[tuple[int, np.ndarray], ...]) -> np.ndarray:
    power = np.abs(np.fft.rfft(rows, axis=1)).astype(np.float32) ** 2  # (T, bins)
    mel = np.empty((len(rows), len(bank)), np.float32)
    for index, (low, weights) in enumerate(bank):
        # einsum, not @: the order in which BLAS sums may depend on its number of threads
        mel[:, index] = np.einsum("tb,b->t", power[:, low : low + len(weights)], weights)
    return 10 * np.log10(np.maximum(mel, 1e-10))


def _mel(hertz: float) -> float:
    # Slaney's scale: linear below 1 kHz, above it 27 steps for a factor of 6.4
    return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * np.log(hertz / 1000) / np.log(6.4)


def _hertz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))
