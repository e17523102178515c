"""Pool the tokens of each stream with attention, then classify the concatenated vectors."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from emo.heads.head import Batch, Head
from emo.heads.layers.segments import (
    AttentionPool,
    Classifier,
    is_present,
    project,
    segment_softmax,
    segment_sum,
)
from emo.ragged import Ragged


@dataclass(frozen=True)
class AttentionOptions:
    """Options of :class:`AttentionPoolHead`."""

    hidden: int = field(
        default=128, metadata={"search": (64, 128, 256), "help": "Width of a projected stream."}
    )
    attention: int = field(
        default=128,
        metadata={"search": (64, 128, 256), "help": "Width of the layer that scores tokens."},
    )
    dropout: float = field(
        default=0.3,
        metadata={
            "search": (0.1, 0.3, 0.5),
            "range": (0, 1),
            "help": "Dropout before the logits, in [0, 1).",
        },
    )


class ProjectedAttention(nn.Module):
    """Projection and attention pool of one stream: Ragged (ΣT, D) -> (N, hidden).

    It equals ``AttentionPool(project(tokens))``, but projects no token. The attention weights of a
    clip sum to 1, so the projection can follow the pool, and the scores need only the product of
    both layers: for 768 -> 512 -> 128 a fifth of the multiplications.
    """

    def __init__(self, dim: int, options: AttentionOptions) -> None:
        """Build the layers for tokens of width D ``dim``."""
        super().__init__()
        self.project = project(dim, options.hidden)
        self.pool = AttentionPool(options.hidden, options.attention)

    def forward(self, tokens: Ragged) -> Tensor:
        """Return the pooled projections, float32 (N, hidden); zeros for an absent clip."""
        layer = self.pool.hidden
        folded = layer.weight @ self.project.weight  # (attention, D)
        bias = layer.weight @ self.project.bias + layer.bias
        scores = self.pool.score(torch.tanh(functional.linear(tokens.values, folded, bias)))
        weights = segment_softmax(scores.squeeze(-1), tokens.offsets)
        pooled = segment_sum(tokens.values, tokens.offsets, weights)  # (N, D)
        return functional.linear(pooled, self.project.weight) + (
            is_present(tokens) * self.project.bias
        )


class AttentionPoolHead(Head):
    """Attention pool of each stream, concatenated, two layers.

    The tokens are projected before they are pooled.
    A stream's bias is added only where the stream is present, so that the classifier can tell that
    a modality is missing. Source: Yang et al. 2016 (HAN) for the attention.
    """

    stream_modules = "pools"
    Options = AttentionOptions

    def __init__(
        self, dims: Mapping[str, int], classes: Mapping[str, int], *, options: AttentionOptions
    ) -> None:
        """Build an attention pool for each stream and the classifier."""
        super().__init__(dims, classes, options=options)
        self.pools = nn.ModuleList(ProjectedAttention(dim, options) for dim in dims.values())
        fused = options.hidden * len(dims)
        self.classifier = Classifier(fused, options.hidden, classes, options.dropout)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits, float32 (N, C), for each target."""
        pooled = [
            pool(batch.streams[name]) for name, pool in zip(self.streams, self.pools, strict=True)
        ]
        logits: dict[str, Tensor] = self.classifier(torch.cat(pooled, dim=1))
        return logits
