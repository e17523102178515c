"""The options of the backbone ``languagebind``."""

from dataclasses import dataclass, field
from typing import Literal

from emo.extract.model import ModelOptions

OPTION_OF = {
    "video": "weights",
    "audio": "audio_weights",
    "image": "image_weights",
    "text": "weights",
}
"""The option which says where a stream's tower lies."""


@dataclass(frozen=True, kw_only=True)
class LanguageBindOptions(ModelOptions):
    """What changes the tokens."""

    weights: str = field(
        default="LanguageBind/LanguageBind_Video_FT",
        metadata={"help": "folder or hub id of the video and text towers", "recipe": False},
    )
    audio_weights: str = field(
        default="LanguageBind/LanguageBind_Audio_FT",
        metadata={"help": "folder or hub id of the audio tower", "recipe": False},
    )
    image_weights: str = field(
        default="LanguageBind/LanguageBind_Image",
        metadata={"help": "folder or hub id of the image tower", "recipe": False},
    )
    streams: str = field(
        default="video,audio,text",
        metadata={"help": "those wanted, of video,audio,image,text, with commas between"},
    )
    level: Literal["pooled", "frames", "tokens"] = field(
        default="pooled",
        metadata={
            "help": "pooled: in the shared space; frames: class tokens before it; tokens: all"
        },
    )
    window_seconds: float | None = field(
        default=None, metadata={"help": "seconds seen at once; none: the whole clip"}
    )
    hop_seconds: float | None = field(
        default=None, metadata={"help": "seconds between windows; none: window_seconds"}
    )

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: an option is out of its range.
        """
        parts = str(self.streams).split(",")
        if not set(parts) <= set(OPTION_OF) or len(set(parts)) < len(parts):
            raise ValueError(f"streams: expected some of {','.join(OPTION_OF)}, got {self.streams}")
        window, hop = self.window_seconds, self.hop_seconds
        if window is not None and window <= 0:
            raise ValueError(f"expected window_seconds above 0, got {window}")
        if hop is not None and (window is None or not 0 < hop <= window):
            raise ValueError(f"expected 0 < hop_seconds <= window_seconds, got {hop} and {window}")

    @property
    def parts(self) -> list[str]:
        """The streams wanted."""
        return self.streams.split(",")

    @property
    def pictures(self) -> list[str]:
        """The streams wanted that are made of frames."""
        return [name for name in ("video", "image") if name in self.parts]

    @property
    def windows(self) -> tuple[float, float] | None:
        """Seconds of a window and between windows; None: the clip is one window."""
        if self.window_seconds is None:
            return None
        return self.window_seconds, self.hop_seconds or self.window_seconds
