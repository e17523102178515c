"""A bidirectional LSTM over the tokens of each stream, attention on its outputs, a classifier."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from emo.heads.head import Batch, Head
from emo.heads.layers.lstm import run_lstm
from emo.heads.layers.segments import AttentionPool, Classifier, project, shorten
from emo.ragged import Ragged


@dataclass(frozen=True)
class BiLSTMOptions:
    """Of :class:`BiLSTMHead`."""

    width: int = field(
        default=64, metadata={"search": (32, 64, 128), "help": "Of a token before the LSTM."}
    )
    hidden: int = field(
        default=64, metadata={"search": (32, 64, 128), "help": "Of the LSTM, in each direction."}
    )
    attention: int = field(
        default=64, metadata={"search": (32, 64, 128), "help": "Width of the layer scoring tokens."}
    )
    longest: int = field(
        default=64, metadata={"help": "Tokens; longer clips are averaged over so many windows."}
    )
    dropout: float = field(
        default=0.3, metadata={"search": (0.1, 0.3, 0.5), "help": "Before the logits, in [0, 1)."}
    )

    def __post_init__(self) -> None:
        if self.longest < 1:
            raise ValueError(f"expected longest >= 1, got {self.longest}")


class RecurrentPool(nn.Module):
    """Projection, BiLSTM and attention pool of one stream: Ragged (ΣT, D) -> (N, 2 hidden)."""

    def __init__(self, dim: int, options: BiLSTMOptions) -> None:
        """D of the stream."""
        super().__init__()
        self.project = project(dim, options.width)
        self.lstm = nn.LSTM(options.width, options.hidden, bidirectional=True)
        self.pool = AttentionPool(2 * options.hidden, options.attention)

    def forward(self, tokens: Ragged) -> Tensor:
        """(ΣT, D) -> (N, 2 hidden); absent: zeros."""
        projected = Ragged(torch.tanh(self.project(tokens.values)), tokens.offsets)
        pooled: Tensor = self.pool(run_lstm(self.lstm, projected))
        return pooled


class BiLSTMHead(Head):
    """BiLSTM over the tokens of each stream, attention pool, concatenation, two layers.

    Packed, because a padded LSTM's backward direction would read the padding first.
    Source: Hochreiter and Schmidhuber 1997; Yang et al. 2016 (HAN) for the attention.
    """

    stream_modules = "pools"
    Options = BiLSTMOptions

    def __init__(
        self, dims: Mapping[str, int], classes: Mapping[str, int], *, options: BiLSTMOptions
    ) -> None:
        """As in the contract."""
        super().__init__(dims, classes, options=options)
        self.longest = options.longest
        self.pools = nn.ModuleList(RecurrentPool(dim, options) for dim in dims.values())
        fused = 2 * options.hidden * len(dims)
        self.classifier = Classifier(fused, options.hidden, classes, options.dropout)

    def pool(self, batch: Batch) -> Batch:
        """Long clips become shorter: speech has 100 tokens a second, an LSTM needs a few."""
        streams = {name: shorten(batch.streams[name], self.longest) for name in self.streams}
        return replace(batch, streams=streams)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """As in the contract."""
        streams = self.pool(batch).streams
        pooled = [pool(streams[name]) for name, pool in zip(self.streams, self.pools, strict=True)]
        logits: dict[str, Tensor] = self.classifier(torch.cat(pooled, dim=1))
        return logits
