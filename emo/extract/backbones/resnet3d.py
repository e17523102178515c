"""3D ResNets of torchvision: one token for each window of 16 frames, of the main face or all.

Source: Tran et al. 2018 (arXiv:1711.11248), torchvision's Kinetics-400 weights and transforms.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from emo.extract.backbone import BackboneCard, Inputs, Prepared
from emo.extract.media import WINDOWS_AT_ONCE, Media, Needs, Rate, Windows, window_starts
from emo.extract.models.checkpoint import fill, read_tensors
from emo.extract.models.model import Model, to_numpy
from emo.extract.models.options import FaceModelOptions
from emo.extract.models.weights import Found, WeightFile, Weights
from emo.store.recipe import StreamSpec

CHECKPOINTS = {
    "r3d_18": "r3d_18-b3b3357e.pth",
    "mc3_18": "mc3_18-a90a0ba3.pth",
    "r2plus1d_18": "r2plus1d_18-91a641e6.pth",
}
ORIGIN = "https://download.pytorch.org/models/"
FRAMES = 16
WIDTH = 512
MEAN = (0.43216, 0.394666, 0.37645)
DEVIATION = (0.22803, 0.22145, 0.216989)
# height, width before the crop, as a share of the crop: 128 x 171 for 112
RESIZED = (128 / 112, 171 / 112)


@dataclass(frozen=True, kw_only=True)
class ResNet3dOptions(FaceModelOptions):
    """What changes the tokens."""

    weights: str = field(
        default="",
        metadata={"help": "a .pth file or its folder; empty: torchvision's own", "recipe": False},
    )
    model: Literal["r3d_18", "mc3_18", "r2plus1d_18"] = field(
        default="r3d_18", metadata={"help": "which of torchvision's networks"}
    )
    input: Literal["face", "video"] = field(
        default="face", metadata={"help": "crops of the main face, or whole frames"}
    )
    frame_rate: float = field(
        default=15.0, metadata={"help": "frames a second; 16 of them are a window"}
    )
    hop_seconds: float | None = field(
        default=None, metadata={"help": "between windows; none: the length of one"}
    )
    size: int = field(default=112, metadata={"help": "pixels, height and width; 112 in training"})

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: an option is out of its range.
        """
        self.check_faces()
        if self.model not in CHECKPOINTS:
            raise ValueError(f"expected model among {', '.join(CHECKPOINTS)}, got {self.model!r}")
        if self.faces == "all":
            raise ValueError("faces=all gives no frames in a row; expected track, largest, centre")
        if self.frame_rate <= 0 or self.hop <= 0 or self.size < 1:
            raise ValueError(f"expected frame_rate, hop_seconds and size above 0, got {self}")

    @property
    def window_seconds(self) -> float:
        """Of 16 frames."""
        return FRAMES / self.frame_rate

    @property
    def hop(self) -> float:
        """Seconds from the start of a window to that of the next."""
        return self.window_seconds if self.hop_seconds is None else self.hop_seconds


