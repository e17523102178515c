"""Kaldi's log-mel bands and torchaudio's resampling, without torchaudio.

They are for models that were trained on exactly these numbers: librosa's bands differ by up to 16
(natural logarithm), soxr's samples by up to 0.02.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

FLOOR = 1.1920928955078125e-07  # float32 epsilon, as in Kaldi
_WINDOW_SECONDS, _HOP_SECONDS = 0.025, 0.01
_WINDOWS = {
    "hann": torch.hann_window,
    "hamming": torch.hamming_window,
    "blackman": torch.blackman_window,
}
_TORCH_GRAIN = 32768  # samples that one thread of torch sums
_ROWS_AT_ONCE = 4096  # limits the memory that an hour of audio takes


def fbank(
    samples: np.ndarray,
    sample_rate: int = 16000,
    *,
    bands: int,
    window: str = "hann",
    is_periodic: bool = False,
    pre_emphasis: float = 0.97,
    low: float = 20.0,
    high: float | None = None,
) -> np.ndarray:
    """Return the natural logarithm of the power in mel bands, one row per 10 ms, without dither.

    Args:
        samples: float32 (S,), mono, in [-1, 1]; zeros are added up to one window.
        sample_rate: Hz; resample before calling.
        bands: number of triangular bands between ``low`` and ``high``, equally wide in mel.
        window: ``hann``, ``hamming`` or ``blackman``, 25 ms long.
        is_periodic: whether the window is periodic; Kaldi's is symmetric.
        pre_emphasis: share of the preceding sample that is subtracted.
        low: lower edge of the lowest band in Hz.
        high: upper edge of the highest band in Hz; None: half the sample rate.

    Returns:
        float32 (T, bands); only whole windows, T = 1 + (S - 400) // 160 at 16 kHz.

    Source: torchaudio.compliance.kaldi.fbank(htk_compat=True, use_energy=False, dither=0), to
        1e-6; Povey et al. 2011 (Kaldi).
    """
    size, hop = (round(seconds * sample_rate) for seconds in (_WINDOW_SECONDS, _HOP_SECONDS))
    taper = _WINDOWS[window](size, periodic=is_periodic)  # (size,)
    bank = mel_bank(sample_rate, _fft_size(size), bands, low, high or sample_rate / 2)
    mono = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))
    rows = F.pad(mono, (0, max(0, size - len(mono)))).unfold(0, size, hop)  # (T, size), a view
    blocks = torch.split(rows, _ROWS_AT_ONCE)
    return torch.cat([_log_mel(rows, taper, bank, pre_emphasis) for rows in blocks]).numpy()


def centred(samples: np.ndarray) -> np.ndarray:
    """Subtract the mean over all channels, which some models require before ``fbank``.

    ``fbank`` subtracts the mean of each window anyway, but rounding differs: one unit in the last
    place of this mean changes weak bands by 5e-5. So the mean is summed in the order of torch on a
    machine with many cores, for any number of threads.

    Args:
        samples: float32 (…, S).

    Returns:
        float32 (…, S).
    """
    flat = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32)).flatten()
    if not len(flat):
        return samples
    parts = torch.split(flat, math.ceil(len(flat) / math.ceil(len(flat) / _TORCH_GRAIN)))
    mean = torch.stack([part.sum() for part in parts]).sum() / len(flat)
    return samples - np.float32(mean)


@lru_cache(maxsize=16)
def mel_bank(sample_rate: int, size: int, bands: int, low: float, high: float) -> Tensor:
    """Return the weight of each FFT bin in each mel band.

    Args:
        sample_rate: Hz.
        size: length of the FFT in samples.
        bands: number of bands.
        low: lower edge of the lowest band in Hz.
        high: upper edge of the highest band in Hz.

    Returns:
        float32 (size // 2 + 1, bands); the bin at half the sample rate has weight 0, as in Kaldi.
    """
    low_mel, high_mel = (1127 * math.log(1 + hertz / 700) for hertz in (low, high))
    step = (high_mel - low_mel) / (bands + 1)
    # rounds where torchaudio rounds: at a band's edge 1e-4 mel changes the logarithm by 1e-3
    left, centre, right = (low_mel + (torch.arange(bands) + k) * step for k in range(3))  # (bands,)
    hertz = sample_rate / size * torch.arange(size // 2)
    mel = (1127 * (1 + hertz / 700).log())[:, None]  # (bins, 1)
    rising, falling = (mel - left) / (centre - left), (right - mel) / (right - centre)
    weights = torch.minimum(rising, falling).clamp(min=0)
    return F.pad(weights, (0, 0, 0, 1))


def sinc_resample(samples: np.ndarray, sample_rate: int, to_sample_rate: int) -> np.ndarray:
    """Resample with a windowed sinc, bit-identical to torchaudio.

    Args:
        samples: (…, S), S >= 1.
        sample_rate: rate of ``samples`` in Hz.
        to_sample_rate: rate of the result in Hz.

    Returns:
        float32 (…, ceil(S * to_sample_rate / sample_rate)).

    Source: torchaudio.functional.resample (Hann-windowed sinc over 6 zero crossings, roll-off
        0.99); the kernel is computed in float32 and in the same order.
    """
    if sample_rate == to_sample_rate:
        return samples.astype(np.float32, copy=False)
    common = math.gcd(sample_rate, to_sample_rate)
    old, new = sample_rate // common, to_sample_rate // common
    kernel, width = _sinc_kernel(old, new)
    rows = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))
    rows = F.pad(rows.reshape(-1, 1, samples.shape[-1]), (width, width + old))
    resampled = F.conv1d(rows, kernel, stride=old).transpose(1, 2)  # (rows, steps, new)
    length = math.ceil(new * samples.shape[-1] / old)
    cut = resampled.reshape(len(rows), -1)[:, :length]
    return cut.reshape(*samples.shape[:-1], length).numpy()


@lru_cache(maxsize=16)
def _sinc_kernel(
    old: int, new: int, crossings: int = 6, roll_off: float = 0.99
) -> tuple[Tensor, int]:
    """Compute the resampling filters from ``old`` to ``new`` samples.

    Returns:
        float32 (new, 1, taps), one filter for each output phase, and the filters' half width.
    """
    cutoff = min(old, new) * roll_off
    width = math.ceil(crossings * old / cutoff)
    taps = torch.arange(-width, width + old)[None, None] / old
    moments = torch.arange(0, -new, -1)[:, None, None] / new + taps
    moments = (moments * cutoff).clamp(-crossings, crossings)
    hann = torch.cos(moments * math.pi / crossings / 2) ** 2
    angles = moments * math.pi
    sinc = torch.where(angles == 0, 1.0, angles.sin() / angles)  # torch.sinc rounds otherwise
    return sinc * (hann * (cutoff / old)), width


def _fft_size(size: int) -> int:
    return 1 << (size - 1).bit_length()


def _log_mel(rows: Tensor, taper: Tensor, bank: Tensor, pre_emphasis: float) -> Tensor:
    """Compute log-mel bands (T, bands) of windows (T, size)."""
    rows = rows - rows.mean(1, keepdim=True)
    before = torch.cat([rows[:, :1], rows[:, :-1]], 1)
    rows = (rows - pre_emphasis * before) * taper
    power = torch.fft.rfft(rows, 2 * (len(bank) - 1)).abs() ** 2  # (T, bins)
    log_mel: Tensor = (power @ bank).clamp(min=FLOOR).log()
    return log_mel
