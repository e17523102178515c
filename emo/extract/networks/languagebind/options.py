"""Options of the backbone ``languagebind``."""

from dataclasses import dataclass, field
from typing import Literal

from emo.extract.models.options import WindowedOptions, chosen_streams

OPTION_OF = {
    "video": "weights",
    "audio": "audio_weights",
    "image": "image_weights",
    "text": "weights",
}
"""Stream -> the option with the repository of its tower."""


@dataclass(frozen=True, kw_only=True)
class LanguageBindOptions(WindowedOptions):
    """Options of :class:`emo.extract.backbones.languagebind.LanguageBind`."""

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
        metadata={"help": "streams to compute, of video,audio,image,text, with commas between"},
    )
    level: Literal["pooled", "frames", "tokens"] = field(
        default="pooled",
        metadata={
            "help": "pooled: one token in the shared space; frames: class tokens before the "
            "projection; tokens: all tokens"
        },
    )

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: an option is out of its range.
        """
        self.check_windows()
        chosen_streams(self.streams, OPTION_OF)

    @property
    def parts(self) -> tuple[str, ...]:
        """Selected streams."""
        return chosen_streams(self.streams, OPTION_OF)

    @property
    def pictures(self) -> list[str]:
        """Selected streams that are computed from frames."""
        return [name for name in ("video", "image") if name in self.parts]
