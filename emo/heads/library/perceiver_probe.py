"""A small probe of mean tokens: two linear layers with dropout and no activation in between."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from emo.heads.head import Batch, Head
from emo.heads.layers.dialogue import mean_streams
from emo.heads.layers.segments import project, segment_sum


@dataclass(frozen=True)
class ProbeOptions:
    """Options of :class:`PerceiverProbe`."""

    hidden: int = field(
        default=256, metadata={"search": (128, 256, 512), "help": "Width between the layers."}
    )
    dropout: float = field(
        default=0.3,
        metadata={
            "search": (0.1, 0.3, 0.5),
            "range": (0, 1),
            "help": "Dropout between the layers, in [0, 1).",
        },
    )


class PerceiverProbe(Head):
    """Means of each stream's tokens, linear, dropout, linear.

    The means are concatenated; there is no activation between the two layers.
    Source: the team's CREMA-D experiment on Perceiver's ``label`` vectors (512 -> 256 -> 6).
    """

    Options = ProbeOptions
    pools_apart = True

    def __init__(
        self, dims: Mapping[str, int], classes: Mapping[str, int], *, options: ProbeOptions
    ) -> None:
        """Build the hidden layer on all streams, and a linear layer for each target."""
        super().__init__(dims, classes, options=options)
        self.targets = tuple(classes)
        self.hidden = project(sum(dims.values()), options.hidden)
        self.dropout = nn.Dropout(options.dropout)
        self.layers = nn.ModuleList(nn.Linear(options.hidden, count) for count in classes.values())

    def pool(self, batch: Batch) -> Batch:
        """Replace the tokens of each stream by their mean; an absent stream stays absent."""
        return replace(batch, streams=mean_streams(batch.streams, self.streams))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits, float32 (N, C), for each target."""
        tokens = mean_streams(batch.streams, self.streams)
        means = [segment_sum(tokens[name].values, tokens[name].offsets) for name in self.streams]
        hidden = self.dropout(self.hidden(torch.cat(means, dim=1)))  # (N, hidden)
        return {
            target: layer(hidden) for target, layer in zip(self.targets, self.layers, strict=True)
        }
