"""Features of the library librosa by their names there: MFCC, chroma, mel, contrast, tonnetz …

Source: McFee et al. 2015 (librosa). The numbers equal direct calls of librosa's functions.
"""

import math
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from emo.errors import OptionError
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

    def __new__(cls, *values: Any, **named: Any) -> Self:
        """Refuse what is given beside a preset, even if it is an option's default value.

        An option may have the preset's own value, so that options are made again from a recipe.

        Raises:
            ValueError: another value was given for an option that the preset holds.
        """
        given = dict(zip(cls.__dataclass_fields__, values, strict=False)) | named
        preset = given.get("preset", "none")
        for name, value in cls._preset_values(preset).items():
            if given.get(name, value) != value:
                raise ValueError(
                    f"{name}: preset={preset} sets {value}, got {given[name]}; "
                    f"beside it only sample_rate and trim can be given"
                )
        return super().__new__(cls)

    def __post_init__(self) -> None:
        """Set the options of the preset, and check names and ranges.

        Raises:
            ValueError: an option is out of its range.
        """
        for name, value in self._preset_values(self.preset).items():
            object.__setattr__(self, name, value)
        if not set(self.names) <= set(FEATURES) or len(set(self.names)) < len(self.names):
            raise ValueError(
                f"features: expected some of {','.join(FEATURES)}, each once, got {self.features!r}"
            )
        self._check_sizes()
        half = self.sample_rate / 2
        if self.win_length is not None and not 0 < self.win_length <= self.n_fft:
            raise ValueError(f"win_length: expected 1 to {self.n_fft}, got {self.win_length}")
        if not 0 <= self.fmin < (self.fmax or half) <= half:
            raise ValueError(
                f"expected 0 <= fmin < fmax <= {half:g} Hz, got {self.fmin} and {self.fmax}"
            )
        if "mfcc" in self.names and self.n_mfcc > self.n_mels:
            raise ValueError(
                f"n_mfcc: expected at most n_mels={self.n_mels}, the bands that the coefficients "
                f"are computed from, got {self.n_mfcc}"
            )
        if "contrast" in self.names:
            self._check_contrast(half)
        if "f0" in self.names:
            self._check_f0(half)

    def _check_sizes(self) -> None:
        """Check the sizes that have only a lower bound.

        Raises:
            ValueError: one of them is too small.
        """
        for name in ("sample_rate", "hop_length", "n_mfcc", "n_mels", "n_chroma", "n_bands"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        for name in ("contrast_fmin", "f0_fmin"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: expected a number above 0, got {getattr(self, name)}")
        if self.n_fft < 4:
            raise ValueError(f"n_fft: expected at least 4, got {self.n_fft}")

    def _check_contrast(self, half: float) -> None:
        """Check that every octave of contrast holds frequencies of the spectrum.

        Args:
            half: half the sample rate in Hz.

        Raises:
            ValueError: an octave is above the spectrum, or narrower than its steps.
        """
        highest = self.contrast_fmin * 2 ** (self.n_bands - 1)
        if highest >= half and self.preset != "none":
            raise ValueError(
                f"sample_rate: preset={self.preset} needs more than {2 * highest:,.0f} Hz, "
                f"got {self.sample_rate:,}"
            )
        if highest >= half:
            raise ValueError(
                f"contrast: octave {self.n_bands} of contrast_fmin={self.contrast_fmin:g} begins "
                f"above half the sample rate, {half:g} Hz; take fewer n_bands"
            )
        step = self.sample_rate / self.n_fft
        if step > self.contrast_fmin or self.n_fft // 2 * step < highest:
            raise ValueError(
                f"n_fft: with {self.n_fft} samples at {self.sample_rate} Hz the spectrum has steps "
                f"of {step:.4g} Hz, too wide for contrast with contrast_fmin="
                f"{self.contrast_fmin:g} and n_bands={self.n_bands}; take a larger n_fft, or "
                "leave contrast out of features"
            )

    def _check_f0(self, half: float) -> None:
        """Check the range of f0, and that a period of its lowest value fits into a frame.

        Args:
            half: half the sample rate in Hz.

        Raises:
            ValueError: librosa.pyin would refuse the range or the frame.
        """
        if not self.f0_fmin < self.f0_fmax <= half:
            raise ValueError(
                f"expected f0_fmin < f0_fmax <= {half:g} Hz, got {self.f0_fmin} and {self.f0_fmax}"
            )
        if self.sample_rate / self.f0_fmin >= self.n_fft - 1:
            raise ValueError(
                f"f0_fmin: a period of {self.f0_fmin:g} Hz does not fit into n_fft={self.n_fft} "
                f"samples at {self.sample_rate} Hz; take f0_fmin above "
                f"{self.sample_rate / (self.n_fft - 1):.4g}, or n_fft of at least "
                f"{math.floor(self.sample_rate / self.f0_fmin) + 2}"
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

    @classmethod
    def _preset_values(cls, preset: str) -> dict[str, Any]:
        """Return the options that a preset sets; without one there are none."""
        if preset not in PRESETS:
            return {}
        fields = cls.__dataclass_fields__
        defaults = {name: known.default for name, known in fields.items() if name not in _FREE}
        return defaults | PRESETS[preset]


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

        Raises:
            OptionError: librosa refuses the options.
        """
        for message in _HARMLESS:  # for good: a filter of one call is not safe in threads
            warnings.filterwarnings("ignore", message, UserWarning)
        backbone = cls(options)
        noise = np.random.default_rng(0).normal(0, 0.1, round(_WARM_SECONDS * options.sample_rate))
        try:
            with _compiling_alone():
                backbone._features(noise.astype(np.float32))
        except librosa.ParameterError as error:
            said = str(error).rstrip(".")
            raise OptionError(f"librosa: {said}; these options do not fit together") from error
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
