"""Hand-made features without weights: speech prosody, face gradients, hashed words.

Sources: Dalal and Triggs 2005 (HOG); Boersma 1993 (pitch); Weinberger et al. 2009 (hashing).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import ClassVar, Self

import numpy as np
from skimage.feature import hog

from emo.extract.backbone import Backbone, Inputs, Prepared
from emo.extract.media import FaceMode, FaceRule, Media, Needs, Uniform
from emo.extract.transforms.audio import count_frames, resample_audio, to_mono
from emo.extract.transforms.hashed_words import hashed_grams
from emo.extract.transforms.log_mel import log_mel
from emo.extract.transforms.pitch import pitch
from emo.store.recipe import Recipe, StreamSpec

_SAMPLE_RATE = 16000
_WINDOW_SECONDS = 0.032
_CELLS = 5  # across a face; with blocks of 2 x 2 cells and 9 orientations D = 4 * 4 * 4 * 9 = 576


@dataclass(frozen=True)
class ClassicOptions:
    """What changes the features."""

    frames: int = field(
        default=8, metadata={"help": "frames a clip on which the face is looked at"}
    )
    face_size: int = field(default=60, metadata={"help": "pixels of a face crop, a multiple of 5"})
    margin: float = field(default=0.0, metadata={"help": "share of the face box added around it"})
    faces: FaceMode = field(
        default="track", metadata={"help": "track, largest, all, or centre (no detection)"}
    )
    require_face: bool = field(
        default=False, metadata={"help": "no face stream for a clip without any face"}
    )
    mels: int = field(default=40, metadata={"help": "bands of the spectrogram"})
    hop_seconds: float = field(default=0.02, metadata={"help": "seconds between audio tokens"})
    text_width: int = field(default=4096, metadata={"help": "places for hashed words"})

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: an option is out of its range.
        """
        if min(self.frames, self.face_size, self.mels, self.hop_seconds, self.text_width) <= 0:
            raise ValueError(f"expected every option above 0 (margin: 0 or more), got {self}")
        if self.face_size % _CELLS or self.margin < 0:
            raise ValueError(f"expected face_size a multiple of {_CELLS} and margin >= 0: {self}")


class Classic(Backbone):
    """The embedded default: useful on a laptop, offline, for any language with spaces.

    Streams: ``audio`` (T, 3 * mels + 5), one token every 20 ms: log-mel in dB, its slope, the
    slope's size, pitch in semitones re 100 Hz, voicing, the size of the pitch's slope, energy in
    dB, the size of its slope. ``face`` (F, 576): HOG of the main face. ``text`` (1, text_width):
    hashed words and word pairs.
    """

    Options: ClassVar[type] = ClassicOptions

    def __init__(self, options: ClassicOptions) -> None:
        """Keep the options; there are no weights."""
        self.options = options

    @classmethod
    def needs(cls, options: ClassicOptions) -> Needs:
        """Faces on evenly spread frames, audio and text."""
        rule = FaceRule(
            options.face_size, options.margin,
            require_face=options.require_face, mode=options.faces,
        )  # fmt: skip
        return Needs(frames=Uniform(options.frames), faces=rule, audio=True, text=True)

    @classmethod
    def recipe(cls, options: ClassicOptions) -> Recipe:
        """Two dense streams and a sparse one, all float16."""
        streams = {
            "audio": StreamSpec(3 * options.mels + 5),
            "face": StreamSpec((_CELLS - 1) ** 2 * 4 * 9),
            "text": StreamSpec(options.text_width, level="clip", kind="sparse"),
        }
        return Recipe("classic", streams, asdict(options))

    @classmethod
    def tokens(cls, options: ClassicOptions, seconds: float) -> dict[str, float]:
        """Tokens a stream of a clip that lasts ``seconds``."""
        return {"audio": 1 + seconds / options.hop_seconds, "face": options.frames, "text": 1}

    @classmethod
    def load(cls, options: ClassicOptions, *, device: str) -> Self:
        """There is nothing to load; ``device`` does not matter."""
        return cls(options)

    @classmethod
    def tiny(cls) -> Self:
        """The same features, fewer of them."""
        return cls(ClassicOptions(frames=2, face_size=20, mels=4, hop_seconds=0.05, text_width=16))

    def prepare(self, media: Media) -> Prepared:
        """All of the work."""
        inputs, notes = {}, {}
        if media.samples is not None and media.sample_rate is not None:
            samples = resample_audio(to_mono(media.samples), media.sample_rate, _SAMPLE_RATE)
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
        """The features are the tokens."""
        return [dict(inputs) for inputs in batch]


def prosody(samples: np.ndarray, sample_rate: int, *, mels: int, hop_seconds: float) -> np.ndarray:
    """(S,) -> float32 (T, 3 * mels + 5), the columns as in :class:`Classic`.

    Slopes are per token. Their sizes are there because a mean over time, which is all that light
    heads take, cancels rise and fall (nEMO: UAR .29 -> .37 with them).
    """
    mel = log_mel(
        samples, sample_rate, mels=mels, hop_seconds=hop_seconds,
        window_seconds=_WINDOW_SECONDS, fmin=50.0,
    )  # fmt: skip
    tone = pitch(samples, sample_rate, hop_seconds=hop_seconds)
    hop, window = round(hop_seconds * sample_rate), round(_WINDOW_SECONDS * sample_rate)
    power = np.square(count_frames(samples, window, hop)).mean(axis=1, keepdims=True)
    energy = 10 * np.log10(np.maximum(power, 1e-10))
    slopes = slope(mel)
    columns = [mel, slopes, np.abs(slopes), tone]
    columns += [np.abs(slope(tone[:, :1])), energy, np.abs(slope(energy))]
    return np.concatenate(columns, axis=1, dtype=np.float32)


def slope(rows: np.ndarray) -> np.ndarray:
    """(T, D) -> (T, D): the regression line through five rows, per row; the ends repeat."""
    padded = np.pad(rows, ((2, 2), (0, 0)), mode="edge")
    fitted: np.ndarray = 2 * (padded[4:] - padded[:-4]) + padded[3:-1] - padded[1:-3]
    return fitted / 10


def gradients(crop: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> float32 (576,): HOG of the grey crop, blind to light and tint."""
    grey = crop @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    cell = (len(crop) // _CELLS,) * 2
    found: np.ndarray = hog(grey, orientations=9, pixels_per_cell=cell, cells_per_block=(2, 2))
    return found.astype(np.float32)
