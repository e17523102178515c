"""Options of the backbone ``videollama``."""

from dataclasses import dataclass, field
from typing import Literal

from emo.extract.models.options import WindowedOptions, chosen_streams

STREAMS = ("video", "audio", "text")


@dataclass(frozen=True, kw_only=True)
class VideoLlamaOptions(WindowedOptions):
    """Options of :class:`emo.extract.backbones.videollama.VideoLlama`."""

    weights: str = field(
        default="DAMO-NLP-SG/Video-LLaMA-2-13B-Finetuned",
        metadata={
            "help": "folder or hub id with the files of Video-LLaMA, BLIP-2 and ImageBind",
            "recipe": False,
        },
    )
    streams: str = field(
        default="video,audio,text", metadata={"help": "streams to compute, with commas between"}
    )
    layer: Literal["qformer", "llama"] = field(
        default="qformer",
        metadata={
            "help": "qformer: before the linear projection to the language model; llama: after it"
        },
    )
    frames: int = field(default=8, metadata={"help": "frames per clip or window, 1 to 32"})
    size: int = field(
        default=224, metadata={"help": "side of the frames in pixels; the weights fix it"}
    )

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: an option is out of its range.
        """
        self.check_windows()
        chosen_streams(self.streams, STREAMS)
        if not 1 <= self.frames <= 32 or self.size < 1:
            raise ValueError(
                f"expected frames 1 to 32 and size above 0, got {self.frames} and {self.size}"
            )

    @property
    def parts(self) -> tuple[str, ...]:
        """Selected streams."""
        return chosen_streams(self.streams, STREAMS)
