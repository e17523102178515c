"""Feature sets of openSMILE: eGeMAPS, ComParE and others. Its licence forbids commercial use.

Sources: Eyben et al. 2010 (openSMILE), Eyben et al. 2016 (GeMAPS), Schuller et al. 2016 (ComParE).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from emo.extract.backbone import Backbone, BackboneCard, Inputs, Prepared, recipe_options
from emo.extract.media import Media, Needs
from emo.extract.transforms.audio import resample_audio, to_mono
from emo.extract.transforms.trim import TRIM_HELP, Trim, check_trim, trimmed
from emo.machine.libraries import late
from emo.store.recipe import Recipe, StreamSpec

if TYPE_CHECKING:
    import opensmile
else:
    opensmile = late("opensmile")

FeatureSet = Literal[
    "eGeMAPSv02", "eGeMAPSv01b", "eGeMAPSv01a", "GeMAPSv01b", "GeMAPSv01a", "ComParE_2016",
    "emobase", "IS09", "IS10", "IS11", "IS12", "IS13",
]  # fmt: skip
"""Values of the option ``set``: openSMILE's own names."""
FeatureLevel = Literal["functionals", "lld", "lld_de"]
"""Values of the option ``level``."""
_LEVELS = {
    "functionals": "Functionals", "lld": "LowLevelDescriptors",
    "lld_de": "LowLevelDescriptors_Deltas",
}  # fmt: skip
_SAMPLE_RATE = 16000
_HOP_SECONDS = 0.01
_SHORTEST = 0.06
SHORTEST = {
    "emobase": 0.04, "IS09": 0.025, "IS10": 0.07, "IS11": 0.07, "IS12": 0.07,
}  # fmt: skip
"""Feature set -> seconds of the shortest sound that has all its numbers; of the others 0.06."""
_HIGHEST = 32767 / 32768  # openSMILE reads 16-bit integers, where 1.0 would become -1.0


@dataclass(frozen=True)
class OpenSmileOptions:
    """Options of :class:`OpenSmile`."""

    set: FeatureSet = field(
        default="eGeMAPSv02", metadata={"help": "feature set: eGeMAPSv02, ComParE_2016, IS09 …"}
    )
    level: FeatureLevel = field(
        default="functionals",
        metadata={"help": "functionals (1 token), lld (one every 10 ms) or lld_de (their deltas)"},
    )
    trim: Trim = field(default="none", metadata={"help": TRIM_HELP})

    def __post_init__(self) -> None:
        """Check that the feature set has the level.

        Raises:
            ValueError: the set has no deltas.
        """
        if self.level == "lld_de" and "GeMAPS" in str(self.set):
            raise ValueError(f"level: {self.set} has no lld_de; take functionals or lld")


class OpenSmile(Backbone):
    """Sets of openSMILE, for research. They are of the mean of the channels at 16 kHz.

    Streams: ``audio`` (1, D) or (T, D); eGeMAPSv02 has 88 functionals or 25 descriptors every
    10 ms, ComParE_2016 6373 or 65.
    """

    Options: ClassVar[type] = OpenSmileOptions
    card = BackboneCard(
        source="https://github.com/audeering/opensmile-python",
        licence="audEERING Research License: research, non-commercial (the wheel's MIT is wrong)",
        parameters="none",
        streams="audio (1, 88): eGeMAPSv02; (1, 6373): ComParE_2016",
    )

    def __init__(self, options: OpenSmileOptions) -> None:
        """Make openSMILE's extractor, which threads share: it starts anew for each clip."""
        self.options = options
        self._extractor = _extractor(options.set, options.level)

    @classmethod
    def needs(cls, options: OpenSmileOptions) -> Needs:
        """Require audio."""
        return Needs(audio=True)

    @classmethod
    def recipe(cls, options: OpenSmileOptions) -> Recipe:
        """Return one dense float32 stream (ComParE reaches 1e11); the facts name the columns.

        Raises:
            MissingLibraryError: openSMILE, which knows the names, is not installed.
        """
        check_trim(options.trim)
        names = list(_extractor(options.set, options.level).feature_names)
        unit = "clip" if options.level == "functionals" else "frame"
        streams = {"audio": StreamSpec(len(names), "float32", unit)}
        facts = {"columns": {"audio": names}}
        return Recipe("opensmile", streams, recipe_options(options), facts=facts)

    @classmethod
    def tokens(cls, options: OpenSmileOptions, seconds: float) -> dict[str, float]:
        """Return T of a clip that lasts ``seconds``."""
        return {"audio": 1.0 if options.level == "functionals" else seconds / _HOP_SECONDS}

    @classmethod
    def load(cls, options: OpenSmileOptions, *, device: str) -> Self:
        """Return the backbone; there are no weights, and ``device`` is not used."""
        # for good, because a filter of one call is not safe in threads: `prepare` says it itself
        warnings.filterwarnings("ignore", "Segment too short", UserWarning)
        return cls(options)

    @classmethod
    def tiny(cls) -> Self:
        """Return the backbone with its default options, which take milliseconds."""
        return cls.load(OpenSmileOptions(), device="cpu")

    def prepare(self, media: Media) -> Prepared:
        """Mix the channels, resample, trim, call openSMILE; ``encode`` only returns the tokens."""
        if media.samples is None or media.sample_rate is None:
            return Prepared({}, dict(media.absent))
        samples = resample_audio(to_mono(media.samples), media.sample_rate, _SAMPLE_RATE)
        samples, notes = trimmed(samples, _SAMPLE_RATE, self.options.trim)
        rows = self._extractor(np.clip(samples, -1, _HIGHEST), _SAMPLE_RATE)[0].T  # (T, D)
        if undefined := int(np.isnan(rows).any(axis=0).sum()):
            reason = (
                f"{undefined} of {rows.shape[1]} numbers of {self.options.set} are undefined for "
                f"a sound of {len(samples) / _SAMPLE_RATE:.3g} s; sounds from "
                f"{SHORTEST.get(self.options.set, _SHORTEST)} s on have them"
            )
            return Prepared({}, {"audio": reason})
        return Prepared({"audio": np.ascontiguousarray(rows, np.float32)}, notes=notes)

    def encode(self, batch: Sequence[Inputs]) -> list[dict[str, np.ndarray]]:
        """Return the features unchanged: float32 (T, D) for each clip."""
        return [dict(inputs) for inputs in batch]


@lru_cache(maxsize=16)
def _extractor(feature_set: FeatureSet, level: FeatureLevel) -> Any:
    """Return openSMILE's extractor of a feature set."""
    with warnings.catch_warnings():  # a newer version of the set is recommended
        warnings.filterwarnings("ignore", ".*is deprecated", UserWarning)
        return opensmile.Smile(
            opensmile.FeatureSet[feature_set], opensmile.FeatureLevel[_LEVELS[level]]
        )
