"""Log-mel bands as Kaldi computes them, and resampling as torchaudio does, without torchaudio.

For models that were trained on these exact numbers: librosa's bands differ by up to 16 (natural
logarithm), soxr's samples by up to 0.02.
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
_TORCH_GRAIN = 32768  # samples that one thread sums
_ROWS_AT_ONCE = 4096  # bounds the memory of an hour of audio


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
    """Natural logarithm of the power in mel bands, one row per 10 ms; no dither.

    Args:
        samples: mono float32 in [-1, 1], shape (S,); shorter than one window: zeros follow.
        sample_rate: Hz; resample before calling.
        bands: triangles between ``low`` and ``high``, equally wide in mel.
        window: ``hann``, ``hamming`` or ``blackman``, 25 ms.
        is_periodic: the window's period is its length (Kaldi's is symmetric).
        pre_emphasis: share of the sample before that is taken away.
        low: Hz.
        high: Hz; None: half the sample rate.

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
    """The samples without their mean (over all channels), which models ask for before ``fbank``.

    Each window loses its own mean anyway, but the roundings differ: one unit in the last place of
    this mean moves weak cells by 5e-5. So it is summed as torch does on a machine of many cores,
    whatever the threads here.
    """
    flat = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32)).flatten()
    if not len(flat):
        return samples
    parts = torch.split(flat, math.ceil(len(flat) / math.ceil(len(flat) / _TORCH_GRAIN)))
    mean = torch.stack([part.sum() for part in parts]).sum() / len(flat)
    return samples - np.float32(mean)


@lru_cache(maxsize=16)
def mel_bank(sample_rate: int, size: int, bands: int, low: float, high: float) -> Tensor:
    """(size // 2 + 1, bands) weight of each FFT bin; the bin at half the rate is never heard."""
    low_mel, high_mel = (1127 * math.log(1 + hertz / 700) for hertz in (low, high))
    step = (high_mel - low_mel) / (bands + 1)
    # rounded where torchaudio rounds: the edge of a band turns 1e-4 mel into 1e-3 of a logarithm
    left, centre, right = (low_mel + (torch.arange(bands) + k) * step for k in range(3))  # (bands,)
    hertz = sample_rate / size * torch.arange(size // 2)
    mel = (1127 * (1 + hertz / 700).log())[:, None]  # (bins, 1)
    rising, falling = (mel - left) / (centre - left), (right - mel) / (right - centre)
    weights = torch.minimum(rising, falling).clamp(min=0)
    return F.pad(weights, (0, 0, 0, 1))


def sinc_resample(samples: np.ndarray, sample_rate: int, to_sample_rate: int) -> np.ndarray:
    """(…, S) at one rate -> float32 (…, ceil(S * to / from)) at another, at least one sample.

    Source: torchaudio.functional.resample (Hann-windowed sinc over 6 zero crossings, roll-off
        0.99), to the last bit: its kernel in float32 as there, in the same order.
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
    """(new, 1, taps), one filter for each of the ``new`` samples between ``old``; half width."""
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
    """(T, size) samples -> (T, bands)."""
    rows = rows - rows.mean(1, keepdim=True)
    before = torch.cat([rows[:, :1], rows[:, :-1]], 1)
    rows = (rows - pre_emphasis * before) * taper
    power = torch.fft.rfft(rows, 2 * (len(bank) - 1)).abs() ** 2  # (T, bins)
    log_mel: Tensor = (power @ bank).clamp(min=FLOOR).log()
    return log_mel
