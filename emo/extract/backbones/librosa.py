"""Features of the library librosa by their names there: MFCC, chroma, mel, contrast, tonnetz …

Source: McFee et al. 2015 (librosa). The numbers equal direct calls of librosa's functions.
"""

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from emo.extract.backbone import Backbone, BackboneCard, Inputs, Prepared, recipe_options
from emo.extract.media import Media, Needs
from emo.extract.transforms.audio import resample_audio, to_mono
from emo.extract.transforms.trim import TRIM_HELP, Trim, check_trim, trimmed
from emo.machine.libraries import late
from emo.store.recipe import Recipe, StreamSpec

if TYPE_CHECKING:
    import librosa
else:
    librosa = late("librosa")

FEATURES = ("mfcc", "chroma", "mel", "contrast", "tonnetz", "zcr", "rms", "f0")
"""Names that the option ``features`` takes."""
PRESETS: dict[str, dict[str, Any]] = {
    "ravdess193": {
        "features": "mfcc,chroma,mel,contrast,tonnetz", "level": "mean", "n_mfcc": 40,
        "harmonic": True,
    },
}  # fmt: skip
"""Value of the option ``preset`` -> the options that it sets."""
_FREE = ("preset", "sample_rate", "trim")  # options that may be given beside a preset
_C2, _C7 = 65.40639132514966, 2093.004522404789  # Hz: the range that librosa.pyin recommends
_WARM_SECONDS = 0.5
_HARMONIC_FRAMES = 4
"""Fewest frames (of 512 samples) for librosa.effects.harmonic: of two or three, scipy's median
filter reads memory beyond the array, so that the numbers change from call to call."""
_HARMLESS = (r"n_fft=\d+ is too large for input signal", "Trying to estimate tuning from empty")


@contextmanager
def _compiling_alone() -> Iterator[None]:
    """Let one process of this machine compile at a time.

    Processes that fill numba's cache together in a new environment can crash each other.
    """
    try:
        import fcntl

        flags = os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW
        path = os.path.join(tempfile.gettempdir(), f"emo-numba-{os.getuid()}.lock")
        handle = os.open(path, flags, 0o600)
    except (ImportError, OSError):  # Windows, or a folder that is not ours
        yield
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)  # gives the lock back


