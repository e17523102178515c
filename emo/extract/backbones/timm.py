"""Run any image model of timm on frames, face crops or pictures of sound: one pooled token each.

Source: Wightman 2019 (https://github.com/huggingface/pytorch-image-models).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from emo import plugins
from emo.errors import OptionError
from emo.extract.backbone import BackboneCard, Inputs, Prepared
from emo.extract.media import WINDOWS_AT_ONCE, Media, Needs, Uniform, window_starts
from emo.extract.models.model import Model
from emo.extract.models.options import FaceModelOptions
from emo.extract.models.tensor_files.checkpoint import fill, read_config, read_tensors
from emo.extract.models.weights import Found, WeightFile, Weights
from emo.extract.networks.log_mel_picture import PICTURE_SECONDS, pictures_of
from emo.store.recipe import StreamSpec

_TENSORS = WeightFile(("model.safetensors", "pytorch_model.bin", "*.safetensors", "*.pth", "*.bin"))
_CONFIG = WeightFile(("config.json",), is_optional=True)


@dataclass(frozen=True, kw_only=True)
class TimmOptions(FaceModelOptions):
    """Options of :class:`TimmModel`."""

    weights: str = field(
        default="timm/efficientnet_b0.ra_in1k",
        metadata={"help": "checkpoint file, folder, or hub id of the weights", "recipe": False},
    )
    model: str = field(default="efficientnet_b0", metadata={"help": "timm's name of the network"})
    input: Literal["video", "face", "spectrogram"] = field(
        default="video",
        metadata={
            "help": "video: whole frames; face: crops of faces; spectrogram: log-mel as a picture"
        },
    )
    frames: int = field(default=8, metadata={"help": "frames per clip, spread evenly over it"})
    face_size: int = field(default=224, metadata={"help": "side of a face crop in pixels"})
    window_seconds: float | None = field(
        default=None,
        metadata={"help": "seconds of sound in one log-mel picture; none: 10", "off": None},
    )
    hop_seconds: float | None = field(
        default=None,
        metadata={"help": "seconds between these pictures; none: window_seconds", "off": None},
    )

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: an option is out of its range.
        """
        self.check_faces()
        if min(self.frames, self.face_size) < 1:
            raise ValueError(f"expected frames and face_size above 0, got {self}")
        if min(self.window_seconds or 1, self.hop_seconds or 1) <= 0:
            raise ValueError(f"expected window_seconds and hop_seconds above 0, got {self}")

    @property
    def stream(self) -> str:
        """Name of the stream: ``video``, ``face``, or ``audio`` for log-mel pictures."""
        return "audio" if self.input == "spectrogram" else self.input

    @property
    def seconds(self) -> tuple[float, float]:
        """Seconds of sound in one log-mel picture, and seconds between pictures."""
        length = self.window_seconds or PICTURE_SECONDS
        return length, self.hop_seconds or length


