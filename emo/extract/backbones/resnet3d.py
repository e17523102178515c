"""3D ResNets of torchvision: one token per window of 16 frames, of face crops or whole frames.

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
from emo.extract.models.model import Model
from emo.extract.models.options import FaceModelOptions
from emo.extract.models.tensor_files.checkpoint import fill, read_tensors
from emo.extract.models.weights import Found, WeightFile, Weights
from emo.store.recipe import StreamSpec

CHECKPOINTS = {
    "r3d_18": "r3d_18-b3b3357e.pth",
    "mc3_18": "mc3_18-a90a0ba3.pth",
    "r2plus1d_18": "r2plus1d_18-91a641e6.pth",
}
"""Network -> torchvision's file of its weights."""
ORIGIN = "https://download.pytorch.org/models/"
FRAMES = 16
"""Frames of a window."""
WIDTH = 512
MEAN = (0.43216, 0.394666, 0.37645)
DEVIATION = (0.22803, 0.22145, 0.216989)
RESIZED = (128 / 112, 171 / 112)
"""Height and width before the centre crop, as multiples of the crop's side."""


@dataclass(frozen=True, kw_only=True)
class ResNet3dOptions(FaceModelOptions):
    """Options of :class:`ResNet3d`."""

    weights: str = field(
        default="",
        metadata={"help": "a .pth file or its folder; empty: torchvision's own", "recipe": False},
    )
    model: Literal["r3d_18", "mc3_18", "r2plus1d_18"] = field(
        default="r3d_18", metadata={"help": "torchvision's name of the network"}
    )
    input: Literal["face", "video"] = field(
        default="face", metadata={"help": "face: crops of the main face; video: whole frames"}
    )
    frame_rate: float = field(
        default=15.0, metadata={"help": "frames per second; 16 frames are a window"}
    )
    hop_seconds: float | None = field(
        default=None, metadata={"help": "seconds between windows; none: a window's length"}
    )
    size: int = field(
        default=112, metadata={"help": "height and width in pixels; training used 112"}
    )

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: an option is out of its range.
        """
        self.check_faces()
        if self.model not in CHECKPOINTS:
            raise ValueError(f"expected model among {', '.join(CHECKPOINTS)}, got {self.model!r}")
        if self.faces == "all":
            raise ValueError(
                "faces=all gives no sequence of frames; expected track, largest or centre"
            )
        if self.frame_rate <= 0 or self.hop <= 0 or self.size < 1:
            raise ValueError(f"expected frame_rate, hop_seconds and size above 0, got {self}")

    @property
    def window_seconds(self) -> float:
        """Length of a window of 16 frames in seconds."""
        return FRAMES / self.frame_rate

    @property
    def hop(self) -> float:
        """Seconds from the start of a window to the start of the next."""
        return self.window_seconds if self.hop_seconds is None else self.hop_seconds


class ResNet3d(Model):
    """Average-pooled 3D ResNet features. They are taken before the classifier.

    Streams: ``face`` or ``video`` (windows, 512), whichever ``input`` is. Where the last window
    reaches past the end of the clip, the last frame is repeated.
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
    """Windows that go through the network together."""

    def __init__(self, net: nn.Module, options: ResNet3dOptions, *, device: str) -> None:
        """Keep the network.

        Args:
            net: the network without its classifier, in eval mode, on ``device``.
            options: instance of ``Options``.
            device: device of the network.
        """
        Model.__init__(self, options, device=device)
        self.net = net
        shape = (1, 3, 1, 1, 1)
        self.mean = torch.tensor(MEAN, device=device).reshape(shape)
        self.deviation = torch.tensor(DEVIATION, device=device).reshape(shape)

    @classmethod
    def weights(cls, options: ResNet3dOptions) -> Weights:
        """Return one file, which torchvision keeps among torch hub's checkpoints."""
        name = CHECKPOINTS[options.model]
        file = WeightFile((name,), origin=ORIGIN + name)
        return Weights("resnet3d", options.weights or name, (file,))

    @classmethod
    def needs(cls, options: ResNet3dOptions) -> Needs:
        """Require the frames of each window, or face crops of them."""
        rule = Rate(FRAMES, options.frame_rate)
        windows = Windows(rule, options.window_seconds, options.hop)
        if options.input == "face":
            return Needs(frames=windows, faces=options.rule(options.size))
        return Needs(frames=windows, keep_frames=True, transform=partial(shrink, size=options.size))

    @classmethod
    def streams(cls, options: ResNet3dOptions, found: Found) -> dict[str, StreamSpec]:
        """Return one stream, named after ``input``."""
        return {options.input: StreamSpec(WIDTH, options.stored, "window")}

    @classmethod
    def tokens(cls, options: ResNet3dOptions, seconds: float) -> dict[str, float]:
        """Return T: one token per window."""
        starts = window_starts(seconds, options.window_seconds, options.hop)
        return {options.input: float(len(starts))}

    @classmethod
    def stretch_seconds(cls, options: ResNet3dOptions) -> float | None:
        """Return the length of eight windows."""
        return WINDOWS_AT_ONCE * options.hop

    @classmethod
    def build(cls, options: ResNet3dOptions, found: Found, *, device: str) -> Self:
        """Build the network and load its weights, without the classifier's ``fc.*``."""
        with found.building():
            net = resnet3d_network(options.model)
        if found.has_tensors:
            path = found.get(CHECKPOINTS[options.model])
            fill(net, read_tensors(path), where=str(path))
        return cls(net.eval().to(device), options, device=device)

    @classmethod
    def write_tiny(cls, folder: Path) -> ResNet3dOptions:
        """Write the smallest network in half precision; return options with crops of 16 pixels."""
        path = folder / CHECKPOINTS["mc3_18"]
        tensors = resnet3d_network("mc3_18").state_dict()
        torch.save({name: value.half() for name, value in tensors.items()}, path)
        return ResNet3dOptions(weights=str(path), model="mc3_18", size=16)

    def prepare(self, media: Media) -> Prepared:
        """Cut the images into windows, uint8 (W, 3, 16, size, size).

        The note ``face_share`` is the share of frames in which the face was found.
        """
        name: str = self.options.input
        faces = media.faces if name == "face" else None
        images = media.frames if faces is None else faces.crops
        if images is None:
            return Prepared({}, {name: media.absent.get(name, f"no {name} was decoded")})
        notes = {} if faces is None else {"face_share": float(faces.found.mean())}
        windows = torch.from_numpy(images.reshape(-1, FRAMES, *images.shape[1:]))
        inputs = {name: windows.permute(0, 4, 1, 2, 3)}  # (W, 3, 16, size, size)
        return Prepared(inputs, notes=notes)

    def networks(self) -> dict[str, nn.Module]:
        """Return the only network."""
        return {"weights": self.net}

    def forward(self, batch: Sequence[Inputs]) -> list[dict[str, Tensor]]:
        """Encode each window by itself: float32 (W, 512) for each clip."""
        name = self.options.input
        found: list[dict[str, Tensor]] = [{} for _ in batch]
        for index, tokens in self.run_having(self._forward, batch, name):
            found[index][name] = tokens
        return found

    def _forward(self, windows: Tensor) -> Tensor:
        """Normalise and encode windows: uint8 (n, 3, 16, H, W) -> (n, 512)."""
        tokens: Tensor = self.net((windows.float() / 255 - self.mean) / self.deviation)
        return tokens


def resnet3d_network(model: str) -> nn.Module:
    """Build one of torchvision's video networks up to the average pooling, output (n, 512)."""
    from torchvision.models import video

    net: nn.Module = getattr(video, model)()
    net.fc = nn.Identity()
    return net


def shrink(frame: np.ndarray, *, size: int) -> np.ndarray:
    """Resize a frame to a fixed shape (128 x 171 for size 112) and crop its centre.

    Args:
        frame: uint8 (H, W, 3).
        size: side of the crop in pixels.

    Returns:
        uint8 (size, size, 3).

    Source: torchvision.transforms._presets.VideoClassification, bilinear without antialiasing.
    """
    from torchvision.transforms import functional

    image = torch.from_numpy(frame).permute(2, 0, 1)
    target = [round(size * share) for share in RESIZED]
    resized = functional.resize(image, target, antialias=False)
    array: np.ndarray = functional.center_crop(resized, [size, size]).permute(1, 2, 0).numpy()
    return array
