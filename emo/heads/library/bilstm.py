"""Run a bidirectional LSTM over the tokens of each stream, pool with attention, classify."""

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
    """Options of :class:`BiLSTMHead`."""

    width: int = field(
        default=64, metadata={"search": (32, 64, 128), "help": "Width of the LSTM's input tokens."}
    )
    hidden: int = field(
        default=64,
        metadata={"search": (32, 64, 128), "help": "Width of the LSTM's state in each direction."},
    )
    attention: int = field(
        default=64,
        metadata={"search": (32, 64, 128), "help": "Width of the layer that scores tokens."},
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


class RecurrentPool(nn.Module):
    """Projection, BiLSTM and attention pool of one stream: Ragged (ΣT, D) -> (N, 2 hidden)."""

    def __init__(self, dim: int, options: BiLSTMOptions) -> None:
        """Build the layers for tokens of width D ``dim``."""
        super().__init__()
        self.project = project(dim, options.width)
        self.lstm = nn.LSTM(options.width, options.hidden, bidirectional=True)
        self.pool = AttentionPool(2 * options.hidden, options.attention)

    def forward(self, tokens: Ragged) -> Tensor:
        """Return the pooled LSTM outputs, float32 (N, 2 hidden); zeros for an absent clip."""
        projected = Ragged(torch.tanh(self.project(tokens.values)), tokens.offsets)
        pooled: Tensor = self.pool(run_lstm(self.lstm, projected))
        return pooled


class BiLSTMHead(Head):
    """BiLSTM and attention pool of each stream, two layers.

    The pooled vectors of the streams are concatenated.
    Source: Hochreiter and Schmidhuber 1997; Yang et al. 2016 (HAN) for the attention.
    """

    stream_modules = "pools"
    Options = BiLSTMOptions
    pools_apart = True

    def __init__(
        self, dims: Mapping[str, int], classes: Mapping[str, int], *, options: BiLSTMOptions
    ) -> None:
        """Build an LSTM with attention pool for each stream, and the classifier."""
        super().__init__(dims, classes, options=options)
        self.longest = options.longest
        self.pools = nn.ModuleList(RecurrentPool(dim, options) for dim in dims.values())
        fused = 2 * options.hidden * len(dims)
        self.classifier = Classifier(fused, options.hidden, classes, options.dropout)

    def pool(self, batch: Batch) -> Batch:
        """Shorten clips of more than ``longest`` tokens to means over windows.

        Speech may have 100 tokens a second, of which an LSTM needs a few.
        """
        streams = {name: shorten(batch.streams[name], self.longest) for name in self.streams}
        return replace(batch, streams=streams)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits, float32 (N, C), for each target."""
        streams = self.pool(batch).streams
        pooled = [pool(streams[name]) for name, pool in zip(self.streams, self.pools, strict=True)]
        logits: dict[str, Tensor] = self.classifier(torch.cat(pooled, dim=1))
        return logits
