"""Estimate pitch and voicing of speech by autocorrelation, in numpy alone."""

import numpy as np

from emo.extract.transforms.audio import count_frames, in_blocks

_LOWEST_HERTZ, _HIGHEST_HERTZ = 60.0, 500.0
_WINDOW_SECONDS = 0.064  # nearly four periods of the lowest pitch
_OCTAVE_COST = 0.03  # Boersma 1993 uses .01, with which noisy speech often falls an octave too low
_VOICED = 0.5  # peaks of the normalised autocorrelation below this are noise


def pitch(samples: np.ndarray, sample_rate: int, *, hop_seconds: float) -> np.ndarray:
    """Estimate pitch and voicing at regular moments of a clip.

    Args:
        samples: float32 (S,), mono.
        sample_rate: Hz.
        hop_seconds: seconds between rows; row k is centred on ``k * hop_seconds``.

    Returns:
        float32 (T, 2), T = 1 + S // hop. Column 0: semitones relative to 100 Hz, interpolated where
        speech is not voiced, 0 in a clip without voice. Column 1: voicing between 0 and 1.

    Source: Boersma 1993, "Accurate short-term analysis of the fundamental frequency", without
        its path search.
    """
    window = round(_WINDOW_SECONDS * sample_rate)
    rows = count_frames(samples, window, max(1, round(hop_seconds * sample_rate)))
    semitones, voicing = in_blocks(rows, lambda block: _voices(block, sample_rate)).T
    return np.stack([_fill(semitones, voicing >= _VOICED), voicing], axis=1).astype(np.float32)


def _voices(rows: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return semitones re 100 Hz and voicing of each row: float32 (T, window) -> (T, 2)."""
    correlation = _autocorrelation(rows - rows.mean(axis=1, keepdims=True))  # (T, lags)
    low, high = int(sample_rate / _HIGHEST_HERTZ), int(sample_rate / _LOWEST_HERTZ) + 1
    lags = np.arange(low, high)
    inside = correlation[:, low:high]
    is_peak = (inside >= correlation[:, low - 1 : high - 1]) & (
        inside >= correlation[:, low + 1 : high + 1]
    )
    cost = _OCTAVE_COST * np.log2(lags / low)
    best = np.argmax(np.where(is_peak, inside - cost, -1.0), axis=1)
    voicing = np.clip(inside[np.arange(len(rows)), best], 0, 1)
    lag = lags[best] + _vertex(correlation, lags[best])
    semitones = 12 * np.log2(sample_rate / lag / 100)
    return np.stack([semitones, voicing], axis=1)


def _autocorrelation(rows: np.ndarray) -> np.ndarray:
    """Compute the autocorrelation of each row: (T, window) -> (T, window) lags.

    It is 1 at lag 0 and divided by the autocorrelation of the taper.
    """
    window = rows.shape[1]
    taper = np.hanning(window + 1)[:-1].astype(np.float32)
    spectrum = np.fft.rfft(rows * taper, 2 * window, axis=1)
    raw = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, axis=1)[:, :window]
    own = np.fft.irfft(np.abs(np.fft.rfft(taper, 2 * window)) ** 2)[:window]
    # 1e-6: silence (below -60 dB of full scale) counts as unvoiced
    normalised: np.ndarray = raw / (raw[:, :1] + 1e-6 * own[0]) / np.maximum(own / own[0], 0.01)
    return normalised


def _vertex(correlation: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Fit a parabola around each row's lag; return the offset of its top, (T,) in (-0.5, 0.5)."""
    rows = np.arange(len(lags))
    left, top, right = (correlation[rows, lags + step] for step in (-1, 0, 1))
    curve = left - 2 * top + right
    is_top = curve < -1e-9
    offset: np.ndarray = 0.5 * (left - right) / np.where(is_top, curve, -1.0)
    inside: np.ndarray = np.clip(offset, -0.5, 0.5) * is_top
    return inside


def _fill(semitones: np.ndarray, is_voiced: np.ndarray) -> np.ndarray:
    """Interpolate the pitch (T,) where speech is not voiced; 0 if it is voiced nowhere."""
    moments = np.flatnonzero(is_voiced)
    if not len(moments):
        return np.zeros_like(semitones)
    filled: np.ndarray = np.interp(np.arange(len(semitones)), moments, semitones[moments])
    return filled