class TimmModel(Model):
    """Pooled features of any timm network. They are taken before the classifier.

    Streams: ``video`` or ``face`` (frames, D), or for log-mel pictures ``audio`` (windows, D).
    """

    Options: ClassVar[type] = TimmOptions
    options: TimmOptions
    card: ClassVar[BackboneCard] = BackboneCard(
        source="https://github.com/huggingface/pytorch-image-models",
        licence="code Apache-2.0; weights: see their card",
        parameters="4.0 M (efficientnet_b0)",
        streams="video, face or audio (T, 1280)",
    )

    def __init__(self, net: Any, transform: Any, options: TimmOptions, *, device: str) -> None:
        """Keep the network and its transform.

        Args:
            net: the network in eval mode, on ``device``.
            transform: turns a Pillow image into float32 (3, H, W).
            options: instance of ``Options``.
            device: device of the network.
        """
        super().__init__(options, device=device)
        self.net, self.transform = net, transform

    @classmethod
    def weights(cls, options: TimmOptions) -> Weights:
        """Return the tensors and timm's configuration, which is optional."""
        return Weights("timm", options.weights, (_TENSORS, _CONFIG))

    @classmethod
    def needs(cls, options: TimmOptions) -> Needs:
        """Require evenly spread frames, face crops of them, or audio."""
        if options.input == "spectrogram":
            return Needs(audio=True)
        if options.input == "face":
            return Needs(Uniform(options.frames), faces=options.rule(options.face_size))
        return Needs(Uniform(options.frames), keep_frames=True)

    @classmethod
    def streams(cls, options: TimmOptions, found: Found) -> dict[str, StreamSpec]:
        """Return one stream; its width is read from a network without memory for its weights."""
        with torch.device("meta"):
            net = timm_network(options.model)
        level = "window" if options.input == "spectrogram" else "frame"
        return {options.stream: StreamSpec(_width(net), options.stored, level)}

    @classmethod
    def tokens(cls, options: TimmOptions, seconds: float) -> dict[str, float]:
        """Return T: one token per frame or log-mel picture."""
        if options.input == "spectrogram":
            return {options.stream: float(len(window_starts(seconds, *options.seconds)))}
        return {options.stream: float(options.frames)}

    @classmethod
    def stretch_seconds(cls, options: TimmOptions) -> float | None:
        """Return the length of eight log-mel pictures; None for frames and faces."""
        return WINDOWS_AT_ONCE * options.seconds[1] if options.input == "spectrogram" else None

    @classmethod
    def build(cls, options: TimmOptions, found: Found, *, device: str) -> Self:
        """Build the named network and load its weights, without those of the classifier."""
        from timm.data.config import resolve_data_config
        from timm.data.transforms_factory import create_transform

        with found.building():
            net = timm_network(options.model)
        if found.has_tensors:
            path = found.get(_TENSORS.names[0])
            fill(net, read_tensors(path), where=str(path))
        chosen = dict(net.pretrained_cfg)
        if config := found.path(_CONFIG.names[0]):
            chosen |= dict(read_config(config).get("pretrained_cfg") or {})
        settings = resolve_data_config(chosen)  # type: ignore[no-untyped-call]
        if options.input == "spectrogram":  # a crop would cut off bands and seconds
            settings |= {"crop_pct": 1.0, "crop_mode": "squash"}
        transform = create_transform(**settings)
        return cls(net.eval().to(device), transform, options, device=device)

    @classmethod
    def write_tiny(cls, folder: Path) -> TimmOptions:
        """Write one of timm's own test networks; return its options."""
        torch.save(timm_network("test_efficientnet").state_dict(), folder / "pytorch_model.bin")
        return TimmOptions(model="test_efficientnet", weights=str(folder), frames=2)

    def prepare(self, media: Media) -> Prepared:
        """Apply timm's transform for evaluation to each image: float32 (F, 3, H, W).

        Log-mel pictures are not cropped, but squeezed into the network's size.
        """
        wanted = self.options.stream
        images: Iterable[np.ndarray] | None = None if wanted == "audio" else media.frames
        notes = {}
        if wanted == "face":
            images = None if media.faces is None else media.faces.crops
            notes = {} if media.faces is None else {"face_share": float(media.faces.found.mean())}
        if wanted == "audio" and media.samples is not None and media.sample_rate is not None:
            window, hop = self.options.window_seconds, self.options.hop_seconds
            images = pictures_of(media.samples, media.sample_rate, window, hop)
        if images is None:
            return Prepared({}, {wanted: media.absent.get(wanted, f"no {wanted}")})
        pixels = torch.stack([self.transform(Image.fromarray(image)) for image in images])
        return Prepared({wanted: pixels}, notes=notes)

    def networks(self) -> dict[str, nn.Module]:
        """Return the only network."""
        return {"weights": self.net}

    def forward(self, batch: Sequence[Inputs]) -> list[dict[str, Tensor]]:
        """Encode each frame by itself: float32 (F, D) for each clip."""
        wanted = self.options.stream
        found: list[dict[str, Tensor]] = [{} for _ in batch]
        for index, tokens in self.run_having(self._forward, batch, wanted):
            found[index][wanted] = tokens
        return found

    def _forward(self, pixels: Tensor) -> Tensor:
        pooled: Tensor = self.net.forward_head(self.net.forward_features(pixels), pre_logits=True)
        return pooled


def timm_network(model: str) -> Any:
    """Build a network of timm with random weights and without its classifier.

    Raises:
        OptionError: timm has no such network.
    """
    import timm

    if model not in timm.list_models():
        raise OptionError(plugins.unknown("timm model", model, timm.list_models()))
    return timm.create_model(model, pretrained=False, num_classes=0)


def _width(net: Any) -> int:
    return int(getattr(net, "head_hidden_size", None) or net.num_features)
