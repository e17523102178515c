"""The options of backbones that read crops of the main face."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from emo.extract.media import FaceMode, FaceRule

StoredType = Literal["float16", "float32"]


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Of every backbone with weights."""

    weights: str = field(
        default="", metadata={"help": "folder, file or hub id of the weights", "recipe": False}
    )
    dtype: Literal["fp32", "bf16", "fp16"] = field(
        default="fp32", metadata={"help": "precision of the forward pass (autocast below fp32)"}
    )
    stored: StoredType = field(default="float16", metadata={"help": "type of the stored tokens"})


@dataclass(frozen=True, kw_only=True)
class WindowedOptions(ModelOptions):
    """Of backbones that look at the whole clip, or at one window after the other."""

    window_seconds: float | None = field(
        default=None, metadata={"help": "seconds seen at once; none: the whole clip"}
    )
    hop_seconds: float | None = field(
        default=None, metadata={"help": "seconds between windows; none: window_seconds"}
    )

    @property
    def windows(self) -> tuple[float, float] | None:
        """Seconds of a window and between windows; None: the clip is one window."""
        if self.window_seconds is None:
            return None
        return self.window_seconds, self.hop_seconds or self.window_seconds

    def check_windows(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: an option is out of its range.
        """
        window, hop = self.window_seconds, self.hop_seconds
        if window is not None and window <= 0:
            raise ValueError(f"expected window_seconds above 0, got {window}")
        if hop is not None and (window is None or not 0 < hop <= window):
            raise ValueError(f"expected 0 < hop_seconds <= window_seconds, got {hop} and {window}")


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


def chosen_streams(words: str, known: Iterable[str]) -> tuple[str, ...]:
    """The streams that an option such as ``video,text`` names, in its order.

    Raises:
        ValueError: a name that is not among ``known``, or one twice.
    """
    names = tuple(name.strip() for name in str(words).split(","))
    if not set(names) <= set(known) or len(set(names)) < len(names):
        raise ValueError(f"streams: expected some of {','.join(known)}, each once, got {words!r}")
    return names
