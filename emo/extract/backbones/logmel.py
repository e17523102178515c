"""Log-mel spectrogram of the audio, without weights: one token every 10 ms.

Source: librosa.feature.melspectrogram, see :mod:`emo.extract.transforms.log_mel`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self

import numpy as np

from emo.extract.backbone import OURS, Backbone, Inputs, Prepared, recipe_options
from emo.extract.media import Media, Needs
from emo.extract.transforms.audio import resample_audio, to_mono
from emo.extract.transforms.log_mel import MOST_MELS, log_mel, mel_filters
from emo.extract.transforms.trim import TRIM_HELP, Trim, check_trim, trimmed
from emo.store.recipe import Recipe, StreamSpec

_MOST_RATE, _MOST_WINDOW = 768_000, 2**22
"""Highest sample rate in Hz, and most samples of a window."""


@dataclass(frozen=True)
class LogMelOptions:
    """Options of :class:`LogMel`."""

    sample_rate: int = field(default=16000, metadata={"help": "Hz, after resampling"})
    mels: int = field(default=64, metadata={"help": "mel bands; the width of a token"})
    hop_seconds: float = field(default=0.01, metadata={"help": "seconds between tokens"})
    window_seconds: float = field(default=0.025, metadata={"help": "seconds of sound per token"})
    fmin: float = field(default=0.0, metadata={"help": "Hz, lower edge of the lowest band"})
    fmax: float | None = field(
        default=None,
        metadata={"help": "Hz, upper edge of the highest band; none: half the sample rate"},
    )
    trim: Trim = field(default="none", metadata={"help": TRIM_HELP, "off": "none"})
    normalise: Literal["none", "clip"] = field(
        default="none",
        metadata={"help": "clip: mean 0 and deviation 1 over all bands of a clip", "off": "none"},
    )

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: an option is out of its range.
        """
        if min(self.sample_rate, self.mels, self.hop_seconds, self.window_seconds) <= 0:
            raise ValueError(
                f"expected sample_rate, mels, hop_seconds and window_seconds above 0, got {self}"
            )
        window = self.window_seconds * self.sample_rate
        if self.sample_rate > _MOST_RATE or self.mels > MOST_MELS or window > _MOST_WINDOW:
            raise ValueError(
                f"expected sample_rate up to {_MOST_RATE:,}, mels up to {MOST_MELS:,} and a window "
                f"of up to {_MOST_WINDOW:,} samples, got {self}"
            )
        mel_filters(self.sample_rate, 512, 1, self.fmin, self.fmax or self.sample_rate / 2)


class LogMel(Backbone):
    """Log-mel spectrogram in decibels. It is of the mean of the channels; 0 dB is full scale.

    Streams: ``audio`` (T, mels), T = 1 + seconds / hop_seconds.
    """

    Options: ClassVar[type] = LogMelOptions
    card = OURS

    def __init__(self, options: LogMelOptions) -> None:
        """Keep the options."""
        self.options = options

    @classmethod
    def needs(cls, options: LogMelOptions) -> Needs:
        """Require audio."""
        return Needs(audio=True)

    @classmethod
    def recipe(cls, options: LogMelOptions) -> Recipe:
        """Return one dense float16 stream (at -100 dB its steps are 0.06 dB)."""
        check_trim(options.trim)
        return Recipe(
            "logmel", {"audio": StreamSpec(options.mels)}, recipe_options(options), version=2
        )

    @classmethod
    def tokens(cls, options: LogMelOptions, seconds: float) -> dict[str, float]:
        """Return T of a clip that lasts ``seconds``."""
        return {"audio": 1 + seconds / options.hop_seconds}

    @classmethod
    def load(cls, options: LogMelOptions, *, device: str) -> Self:
        """Return the backbone; there are no weights, and ``device`` is not used."""
        return cls(options)

    @classmethod
    def tiny(cls) -> Self:
        """Return a backbone with 8 bands every 50 ms."""
        return cls(LogMelOptions(mels=8, hop_seconds=0.05, window_seconds=0.05))

    def prepare(self, media: Media) -> Prepared:
        """Mix the channels, resample, compute the spectrogram; ``encode`` only returns it."""
        if media.samples is None or media.sample_rate is None:
            return Prepared({}, dict(media.absent))
        options, rate = self.options, self.options.sample_rate
        samples = resample_audio(to_mono(media.samples), media.sample_rate, rate)
        samples, notes = trimmed(samples, rate, options.trim)
        rows = log_mel(
            samples, rate, mels=options.mels, hop_seconds=options.hop_seconds,
            window_seconds=options.window_seconds, fmin=options.fmin, fmax=options.fmax,
        )  # fmt: skip
        return Prepared(
            {"audio": rows if options.normalise == "none" else standardised(rows)}, notes=notes
        )

    def encode(self, batch: Sequence[Inputs]) -> list[dict[str, np.ndarray]]:
        """Return the spectrograms unchanged: float32 (T, mels) for each clip."""
        return [dict(inputs) for inputs in batch]


def standardised(rows: np.ndarray) -> np.ndarray:
    """Return a picture with mean 0 and deviation 1 over all its numbers: float32 (T, D) to (T, D).

    Bands keep their differences, of which pooled heads live: standardised each by itself, their
    means would all be 0. A picture without any difference, as of digital silence, becomes 0.
    """
    centred: np.ndarray = rows - rows.mean(dtype=np.float64)
    scaled: np.ndarray = centred / max(float(centred.std()), 1e-6)
    return scaled.astype(np.float32)
