"""Average the tokens of each stream, then classify the concatenated projections."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from emo.heads.head import Batch, Head
from emo.heads.layers.segments import Classifier, mean_tokens, project, sum_tokens


@dataclass(frozen=True)
class MeanOptions:
    """Options of :class:`MeanPoolHead`."""

    hidden: int = field(
        default=128, metadata={"search": (64, 128, 256), "help": "Width of a projected stream."}
    )
    dropout: float = field(
        default=0.3,
        metadata={
            "search": (0.1, 0.3, 0.5),
            "range": (0, 1),
            "help": "Dropout before the logits, in [0, 1).",
        },
    )


class MeanPoolHead(Head):
    """Means of each stream's tokens, concatenated, two layers.

    The mean of projected tokens is the projection of their mean, so tokens are averaged once,
    before training.
    Source: the team's experiment semeval-exp0.
    """

    stream_modules = "projections"
    Options = MeanOptions
    pools_apart = True

    def __init__(
        self, dims: Mapping[str, int], classes: Mapping[str, int], *, options: MeanOptions
    ) -> None:
        """Build a projection for each stream and the classifier."""
        super().__init__(dims, classes, options=options)
        self.projections = nn.ModuleList(project(dim, options.hidden) for dim in dims.values())
        fused = options.hidden * len(dims)
        self.classifier = Classifier(fused, options.hidden, classes, options.dropout)

    def pool(self, batch: Batch) -> Batch:
        """Replace the tokens of each stream by their mean; an absent stream stays absent."""
        streams = {name: mean_tokens(batch.streams[name]) for name in self.streams}
        return replace(batch, streams=streams)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits, float32 (N, C), for each target."""
        tokens = self.pool(batch).streams
        projected = [
            sum_tokens(layer(tokens[name].values), tokens[name])
            for name, layer in zip(self.streams, self.projections, strict=True)
        ]
        logits: dict[str, Tensor] = self.classifier(torch.cat(projected, dim=1))
        return logits
