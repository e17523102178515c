"""Run a small EfficientNet on cached log-mel tokens, read as an image of time by bands."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from emo.heads.head import Batch, Head
from emo.heads.layers.convolution import ImageNorm
from emo.heads.layers.segments import Classifier, is_present, resample_tokens, shorten

STAGES = ((16, 24, 2), (24, 40, 2), (40, 80, 2))
"""Channels in, channels out and stride of each MBConv, as in EfficientNet-B0 with one layer for
each stage."""
EXPANSION = 4
"""Factor by which an MBConv widens its channels."""


@dataclass(frozen=True)
class SpectrogramOptions:
    """Options of :class:`SpectrogramCNN`."""

    frames: int = field(
        default=96, metadata={"help": "Number of frames to which every clip is resampled."}
    )
    hidden: int = field(
        default=128,
        metadata={"search": (64, 128, 256), "help": "Channels of the last convolution."},
    )
    dropout: float = field(
        default=0.3,
        metadata={
            "search": (0.1, 0.3, 0.5),
            "range": (0, 1),
            "help": "Dropout before the logits, in [0, 1).",
        },
    )

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ValueError(f"expected frames >= 1, got {self.frames}")


class MBConv(nn.Module):
    """The block of EfficientNet: expand, convolve each channel, squeeze-and-excite, project."""

    def __init__(self, channels: int, made: int, stride: int) -> None:
        """Build the block.

        Args:
            channels: number of input channels.
            made: number of output channels.
            stride: factor by which height and width shrink.
        """
        super().__init__()
        wide = channels * EXPANSION
        self.expand = _convolution(channels, wide, 1)
        self.depthwise = _convolution(wide, wide, 3, stride=stride, groups=wide)
        self.excite = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(wide, wide // 8, 1), nn.SiLU(),
            nn.Conv2d(wide // 8, wide, 1), nn.Sigmoid(),
        )  # fmt: skip
        self.project = nn.Sequential(nn.Conv2d(wide, made, 1, bias=False), ImageNorm(made))

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, channels, H, W) to (N, made, H / stride, W / stride), float32."""
        wide = self.depthwise(self.expand(images))
        projected: Tensor = self.project(wide * self.excite(wide))
        return projected


class SpectrogramCNN(Head):
    """Log-mel tokens read as an image by a small EfficientNet.

    Tokens (T, bands) become an image of ``frames`` × bands; each stream has its own network.
    All images have the same size, so that there is no padding.
    Source: Tan and Le 2019 (EfficientNet, arXiv:1905.11946), reduced to a stem, three MBConv and a
    last convolution, about 0.1 M weights; the team's QIA2020 project reads speech this way.
    """

    stream_modules = "networks"
    Options = SpectrogramOptions
    pools_apart = True

    def __init__(
        self, dims: Mapping[str, int], classes: Mapping[str, int], *, options: SpectrogramOptions
    ) -> None:
        """Build a convolutional network for each stream, and the classifier."""
        super().__init__(dims, classes, options=options)
        self.frames = options.frames
        self.networks = nn.ModuleList(_network(options.hidden) for _ in dims)
        fused = options.hidden * len(dims)
        self.classifier = Classifier(fused, options.hidden, classes, options.dropout)

    def pool(self, batch: Batch) -> Batch:
        """Shorten clips of more than ``frames`` tokens to means over windows."""
        streams = {name: shorten(batch.streams[name], self.frames) for name in self.streams}
        return replace(batch, streams=streams)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits, float32 (N, C), for each target."""
        found = []
        for name, network in zip(self.streams, self.networks, strict=True):
            tokens = batch.streams[name]
            images = resample_tokens(tokens, self.frames)[:, None]  # (N, 1, frames, bands)
            found.append(network(images).flatten(1) * is_present(tokens))
        logits: dict[str, Tensor] = self.classifier(torch.cat(found, dim=1))
        return logits


def _network(hidden: int) -> nn.Sequential:
    """Return the network of one stream: (N, 1, frames, bands) -> (N, hidden, 1, 1)."""
    first, last = STAGES[0][0], STAGES[-1][1]
    return nn.Sequential(
        _convolution(1, first, 3, stride=2),
        *(MBConv(*stage) for stage in STAGES),
        _convolution(last, hidden, 1),
        nn.AdaptiveAvgPool2d(1),
    )


def _convolution(
    channels: int, made: int, size: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Return a convolution of ``size`` × ``size`` with normalisation and activation."""
    return nn.Sequential(
        nn.Conv2d(channels, made, size, stride, size // 2, groups=groups, bias=False),
        ImageNorm(made),
        nn.SiLU(),
    )
