"""A small EfficientNet on cached log-mel tokens, read as a picture of time by bands."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from emo.heads.head import Batch, Head
from emo.heads.layers.convolution import ImageNorm
from emo.heads.layers.segments import Classifier, is_present, resample_tokens, shorten

STAGES = ((16, 24, 2), (24, 40, 2), (40, 80, 2))
"""Channels in, channels out, stride of each MBConv; EfficientNet-B0's, one layer a stage."""
EXPANSION = 4
"""Of the channels within an MBConv."""


@dataclass(frozen=True)
class SpectrogramOptions:
    """Of :class:`SpectrogramCNN`."""

    frames: int = field(default=96, metadata={"help": "In time, to which every clip is brought."})
    hidden: int = field(
        default=128,
        metadata={"search": (64, 128, 256), "help": "Channels of the last convolution."},
    )
    dropout: float = field(
        default=0.3, metadata={"search": (0.1, 0.3, 0.5), "help": "Before the logits, in [0, 1)."}
    )

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ValueError(f"expected frames >= 1, got {self.frames}")


class MBConv(nn.Module):
    """Expand, convolve each channel, squeeze-and-excite, project: (N, C, H, W) -> smaller."""

    def __init__(self, channels: int, made: int, stride: int) -> None:
        """Channels read and made."""
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
        """(N, channels, H, W) -> (N, made, H / stride, W / stride)."""
        wide = self.depthwise(self.expand(images))
        projected: Tensor = self.project(wide * self.excite(wide))
        return projected


class SpectrogramCNN(Head):
    """Log-mel tokens (T, bands) as a picture of ``frames`` × bands, one network a stream.

    Every picture has the same size, so a clip never meets its neighbours' padding.
    Source: Tan and Le 2019 (EfficientNet, arXiv:1905.11946), cut to a stem, three MBConv and a
    head, about 0.1 M weights; the team's QIA2020 project reads speech so.
    """

    stream_modules = "networks"
    Options = SpectrogramOptions

    def __init__(
        self, dims: Mapping[str, int], classes: Mapping[str, int], *, options: SpectrogramOptions
    ) -> None:
        """As in the contract."""
        super().__init__(dims, classes, options=options)
        self.frames = options.frames
        self.networks = nn.ModuleList(_network(options.hidden) for _ in dims)
        fused = options.hidden * len(dims)
        self.classifier = Classifier(fused, options.hidden, classes, options.dropout)

    def pool(self, batch: Batch) -> Batch:
        """Clips with more tokens than frames get shorter."""
        streams = {name: shorten(batch.streams[name], self.frames) for name in self.streams}
        return replace(batch, streams=streams)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """As in the contract."""
        found = []
        for name, network in zip(self.streams, self.networks, strict=True):
            tokens = batch.streams[name]
            picture = resample_tokens(tokens, self.frames)[:, None]  # (N, 1, frames, bands)
            found.append(network(picture).flatten(1) * is_present(tokens))
        logits: dict[str, Tensor] = self.classifier(torch.cat(found, dim=1))
        return logits


def _network(hidden: int) -> nn.Sequential:
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
    return nn.Sequential(
        nn.Conv2d(channels, made, size, stride, size // 2, groups=groups, bias=False),
        ImageNorm(made),
        nn.SiLU(),
    )
