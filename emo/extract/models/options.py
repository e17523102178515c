"""Options that backbones share: weights and precision, windows, face crops."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from emo.extract.media import FaceMode, FaceRule

StoredType = Literal["float16", "float32"]
"""Type of the stored tokens."""


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Options of every backbone with weights."""

    weights: str = field(
        default="", metadata={"help": "folder, file or hub id of the weights", "recipe": False}
    )
    dtype: Literal["fp32", "bf16", "fp16"] = field(
        default="fp32", metadata={"help": "precision of the forward pass (autocast below fp32)"}
    )
    stored: StoredType = field(default="float16", metadata={"help": "type of the stored tokens"})


@dataclass(frozen=True, kw_only=True)
class WindowedOptions(ModelOptions):
    """Options of backbones that read the whole clip, or one window after the other."""

    window_seconds: float | None = field(
        default=None, metadata={"help": "length of a window in seconds; none: the whole clip"}
    )
    hop_seconds: float | None = field(
        default=None, metadata={"help": "seconds between windows; none: window_seconds"}
    )

    @property
    def windows(self) -> tuple[float, float] | None:
        """Length of a window and step between windows in seconds; None: the clip is one window."""
        if self.window_seconds is None:
            return None
        return self.window_seconds, self.hop_seconds or self.window_seconds

    def check_windows(self) -> None:
        """Check the ranges of ``window_seconds`` and ``hop_seconds``.

        Raises:
            ValueError: one of them is out of its range.
        """
        window, hop = self.window_seconds, self.hop_seconds
        if window is not None and window <= 0:
            raise ValueError(f"expected window_seconds above 0, got {window}")
        if hop is not None and (window is None or not 0 < hop <= window):
            raise ValueError(f"expected 0 < hop_seconds <= window_seconds, got {hop} and {window}")


@dataclass(frozen=True, kw_only=True)
class FaceModelOptions(ModelOptions):
    """Options of backbones that read crops of faces."""

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

    def check_faces(self) -> None:
        """Check the ranges of ``margin`` and ``min_probability``.

        Raises:
            ValueError: one of them is out of its range.
        """
        if self.margin < 0 or not 0 < self.min_probability <= 1:
            raise ValueError(f"expected margin >= 0 and 0 < min_probability <= 1, got {self}")

    def rule(self, size: int) -> FaceRule:
        """Return the decoder's rule for crops of ``size`` x ``size`` pixels."""
        return FaceRule(
            size, self.margin, self.min_probability,
            require_face=self.require_face, mode=self.faces,
        )  # fmt: skip


def chosen_streams(words: str, known: Iterable[str]) -> tuple[str, ...]:
    """Parse an option such as ``video,text`` into names of streams, in its order.

    Args:
        words: names with commas between.
        known: names of all streams.

    Raises:
        ValueError: a name is not among ``known``, or occurs twice.
    """
    names = tuple(name.strip() for name in str(words).split(","))
    if not set(names) <= set(known) or len(set(names)) < len(names):
        raise ValueError(f"streams: expected some of {','.join(known)}, each once, got {words!r}")
    return names
