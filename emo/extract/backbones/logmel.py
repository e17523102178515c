"""Log-mel spectrogram of the audio: no weights, one token every 10 ms.

Source: librosa.feature.melspectrogram, see :mod:`emo.extract.transforms.log_mel`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import ClassVar, Self

import numpy as np

from emo.extract.backbone import Backbone, Inputs, Prepared
from emo.extract.media import Media, Needs
from emo.extract.transforms.audio import resample_audio, to_mono
from emo.extract.transforms.log_mel import log_mel, mel_filters
from emo.store.recipe import Recipe, StreamSpec


@dataclass(frozen=True)
class LogMelOptions:
    """What changes the spectrogram."""

    sample_rate: int = field(default=16000, metadata={"help": "Hz, after resampling"})
    mels: int = field(default=64, metadata={"help": "bands; the width of a token"})
    hop_seconds: float = field(default=0.01, metadata={"help": "seconds between tokens"})
    window_seconds: float = field(default=0.025, metadata={"help": "seconds a token looks at"})
    fmin: float = field(default=0.0, metadata={"help": "Hz, lower edge of the lowest band"})
    fmax: float | None = field(default=None, metadata={"help": "Hz; none: half the sample rate"})

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: an option is out of its range.
        """
        if min(self.sample_rate, self.mels, self.hop_seconds, self.window_seconds) <= 0:
            raise ValueError(
                f"expected sample_rate, mels, hop_seconds and window_seconds above 0, got {self}"
            )
        mel_filters(self.sample_rate, 512, 1, self.fmin, self.fmax or self.sample_rate / 2)


class LogMel(Backbone):
    """Decibels of full scale in mel bands of the mean of the channels.

    Streams: ``audio`` (T, mels), T = 1 + seconds / hop_seconds.
    """

    Options: ClassVar[type] = LogMelOptions

    def __init__(self, options: LogMelOptions) -> None:
        """Keep the options; there are no weights."""
        self.options = options

    @classmethod
    def needs(cls, options: LogMelOptions) -> Needs:
        """Audio."""
        return Needs(audio=True)

    @classmethod
    def recipe(cls, options: LogMelOptions) -> Recipe:
        """One dense stream of float16 (a step of 0.06 dB at -100 dB)."""
        return Recipe("logmel", {"audio": StreamSpec(options.mels)}, asdict(options))

    @classmethod
    def tokens(cls, options: LogMelOptions, seconds: float) -> dict[str, float]:
        """Tokens of a clip that lasts ``seconds``."""
        return {"audio": 1 + seconds / options.hop_seconds}

    @classmethod
    def load(cls, options: LogMelOptions, *, device: str) -> Self:
        """There is nothing to load; ``device`` does not matter."""
        return cls(options)

    @classmethod
    def tiny(cls) -> Self:
        """8 bands every 50 ms."""
        return cls(LogMelOptions(mels=8, hop_seconds=0.05, window_seconds=0.05))

    def prepare(self, media: Media) -> Prepared:
        """All of the work: down-mix, resample, spectrogram."""
        if media.samples is None or media.sample_rate is None:
            return Prepared({}, dict(media.absent))
        options = asdict(self.options)
        rate = options.pop("sample_rate")
        samples = resample_audio(to_mono(media.samples), media.sample_rate, rate)
        return Prepared({"audio": log_mel(samples, rate, **options)})

    def encode(self, batch: Sequence[Inputs]) -> list[dict[str, np.ndarray]]:
        """The spectrograms are the tokens."""
        return [dict(inputs) for inputs in batch]