class ResNet3d(Model):
    """Average-pooled features of a 3D ResNet, without its classifier.

    Streams: ``face`` or ``video`` (windows, 512), as ``input`` says. The last frame repeats where
    the last window reaches past the end.
    """

    Options: ClassVar[type] = ResNet3dOptions
    options: ResNet3dOptions
    card: ClassVar[BackboneCard] = BackboneCard(
        source="torchvision (arXiv:1711.11248, Kinetics-400)",
        licence="BSD-3-Clause; trained on Kinetics-400",
        parameters="33 M (r3d_18), 12 M (mc3_18), 31 M (r2plus1d_18)",
        streams="face or video (T, 512)",
    )
    row_count: int = 8

    def __init__(self, net: nn.Module, options: ResNet3dOptions, *, device: str) -> None:
        """``net`` has no classifier; it is in eval mode, on ``device``."""
        Model.__init__(self, options, device=device)
        self.net = net
        shape = (1, 3, 1, 1, 1)
        self.mean = torch.tensor(MEAN, device=device).reshape(shape)
        self.deviation = torch.tensor(DEVIATION, device=device).reshape(shape)

    @classmethod
    def weights(cls, options: ResNet3dOptions) -> Weights:
        """One file, which torchvision keeps among torch hub's checkpoints."""
        name = CHECKPOINTS[options.model]
        file = WeightFile((name,), origin=ORIGIN + name)
        return Weights("resnet3d", options.weights or name, (file,))

    @classmethod
    def needs(cls, options: ResNet3dOptions) -> Needs:
        """The frames of each window, or the faces on them."""
        rule = Rate(FRAMES, options.frame_rate)
        windows = Windows(rule, options.window_seconds, options.hop)
        if options.input == "face":
            return Needs(frames=windows, faces=options.rule(options.size))
        return Needs(frames=windows, keep_frames=True, transform=partial(shrink, size=options.size))

    @classmethod
    def streams(cls, options: ResNet3dOptions, found: Found) -> dict[str, StreamSpec]:
        """One stream, named after what is seen."""
        return {options.input: StreamSpec(WIDTH, options.stored, "window")}

    @classmethod
    def tokens(cls, options: ResNet3dOptions, seconds: float) -> dict[str, float]:
        """One a window."""
        starts = window_starts(seconds, options.window_seconds, options.hop)
        return {options.input: float(len(starts))}

    @classmethod
    def stretch_seconds(cls, options: ResNet3dOptions) -> float | None:
        """Eight windows."""
        return WINDOWS_AT_ONCE * options.hop

    @classmethod
    def build(cls, options: ResNet3dOptions, found: Found, *, device: str) -> Self:
        """As in the contract; the classifier's ``fc.*`` are not read."""
        net, path = resnet3d_network(options.model), found.get(CHECKPOINTS[options.model])
        fill(net, read_tensors(path), where=str(path))
        return cls(net.eval().to(device), options, device=device)

    @classmethod
    def write_tiny(cls, folder: Path) -> ResNet3dOptions:
        """The smallest network in half precision, on crops of 16 pixels."""
        path = folder / CHECKPOINTS["mc3_18"]
        tensors = resnet3d_network("mc3_18").state_dict()
        torch.save({name: value.half() for name, value in tensors.items()}, path)
        return ResNet3dOptions(weights=str(path), model="mc3_18", size=16)

    def prepare(self, media: Media) -> Prepared:
        """Cut the images into windows; note the share of frames in which the face was found."""
        name: str = self.options.input
        faces = media.faces if name == "face" else None
        images = media.frames if faces is None else faces.crops
        if images is None:
            return Prepared({}, {name: media.absent.get(name, f"no {name} was decoded")})
        notes = {} if faces is None else {"face_share": float(faces.found.mean())}
        windows = torch.from_numpy(images.reshape(-1, FRAMES, *images.shape[1:]))
        inputs = {name: windows.permute(0, 4, 1, 2, 3)}  # (W, 3, 16, size, size) uint8
        return Prepared(inputs, notes=notes)

    def encode(self, batch: Sequence[Inputs]) -> list[dict[str, np.ndarray]]:
        """One token a window."""
        name = self.options.input
        clips = self.run(self._forward, [inputs[name] for inputs in batch])
        return [{name: to_numpy(tokens)} for tokens in clips]

    def _forward(self, windows: Tensor) -> Tensor:
        """(n, 3, 16, H, W) uint8 -> (n, 512)."""
        tokens: Tensor = self.net((windows.float() / 255 - self.mean) / self.deviation)
        return tokens


def resnet3d_network(model: str) -> nn.Module:
    """One of torchvision's video networks up to the average pooling: -> (n, 512)."""
    from torchvision.models import video

    net: nn.Module = getattr(video, model)()
    net.fc = nn.Identity()
    return net


def shrink(frame: np.ndarray, *, size: int) -> np.ndarray:
    """(H, W, 3) uint8 -> (size, size, 3): squeezed to 128 x 171 (for 112), then its centre.

    Source: torchvision.transforms._presets.VideoClassification, bilinear without antialiasing.
    """
    from torchvision.transforms import functional

    image = torch.from_numpy(frame).permute(2, 0, 1)
    target = [round(size * share) for share in RESIZED]
    resized = functional.resize(image, target, antialias=False)
    array: np.ndarray = functional.center_crop(resized, [size, size]).permute(1, 2, 0).numpy()
    return array
