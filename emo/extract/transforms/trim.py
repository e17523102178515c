"""Cut silence off both ends of a sound; pauses between stay."""

from typing import Literal

import numpy as np

Trim = Literal["none", "energy", "speech"]
"""Values of the option ``trim``."""
TRIM_HELP = (
    "cut both ends: none, energy (30 dB below the loudest frame) or speech (what silero-vad finds)"
)
"""Help text of the option ``trim``."""
SECONDS_KEPT = "seconds_kept"
"""Note: seconds of the clip that are left after trimming."""
SPEECH_SHARE = "speech_share"
"""Note of ``trim=speech``: share of the clip that is speech; 0: none found, the clip is whole."""
FRAME, HOP, TOP_DB = 2048, 512, 30.0
"""Samples of a frame, samples between frames, and the depth in dB below which a frame is silent."""
_ROWS_AT_ONCE = 4096  # limits the memory that an hour of audio takes


def energy_bounds(samples: np.ndarray) -> tuple[int, int]:
    """Return the first sample to keep, and the one after the last, by the energy of frames.

    A frame is silent if its root mean square lies more than 30 dB below that of the loudest frame.
    Digital silence is kept whole, since all its frames are equally loud.

    Args:
        samples: float32 (S,), mono, S >= 1.

    Source: librosa.effects.trim(samples, top_db=30), whose bounds these are, to the sample.
    """
    padded = np.pad(samples, FRAME // 2)
    rows = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]  # (T, FRAME), a view
    blocks = [rows[low : low + _ROWS_AT_ONCE] for low in range(0, len(rows), _ROWS_AT_ONCE)]
    power = np.concatenate(
        [np.mean(np.square(block.T, dtype=np.float32), axis=0) for block in blocks]
    )
    level = np.sqrt(power)  # squared again below: the same roundings as librosa's
    reference = max(1e-10, float(np.max(level)) ** 2)
    decibels = 10 * np.log10(np.maximum(1e-10, np.square(level))) - 10 * np.log10(reference)
    loud = np.flatnonzero(decibels > -TOP_DB)
    return int(loud[0]) * HOP, min(len(samples), (int(loud[-1]) + 1) * HOP)


def check_trim(trim: Trim) -> None:
    """Check that what the option ``trim`` needs is installed, before a job begins.

    Raises:
        MissingLibraryError: ``speech`` was asked for, and silero-vad is not installed.
    """
    if trim == "speech":
        from emo.extract.transforms.speech import load_weights

        load_weights()


def trimmed(
    samples: np.ndarray, sample_rate: int, trim: Trim
) -> tuple[np.ndarray, dict[str, float]]:
    """Trim a sound as the option ``trim`` says.

    Args:
        samples: float32 (S,), mono, S >= 1.
        sample_rate: Hz.
        trim: value of the option.

    Returns:
        The samples that are kept, a view, and the notes to store beside the clip's tokens.
    """
    if trim == "none":
        return samples, {}
    notes = {}
    if trim == "energy":
        low, high = energy_bounds(samples)
    else:
        from emo.extract.transforms.speech import speech_bounds  # torch

        low, high, notes[SPEECH_SHARE] = speech_bounds(samples, sample_rate)
    return samples[low:high], {SECONDS_KEPT: (high - low) / sample_rate, **notes}
