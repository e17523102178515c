"""Run convolutions with squeeze-and-excite, and an LSTM beside them, over each stream's tokens."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from emo.heads.head import Batch, Head
from emo.heads.layers.convolution import RaggedConv, SqueezeExcite, TokenNorm
from emo.heads.layers.lstm import run_lstm
from emo.heads.layers.segments import Classifier, project, segment_mean, shorten
from emo.ragged import Ragged

SIZES = (7, 5, 3)
"""Kernel sizes in tokens. The paper has 8, 5, 3; 7 replaces 8, so that a middle token exists."""


@dataclass(frozen=True)
class MLSTMFCNOptions:
    """Options of :class:`MLSTMFCN`."""

    width: int = field(
        default=64,
        metadata={"search": (32, 64, 128), "help": "Width of a token before both branches."},
    )
    channels: int = field(
        default=64,
        metadata={
            "search": (32, 64, 128),
            "help": "Channels of the first and last convolution; the middle one has twice as many.",
        },
    )
    hidden: int = field(
        default=64, metadata={"search": (32, 64, 128), "help": "Width of the LSTM's state."}
    )
    longest: int = field(
        default=64,
        metadata={"help": "Most tokens of a clip; longer clips become means of so many windows."},
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
        if self.longest < 1:
            raise ValueError(f"expected longest >= 1, got {self.longest}")


class StreamBranches(nn.Module):
    """Both branches of one stream: Ragged (ΣT, D) -> (N, channels + hidden)."""

    def __init__(self, dim: int, options: MLSTMFCNOptions) -> None:
        """Build the branches for tokens of width D ``dim``."""
        super().__init__()
        channels = options.channels
        widths = (options.width, channels, 2 * channels, channels)
        self.project = project(dim, options.width)
        self.convolutions = nn.ModuleList(
            RaggedConv(widths[k], widths[k + 1], size) for k, size in enumerate(SIZES)
        )
        self.norms = nn.ModuleList(TokenNorm(width) for width in widths[1:])
        self.excites = nn.ModuleList(SqueezeExcite(width) for width in widths[1:-1])
        self.lstm = nn.LSTM(options.width, options.hidden)

    def forward(self, tokens: Ragged) -> Tensor:
        """Return both branches' outputs, float32 (N, channels + hidden); zeros if absent."""
        read = Ragged(self.project(tokens.values), tokens.offsets)
        states = run_lstm(self.lstm, read)
        for k, (convolve, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            found = convolve(read)
            read = Ragged(torch.relu(norm(found.values)), found.offsets)
            if k < len(self.excites):
                read = self.excites[k](read)
        return torch.cat([segment_mean(read.values, read.offsets), _last(states)], dim=1)


class MLSTMFCN(Head):
    """MLSTM-FCN: convolutions beside an LSTM, for each stream.

    Three Conv1d–BN–ReLU with squeeze-and-excite, in parallel an LSTM's last state.
    Source: Karim et al. 2019 (Multivariate LSTM-FCNs, arXiv:1801.04503).
    """

    stream_modules = "branches"
    Options = MLSTMFCNOptions
    pools_apart = True

    def __init__(
        self, dims: Mapping[str, int], classes: Mapping[str, int], *, options: MLSTMFCNOptions
    ) -> None:
        """Build both branches for each stream, and the classifier."""
        super().__init__(dims, classes, options=options)
        self.longest = options.longest
        self.branches = nn.ModuleList(StreamBranches(dim, options) for dim in dims.values())
        fused = (options.channels + options.hidden) * len(dims)
        self.classifier = Classifier(fused, options.hidden, classes, options.dropout)

    def pool(self, batch: Batch) -> Batch:
        """Shorten clips of more than ``longest`` tokens to means over windows."""
        streams = {name: shorten(batch.streams[name], self.longest) for name in self.streams}
        return replace(batch, streams=streams)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits, float32 (N, C), for each target."""
        streams = self.pool(batch).streams
        found = [
            branches(streams[name])
            for name, branches in zip(self.streams, self.branches, strict=True)
        ]
        logits: dict[str, Tensor] = self.classifier(torch.cat(found, dim=1))
        return logits


def _last(states: Ragged) -> Tensor:
    """Return the state after each clip's last token: (ΣT, H) -> (N, H); zeros if absent."""
    beyond = torch.cat([states.values, states.values.new_zeros(1, states.width)])
    last = torch.where(states.lengths > 0, states.offsets[1:] - 1, len(states.values))
    return beyond[last]
