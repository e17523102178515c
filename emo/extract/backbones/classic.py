"""Hand-made features without weights: speech prosody, face gradients, hashed words.

Sources: Dalal and Triggs 2005 (HOG); Boersma 1993 (pitch); Weinberger et al. 2009 (hashing).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from emo.extract.backbone import OURS, Backbone, Inputs, Prepared, recipe_options
from emo.extract.media import FaceMode, FaceRule, Media, Needs, Uniform
from emo.extract.transforms.audio import count_frames, in_blocks, resample_audio, to_mono
from emo.extract.transforms.hashed_words import hashed_grams
from emo.extract.transforms.log_mel import MOST_MELS, log_mel
from emo.extract.transforms.pitch import pitch
from emo.extract.transforms.trim import TRIM_HELP, Trim, check_trim, trimmed
from emo.machine.libraries import late
from emo.store.recipe import Recipe, StreamSpec

if TYPE_CHECKING:
    from skimage import feature
else:
    feature = late("skimage.feature")

_SAMPLE_RATE = 16000
_WINDOW_SECONDS = 0.032
_CELLS = 5  # across a face; with blocks of 2 x 2 cells and 9 orientations D = 4 * 4 * 4 * 9 = 576


@dataclass(frozen=True)
class ClassicOptions:
    """Options of :class:`Classic`."""

    frames: int = field(default=8, metadata={"help": "frames per clip that are searched for faces"})
    face_size: int = field(
        default=60, metadata={"help": "side of a face crop in pixels, a multiple of 5"}
    )
    margin: float = field(
        default=0.0, metadata={"help": "share of the face's box added on each side"}
    )
    faces: FaceMode = field(
        default="track", metadata={"help": "track, largest, all, or centre (no detection)"}
    )
    require_face: bool = field(
        default=False, metadata={"help": "no face stream for a clip without any face"}
    )
    mels: int = field(default=40, metadata={"help": "mel bands of the spectrogram"})
    hop_seconds: float = field(default=0.02, metadata={"help": "seconds between audio tokens"})
    text_width: int = field(default=4096, metadata={"help": "number of bins for hashed words"})
    trim: Trim = field(default="none", metadata={"help": TRIM_HELP, "off": "none"})

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: an option is out of its range.
        """
        if min(self.frames, self.face_size, self.mels, self.hop_seconds, self.text_width) <= 0:
            raise ValueError(f"expected every option above 0 (margin: 0 or more), got {self}")
        if self.hop_seconds * _SAMPLE_RATE < 1 or self.mels > MOST_MELS:
            raise ValueError(
                f"expected hop_seconds of 1 / {_SAMPLE_RATE} or more and mels up to {MOST_MELS:,}, "
                f"got {self}"
            )
        if self.face_size % _CELLS or self.margin < 0:
            raise ValueError(f"expected face_size a multiple of {_CELLS} and margin >= 0: {self}")


