"""Listen for sound that is decodable and useless: silence, channels that cancel out, overload."""

from collections.abc import Mapping

import numpy as np

SILENT = "clips with silent sound"
OPPOSITE = "clips whose channels cancel out"
OVERLOADED = "clips with sound beyond full scale"
_SILENT_PEAK = 10 ** (-70 / 20)
"""Peaks below -70 dB of full scale are silence: ten steps of 16 bits, so that dither counts."""
_LOST_SHARE = 0.05
"""Channels cancel out if their mean has less than this share of their mean power (-13 dB); those
that have nothing in common lose 3 dB."""
_OVERLOADED_PEAK, _OVERLOADED_SHARE = 1.5, 1e-3
"""Lossy codecs overshoot full scale a little, now and then; more than that is another scale."""


def listen(samples: np.ndarray, *, is_mix: bool) -> Mapping[str, str]:
    """Return what is wrong with the sound of a clip: name of the finding -> detail.

    Args:
        samples: float32 (channels, S).
        is_mix: whether backbones read the mean of the channels.
    """
    peak = float(np.abs(samples).max(initial=0.0))
    if peak < _SILENT_PEAK:
        return {SILENT: f"peak {_decibels(peak**2):.0f} dB" if peak else "all samples are 0"}
    found = {}
    if is_mix and len(samples) > 1:
        power = float(np.square(samples, dtype=np.float64).mean())
        mixed = float(np.square(samples.mean(axis=0, dtype=np.float64)).mean())
        if mixed < _LOST_SHARE * power:
            found[OPPOSITE] = (
                f"their mean is {_decibels(power) - _decibels(mixed):.0f} dB quieter; "
                "choose one in the column audio_channel"
            )
    beyond = float((np.abs(samples) > 1).mean())
    if peak > _OVERLOADED_PEAK or beyond > _OVERLOADED_SHARE:
        found[OVERLOADED] = f"peak {peak:.3g} times full scale, {beyond:.1%} of the samples"
    return found


def _decibels(power: float) -> float:
    return 10 * float(np.log10(max(power, 1e-20)))
