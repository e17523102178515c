"""The options of Video-LLaMA."""

from dataclasses import dataclass, field
from typing import Literal

from emo.extract.model import ModelOptions

STREAMS = ("video", "audio", "text")


@dataclass(frozen=True, kw_only=True)
class VideoLlamaOptions(ModelOptions):
    """What changes the tokens."""

    weights: str = field(
        default="DAMO-NLP-SG/Video-LLaMA-2-13B-Finetuned",
        metadata={
            "help": "folder or hub id with the files of Video-LLaMA, BLIP-2 and ImageBind",
            "recipe": False,
        },
    )
    streams: str = field(
        default="video,audio,text", metadata={"help": "those wanted, with commas between"}
    )
    layer: Literal["qformer", "llama"] = field(
        default="qformer",
        metadata={"help": "before or after the (linear) projection to the language model"},
    )
    frames: int = field(default=8, metadata={"help": "frames of a clip or window, 1 to 32"})
    size: int = field(
        default=224, metadata={"help": "pixels, side of the frames; that of the weights"}
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
        if not set(parts) <= set(STREAMS) or len(set(parts)) < len(parts):
            raise ValueError(f"streams: expected some of {','.join(STREAMS)}, got {self.streams!r}")
        if not 1 <= self.frames <= 32 or self.size < 1:
            raise ValueError(
                f"expected frames 1 to 32 and size above 0, got {self.frames} and {self.size}"
            )
        window, hop = self.window_seconds, self.hop_seconds
        if window is not None and window <= 0:
            raise ValueError(f"expected window_seconds above 0, got {window}")
        if hop is not None and (window is None or not 0 < hop <= window):
            raise ValueError(f"expected 0 < hop_seconds <= window_seconds, got {hop} and {window}")

    @property
    def parts(self) -> list[str]:
        """The streams wanted."""
        return [stream for stream in STREAMS if stream in self.streams.split(",")]

    @property
    def windows(self) -> tuple[float, float] | None:
        """Seconds of a window and between windows; None: the clip is one window."""
        if self.window_seconds is None:
            return None
        return self.window_seconds, self.hop_seconds or self.window_seconds