class Classic(Backbone):
    """Hand-made features, the default. They need no weights; texts in languages with spaces.

    Streams: ``audio`` (T, 3 * mels + 5), one token every 20 ms: log-mel in dB, its slope, the
    slope's absolute value, pitch in semitones relative to 100 Hz, voicing, the absolute slope of
    the pitch, energy in dB, the absolute slope of the energy. ``face`` (F, 576): HOG of the main
    face. ``text`` (1, text_width): hashed words and word pairs.
    """

    Options: ClassVar[type] = ClassicOptions
    card = OURS

    def __init__(self, options: ClassicOptions) -> None:
        """Keep the options."""
        self.options = options

    @classmethod
    def needs(cls, options: ClassicOptions) -> Needs:
        """Require faces on evenly spread frames, audio and text."""
        rule = FaceRule(
            options.face_size, options.margin,
            require_face=options.require_face, mode=options.faces,
        )  # fmt: skip
        return Needs(frames=Uniform(options.frames), faces=rule, audio=True, text=True)

    @classmethod
    def recipe(cls, options: ClassicOptions) -> Recipe:
        """Return two dense streams and a sparse one (text), all float16."""
        check_trim(options.trim)
        streams = {
            "audio": StreamSpec(3 * options.mels + 5),
            "face": StreamSpec((_CELLS - 1) ** 2 * 4 * 9),
            "text": StreamSpec(options.text_width, level="clip", kind="sparse"),
        }
        return Recipe("classic", streams, recipe_options(options), version=2)

    @classmethod
    def tokens(cls, options: ClassicOptions, seconds: float) -> dict[str, float]:
        """Return T of each stream: one audio token per hop, one per frame, one per text."""
        return {"audio": 1 + seconds / options.hop_seconds, "face": options.frames, "text": 1}

    @classmethod
    def load(cls, options: ClassicOptions, *, device: str) -> Self:
        """Return the backbone; there are no weights, and ``device`` is not used."""
        return cls(options)

    @classmethod
    def tiny(cls) -> Self:
        """Return a backbone with fewer frames, bands and bins."""
        return cls(ClassicOptions(frames=2, face_size=20, mels=4, hop_seconds=0.05, text_width=16))

    def prepare(self, media: Media) -> Prepared:
        """Compute all features of a clip; ``encode`` only returns them."""
        inputs: dict[str, np.ndarray] = {}
        notes: dict[str, float] = {}
        if media.samples is not None and media.sample_rate is not None:
            samples = resample_audio(to_mono(media.samples), media.sample_rate, _SAMPLE_RATE)
            samples, notes = trimmed(samples, _SAMPLE_RATE, self.options.trim)
            inputs["audio"] = prosody(
                samples, _SAMPLE_RATE, mels=self.options.mels, hop_seconds=self.options.hop_seconds
            )
        if media.faces is not None:
            inputs["face"] = np.stack([gradients(crop) for crop in media.faces.crops])
            notes["face_share"] = float(media.faces.found.mean())
        if media.text is not None:
            inputs["text"] = hashed_grams(media.text, self.options.text_width)[None]
        return Prepared(inputs, dict(media.absent), notes)

    def encode(self, batch: Sequence[Inputs]) -> list[dict[str, np.ndarray]]:
        """Return the prepared features unchanged: float32 (T, D) for each stream of each clip."""
        return [dict(inputs) for inputs in batch]


def prosody(samples: np.ndarray, sample_rate: int, *, mels: int, hop_seconds: float) -> np.ndarray:
    """Compute the prosody features of speech; :class:`Classic` lists the columns.

    Slopes are per token. Their absolute values are included because light heads take the mean over
    time, in which rises and falls cancel (nEMO: UAR .29 without them, .37 with them).

    Args:
        samples: float32 (S,), mono, in [-1, 1].
        sample_rate: Hz.
        mels: number of mel bands.
        hop_seconds: seconds between tokens.

    Returns:
        float32 (T, 3 * mels + 5).
    """
    mel = log_mel(
        samples, sample_rate, mels=mels, hop_seconds=hop_seconds,
        window_seconds=_WINDOW_SECONDS, fmin=50.0,
    )  # fmt: skip
    tone = pitch(samples, sample_rate, hop_seconds=hop_seconds)
    hop, window = round(hop_seconds * sample_rate), round(_WINDOW_SECONDS * sample_rate)
    power = in_blocks(
        count_frames(samples, window, hop),
        lambda block: np.square(block).mean(axis=1, keepdims=True),
    )
    energy = 10 * np.log10(np.maximum(power, 1e-10))
    slopes = slope(mel)
    columns = [mel, slopes, np.abs(slopes), tone]
    columns += [np.abs(slope(tone[:, :1])), energy, np.abs(slope(energy))]
    return np.concatenate(columns, axis=1, dtype=np.float32)


def slope(rows: np.ndarray) -> np.ndarray:
    """Return the slope of a regression line through five rows around each row: (T, D) -> (T, D).

    The first and the last row are repeated beyond the ends.
    """
    padded = np.pad(rows, ((2, 2), (0, 0)), mode="edge")
    fitted: np.ndarray = 2 * (padded[4:] - padded[:-4]) + padded[3:-1] - padded[1:-3]
    return fitted / 10


def gradients(crop: np.ndarray) -> np.ndarray:
    """Compute the HOG of a crop in grey, which hardly depends on light and tint.

    Args:
        crop: uint8 (H, W, 3) RGB, square, with a side that is a multiple of 5.

    Returns:
        float32 (576,).
    """
    grey = crop @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    cell = (len(crop) // _CELLS,) * 2
    found: np.ndarray = feature.hog(
        grey, orientations=9, pixels_per_cell=cell, cells_per_block=(2, 2)
    )
    return found.astype(np.float32)
