"""Store crops of the main face as pixels, for face models that run later.

Source: MTCNN (Zhang et al. 2016, arXiv:1604.02878), see :mod:`emo.extract.faces.detector`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import ClassVar, Self

import numpy as np

from emo.extract.backbone import OURS, Backbone, Inputs, Prepared
from emo.extract.media import FaceMode, FaceRule, Media, Needs, Uniform
from emo.store.recipe import Recipe, StreamSpec


@dataclass(frozen=True)
class FaceCropsOptions:
    """Options of :class:`FaceCrops`."""

    frames: int = field(default=8, metadata={"help": "frames per clip, spread evenly over it"})
    size: int = field(default=160, metadata={"help": "height and width of a crop in pixels"})
    margin: float = field(
        default=0.0, metadata={"help": "share of the face's box added on each side"}
    )
    min_probability: float = field(
        default=0.9, metadata={"help": "least probability of a detected face"}
    )
    faces: FaceMode = field(
        default="track", metadata={"help": "track, largest, all, or centre (no detection)"}
    )
    require_face: bool = field(
        default=False, metadata={"help": "no face stream for a clip without any face"}
    )

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: an option is out of its range.
        """
        if min(self.frames, self.size) < 1 or self.margin < 0:
            raise ValueError(f"expected frames and size above 0 and margin >= 0, got {self}")
        if not 0 < self.min_probability <= 1:
            raise ValueError(f"expected 0 < min_probability <= 1, got {self.min_probability}")


class FaceCrops(Backbone):
    """Crops of the main face. The frames are evenly spread over the clip.

    Streams: ``face``, uint8 (F, size * size * 3) RGB.
    """

    Options: ClassVar[type] = FaceCropsOptions
    card = OURS

    def __init__(self, options: FaceCropsOptions) -> None:
        """Keep the options."""
        self.options = options

    @classmethod
    def needs(cls, options: FaceCropsOptions) -> Needs:
        """Require faces on evenly spread frames."""
        rule = FaceRule(
            options.size, options.margin, options.min_probability,
            require_face=options.require_face, mode=options.faces,
        )  # fmt: skip
        return Needs(frames=Uniform(options.frames), faces=rule)

    @classmethod
    def recipe(cls, options: FaceCropsOptions) -> Recipe:
        """Return one stream of images."""
        shape = (options.size, options.size, 3)
        spec = StreamSpec(options.size**2 * 3, "uint8", kind="image", shape=shape)
        return Recipe("faces", {"face": spec}, asdict(options), version=2)

    @classmethod
    def tokens(cls, options: FaceCropsOptions, seconds: float) -> dict[str, float]:
        """Return one token (crop) per frame, for a clip of any length."""
        return {"face": options.frames}

    @classmethod
    def load(cls, options: FaceCropsOptions, *, device: str) -> Self:
        """Return the backbone; the pipeline loads the face detector, so ``device`` is not used."""
        return cls(options)

    @classmethod
    def tiny(cls) -> Self:
        """Return a backbone with fewer and smaller crops."""
        return cls(FaceCropsOptions(frames=2, size=8))

    def prepare(self, media: Media) -> Prepared:
        """Flatten the crops and note the share of frames in which the face was found."""
        if media.faces is None:
            return Prepared({}, dict(media.absent))
        crops = media.faces.crops
        return Prepared(
            {"face": crops.reshape(len(crops), -1)},
            notes={"face_share": float(media.faces.found.mean())},
        )

    def encode(self, batch: Sequence[Inputs]) -> list[dict[str, np.ndarray]]:
        """Return the pixels unchanged: uint8 (F, size * size * 3) for each clip."""
        return [dict(inputs) for inputs in batch]
