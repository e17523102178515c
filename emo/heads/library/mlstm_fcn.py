"""Convolutions with squeeze-and-excite beside an LSTM, over the tokens of each stream."""

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
"""Tokens read by each convolution; the source has 8, 5, 3, of which an even one has no middle."""


@dataclass(frozen=True)
class MLSTMFCNOptions:
    """Of :class:`MLSTMFCN`."""

    width: int = field(
        default=64, metadata={"search": (32, 64, 128), "help": "Of a token before both branches."}
    )
    channels: int = field(
        default=64,
        metadata={"search": (32, 64, 128), "help": "Of the convolutions; twice between."},
    )
    hidden: int = field(default=64, metadata={"search": (32, 64, 128), "help": "Of the LSTM."})
    longest: int = field(
        default=64, metadata={"help": "Tokens; longer clips are averaged over so many windows."}
    )
    dropout: float = field(
        default=0.3, metadata={"search": (0.1, 0.3, 0.5), "help": "Before the logits, in [0, 1)."}
    )

    def __post_init__(self) -> None:
        if self.longest < 1:
            raise ValueError(f"expected longest >= 1, got {self.longest}")


class StreamBranches(nn.Module):
    """Both branches of one stream: Ragged (ΣT, D) -> (N, channels + hidden)."""

    def __init__(self, dim: int, options: MLSTMFCNOptions) -> None:
        """D of the stream."""
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
        """(ΣT, D) -> (N, channels + hidden); absent: zeros."""
        read = Ragged(self.project(tokens.values), tokens.offsets)
        states = run_lstm(self.lstm, read)
        for k, (convolve, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            found = convolve(read)
            read = Ragged(torch.relu(norm(found.values)), found.offsets)
            if k < len(self.excites):
                read = self.excites[k](read)
        return torch.cat([segment_mean(read.values, read.offsets), _last(states)], dim=1)


class MLSTMFCN(Head):
    """MLSTM-FCN: three Conv1d–BN–ReLU with squeeze-and-excite, in parallel an LSTM's last state.

    Source: Karim et al. 2019 (Multivariate LSTM-FCNs, arXiv:1801.04503).
    """

    stream_modules = "branches"
    Options = MLSTMFCNOptions

    def __init__(
        self, dims: Mapping[str, int], classes: Mapping[str, int], *, options: MLSTMFCNOptions
    ) -> None:
        """As in the contract."""
        super().__init__(dims, classes, options=options)
        self.longest = options.longest
        self.branches = nn.ModuleList(StreamBranches(dim, options) for dim in dims.values())
        fused = (options.channels + options.hidden) * len(dims)
        self.classifier = Classifier(fused, options.hidden, classes, options.dropout)

    def pool(self, batch: Batch) -> Batch:
        """Long clips become shorter."""
        streams = {name: shorten(batch.streams[name], self.longest) for name in self.streams}
        return replace(batch, streams=streams)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """As in the contract."""
        streams = self.pool(batch).streams
        found = [
            branches(streams[name])
            for name, branches in zip(self.streams, self.branches, strict=True)
        ]
        logits: dict[str, Tensor] = self.classifier(torch.cat(found, dim=1))
        return logits


def _last(states: Ragged) -> Tensor:
    """The state after each clip's last token: (ΣT, H) -> (N, H); absent: zeros."""
    beyond = torch.cat([states.values, states.values.new_zeros(1, states.width)])
    last = torch.where(states.lengths > 0, states.offsets[1:] - 1, len(states.values))
    return beyond[last]
