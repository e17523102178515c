"""Options of the backbone ``hf``: the model, what it reads, and which tokens are kept."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from emo.extract.models.options import FaceModelOptions
from emo.extract.models.packages import hub_id_of
from emo.extract.networks.hf.layers import EACH, layer_numbers
from emo.extract.transforms.trim import TRIM_HELP, Trim


@dataclass(frozen=True, kw_only=True)
class HFOptions(FaceModelOptions):
    """Options of :class:`emo.extract.backbones.hf.HF`."""

    model: str = field(
        default="FacebookAI/roberta-base",
        metadata={"help": "hub id, or folder, of the model; minilm: the one of the extra starter"},
    )
    input: Literal["auto", "text", "audio", "image", "face", "video", "spectrogram"] = field(
        default="auto",
        metadata={
            "help": "what the model reads; face: face crops; spectrogram: log-mel as a picture"
        },
    )
    level: Literal["auto", "tokens", "mean", "first", "pooler", "projected"] = field(
        default="auto",
        metadata={
            "help": "which output is kept: all tokens, or one per text, window or frame; see "
            "docs/backbones.md"
        },
    )
    layers: str = field(
        default="last",
        metadata={
            "help": "last, mean (of all layers), numbers to average: -4,-3,-2,-1, or each: a "
            "stream a layer, such as audio-2, in one pass"
        },
    )
    frames: int = field(default=8, metadata={"help": "frames per clip, for image and face models"})
    face_size: int = field(default=224, metadata={"help": "pixels of a face crop"})
    window_seconds: float | None = field(
        default=None,
        metadata={
            "help": "length of a window of sound (none: 30, or what the model reads) or of video "
            "(none: the clip)"
        },
    )
    hop_seconds: float | None = field(
        default=None, metadata={"help": "seconds between windows; none: window_seconds"}
    )
    window: Literal["model", "clip"] = field(
        default="model",
        metadata={
            "help": "of Whisper: model pads sound to the 30 s that it was trained with; clip cuts "
            "its encoder to the clip's length, many times faster for short clips",
            "off": "model",
        },
    )
    trim: Trim = field(default="none", metadata={"help": f"of sound: {TRIM_HELP}", "off": "none"})

    def __post_init__(self) -> None:
        """Check the ranges; a model given as a folder becomes the option ``weights``.

        The recipe then contains only the folder's name. The short name of a model that an extra
        installs becomes its hub id.

        Raises:
            ValueError: an option is out of its range.
        """
        if min(self.frames, self.face_size, self.window_seconds or 1, self.hop_seconds or 1) <= 0:
            raise ValueError(f"expected frames, face_size, window and hop above 0, got {self}")
        self.check_faces()
        if self.layers != EACH:
            layer_numbers(self.layers)
        if Path(self.weights or self.model).expanduser().is_file():
            raise ValueError(
                f"weights: expected a folder with config.json, the tensors and the processor's "
                f"files, got the file {self.weights or self.model}"
            )
        if Path(self.model).expanduser().is_dir():
            object.__setattr__(self, "weights", self.weights or self.model)
            object.__setattr__(self, "model", Path(self.model).name)
        elif not self.weights:
            object.__setattr__(self, "model", hub_id_of(self.model))