@dataclass(frozen=True)
class LibrosaOptions:
    """Options of :class:`Librosa`, with the names and defaults of librosa."""

    features: str = field(
        default="mfcc,chroma,mel,contrast,tonnetz,zcr,rms",
        metadata={"help": f"some of {','.join(FEATURES)}, in this order in a token; f0 is slow"},
    )
    level: Literal["frames", "mean"] = field(
        default="frames", metadata={"help": "a token a frame, or their mean as the only token"}
    )
    preset: Literal["none", "ravdess193"] = field(
        default="none",
        metadata={"help": "ravdess193: the 40 + 12 + 128 + 7 + 6 means of many notebooks"},
    )
    sample_rate: int = field(
        default=22050, metadata={"help": "Hz, after resampling; it changes the numbers"}
    )
    n_fft: int = field(default=2048, metadata={"help": "samples of a frame"})
    hop_length: int = field(default=512, metadata={"help": "samples between frames"})
    win_length: int | None = field(
        default=None, metadata={"help": "samples of the Hann window in a frame; none: n_fft"}
    )
    n_mfcc: int = field(default=20, metadata={"help": "coefficients of mfcc"})
    n_mels: int = field(default=128, metadata={"help": "bands of mel, and below mfcc"})
    fmin: float = field(default=0.0, metadata={"help": "Hz, lower edge of the lowest mel band"})
    fmax: float | None = field(
        default=None,
        metadata={"help": "Hz, upper edge of the highest mel band; none: half the sample rate"},
    )
    n_chroma: int = field(default=12, metadata={"help": "bins of chroma"})
    n_bands: int = field(default=6, metadata={"help": "octaves of contrast; it has one more"})
    contrast_fmin: float = field(
        default=200.0, metadata={"help": "Hz, lower edge of contrast's first octave"}
    )
    harmonic: bool = field(
        default=False, metadata={"help": "tonnetz of librosa.effects.harmonic(samples)"}
    )
    f0_fmin: float = field(default=_C2, metadata={"help": "Hz, lowest f0 (librosa.pyin)"})
    f0_fmax: float = field(default=_C7, metadata={"help": "Hz, highest f0 (librosa.pyin)"})
    trim: Trim = field(default="none", metadata={"help": TRIM_HELP})

    def __post_init__(self) -> None:
        """Set the options of the preset, and check names and ranges.

        Raises:
            ValueError: an option is out of its range, or contradicts the preset.
        """
        for name, value in self._preset_values():
            object.__setattr__(self, name, value)
        if not set(self.names) <= set(FEATURES) or len(set(self.names)) < len(self.names):
            raise ValueError(
                f"features: expected some of {','.join(FEATURES)}, each once, got {self.features!r}"
            )
        above = (
            self.sample_rate, self.hop_length, self.n_mfcc, self.n_mels, self.n_chroma,
            self.n_bands, self.contrast_fmin, self.f0_fmin,
        )  # fmt: skip
        if min(above) <= 0 or self.n_fft < 4:
            raise ValueError(f"expected n_fft >= 4 and every other size above 0, got {self}")
        half = self.sample_rate / 2
        if self.win_length is not None and not 0 < self.win_length <= self.n_fft:
            raise ValueError(f"win_length: expected 1 to {self.n_fft}, got {self.win_length}")
        if not 0 <= self.fmin < (self.fmax or half) <= half:
            raise ValueError(
                f"expected 0 <= fmin < fmax <= {half:g} Hz, got {self.fmin} and {self.fmax}"
            )
        if "contrast" in self.names and self.contrast_fmin * 2 ** (self.n_bands - 1) >= half:
            raise ValueError(
                f"contrast: octave {self.n_bands} of contrast_fmin={self.contrast_fmin:g} begins "
                f"above half the sample rate, {half:g} Hz; take fewer n_bands"
            )
        if "f0" in self.names and not self.f0_fmin < self.f0_fmax <= half:
            raise ValueError(
                f"expected f0_fmin < f0_fmax <= {half:g} Hz, got {self.f0_fmin} and {self.f0_fmax}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in the order in which a token holds them."""
        return tuple(name.strip() for name in str(self.features).split(","))

    @property
    def columns(self) -> list[str]:
        """Name of each number of a token, such as ``mfcc_0``."""
        sizes = {
            "mfcc": self.n_mfcc, "chroma": self.n_chroma, "mel": self.n_mels,
            "contrast": self.n_bands + 1, "tonnetz": 6,
        }  # fmt: skip
        return [
            f"{name}_{index}" if name in sizes else name
            for name in self.names
            for index in range(sizes.get(name, 1))
        ]

    def _preset_values(self) -> Iterator[tuple[str, Any]]:
        """Yield the options that the preset sets.

        Raises:
            ValueError: another value was given for an option that the preset holds.
        """
        if self.preset == "none":
            return
        for name, known in self.__dataclass_fields__.items():
            if name in _FREE:
                continue
            value = PRESETS[self.preset].get(name, known.default)
            if getattr(self, name) not in (value, known.default):
                raise ValueError(
                    f"{name}: preset={self.preset} sets {value}, got {getattr(self, name)}; "
                    f"beside it only sample_rate and trim can be given"
                )
            yield name, value


class Librosa(Backbone):
    """MFCC, chroma, tonnetz and so on. They are of the mean of the channels.

    Streams: ``audio`` (T, D), T = 1 + samples // hop_length, or 1 with ``level=mean``; D = 20 + 12
    + 128 + 7 + 6 + 1 + 1. ``f0`` is librosa.pyin's, in Hz, and 0 where there is no voice.
    """

    Options: ClassVar[type] = LibrosaOptions
    card = BackboneCard("https://github.com/librosa/librosa", "ISC", "none")

    def __init__(self, options: LibrosaOptions) -> None:
        """Keep the options."""
        self.options = options

    @classmethod
    def needs(cls, options: LibrosaOptions) -> Needs:
        """Require audio."""
        return Needs(audio=True)

    @classmethod
    def recipe(cls, options: LibrosaOptions) -> Recipe:
        """Return one dense float32 stream (mel holds powers, which float16 does not); the facts
        name the columns."""
        check_trim(options.trim)
        unit = "frame" if options.level == "frames" else "clip"
        spec = StreamSpec(len(options.columns), "float32", unit)
        facts = {"columns": {"audio": options.columns}}
        return Recipe("librosa", {"audio": spec}, recipe_options(options), facts=facts)

    @classmethod
    def tokens(cls, options: LibrosaOptions, seconds: float) -> dict[str, float]:
        """Return T of a clip that lasts ``seconds``."""
        hops = seconds * options.sample_rate / options.hop_length
        return {"audio": 1.0 if options.level == "mean" else 1 + hops}

    @classmethod
    def load(cls, options: LibrosaOptions, *, device: str) -> Self:
        """Return the backbone after a first call, which compiles for seconds; no weights.

        The worker's threads start later, so that none of them compiles, or waits for another.
        """
        for message in _HARMLESS:  # for good: a filter of one call is not safe in threads
            warnings.filterwarnings("ignore", message, UserWarning)
        backbone = cls(options)
        noise = np.random.default_rng(0).normal(0, 0.1, round(_WARM_SECONDS * options.sample_rate))
        with _compiling_alone():
            backbone._features(noise.astype(np.float32))
        return backbone

    @classmethod
    def tiny(cls) -> Self:
        """Return a backbone with three features of short frames."""
        options = LibrosaOptions("mfcc,zcr,rms", n_fft=512, n_mfcc=4, n_mels=16)
        return cls.load(options, device="cpu")

    def prepare(self, media: Media) -> Prepared:
        """Mix the channels, resample, trim, call librosa; ``encode`` only returns the tokens."""
        if media.samples is None or media.sample_rate is None:
            return Prepared({}, dict(media.absent))
        rate = self.options.sample_rate
        samples = resample_audio(to_mono(media.samples), media.sample_rate, rate)
        samples, notes = trimmed(samples, rate, self.options.trim)
        too_short = f"librosa does not take a sound of {len(samples) / rate:.3g} s"
        least = (_HARMONIC_FRAMES - 1) * 512
        if self.options.harmonic and "tonnetz" in self.options.names and len(samples) < least:
            reason = f"{too_short}: its harmonic part needs {least / rate:.3g} s"
            return Prepared({}, {"audio": reason})
        try:
            return Prepared({"audio": self._features(samples)}, notes=notes)
        except librosa.ParameterError as error:
            return Prepared({}, {"audio": f"{too_short}: {error}"})

    def encode(self, batch: Sequence[Inputs]) -> list[dict[str, np.ndarray]]:
        """Return the features unchanged: float32 (T, D) for each clip."""
        return [dict(inputs) for inputs in batch]

    def _features(self, samples: np.ndarray) -> np.ndarray:
        """Compute the tokens of a sound: float32 (S,) at the sample rate -> float32 (T, D)."""
        calls = self._calls(samples)
        rows = [calls[name]().T for name in self.options.names]  # each (T, columns)
        if self.options.level == "mean":
            rows = [each.mean(axis=0, keepdims=True) for each in rows]
        return np.concatenate(rows, axis=1).astype(np.float32)

    def _calls(self, samples: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
        """Return for each feature the call of librosa that computes it, (columns, T)."""
        o, of = self.options, librosa.feature
        sizes = {"n_fft": o.n_fft, "hop_length": o.hop_length, "win_length": o.win_length}
        sound = {"y": samples, "sr": o.sample_rate, **sizes}
        frames = {"y": samples, "frame_length": o.n_fft, "hop_length": o.hop_length}
        mel = {"n_mels": o.n_mels, "fmin": o.fmin, "fmax": o.fmax}

        def chroma() -> np.ndarray:
            if o.preset == "ravdess193":  # those notebooks pass magnitudes, where librosa squares
                magnitudes = np.abs(librosa.stft(samples, **sizes))
                found: np.ndarray = of.chroma_stft(S=magnitudes, sr=o.sample_rate)
                return found
            found = of.chroma_stft(**sound, n_chroma=o.n_chroma)
            return found

        def tonnetz() -> np.ndarray:
            source = librosa.effects.harmonic(samples) if o.harmonic else samples
            found: np.ndarray = of.tonnetz(y=source, sr=o.sample_rate, hop_length=o.hop_length)
            return found

        def f0() -> np.ndarray:
            found, _, _ = librosa.pyin(
                **frames, sr=o.sample_rate, fmin=o.f0_fmin, fmax=o.f0_fmax, fill_na=0.0
            )
            return np.asarray(found)[None]

        return {
            "mfcc": lambda: of.mfcc(**sound, **mel, n_mfcc=o.n_mfcc),
            "chroma": chroma,
            "mel": lambda: of.melspectrogram(**sound, **mel),
            "contrast": lambda: of.spectral_contrast(
                **sound, n_bands=o.n_bands, fmin=o.contrast_fmin
            ),
            "tonnetz": tonnetz,
            "zcr": lambda: of.zero_crossing_rate(**frames),
            "rms": lambda: of.rms(**frames),
            "f0": f0,
        }
