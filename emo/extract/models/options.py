"""The options of backbones that read crops of the main face."""

from dataclasses import dataclass, field

from emo.extract.media import FaceMode, FaceRule
from emo.extract.models.model import ModelOptions


@dataclass(frozen=True, kw_only=True)
class FaceModelOptions(ModelOptions):
    """How the faces are found and cropped."""

    margin: float = field(
        default=0.0, metadata={"help": "share of the face's box added on each side"}
    )
    min_probability: float = field(default=0.9, metadata={"help": "least certainty of a face"})
    faces: FaceMode = field(
        default="track", metadata={"help": "track, largest, all, or centre (no detection)"}
    )
    require_face: bool = field(
        default=False, metadata={"help": "no face stream for a clip without any face"}
    )

    def check_faces(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: an option is out of its range.
        """
        if self.margin < 0 or not 0 < self.min_probability <= 1:
            raise ValueError(f"expected margin >= 0 and 0 < min_probability <= 1, got {self}")

    def rule(self, size: int) -> FaceRule:
        """For crops of ``size`` pixels."""
        return FaceRule(
            size, self.margin, self.min_probability,
            require_face=self.require_face, mode=self.faces,
        )  # fmt: skip
