"""Align the streams in time, then pool over time with attention."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from emo.heads.head import Batch, Head
from emo.heads.layers.segments import Classifier, is_present, project, resample_tokens, shorten


@dataclass(frozen=True)
class AlignedOptions:
    """Options of :class:`AlignedAttention`."""

    steps: int = field(
        default=16,
        metadata={"help": "Time steps to which all streams are resampled.", "was": "places"},
    )
    hidden: int = field(
        default=128, metadata={"search": (64, 128, 256), "help": "Width of a projected stream."}
    )
    attention: int = field(
        default=128,
        metadata={
            "search": (64, 128, 256),
            "help": "Width of the layer that scores the time steps.",
        },
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
        if self.steps < 1:
            raise ValueError(f"expected steps >= 1, got {self.steps}")


class AlignedAttention(Head):
    """Attention over time steps at which all streams are joined.

    Every stream is resampled to the same number of steps.
    An absent stream is zero at every step, without the bias of its projection.
    Source: the team's QIA2020 project (aligned attention pooling over modalities).
    """

    stream_modules = "projections"
    Options = AlignedOptions
    pools_apart = True

    def __init__(
        self, dims: Mapping[str, int], classes: Mapping[str, int], *, options: AlignedOptions
    ) -> None:
        """Build a projection for each stream, the attention over steps and the classifier."""
        super().__init__(dims, classes, options=options)
        self.steps = options.steps
        self.projections = nn.ModuleList(project(dim, options.hidden) for dim in dims.values())
        fused = options.hidden * len(dims)
        self.hidden = nn.Linear(fused, options.attention)
        self.score = nn.Linear(options.attention, 1, bias=False)
        self.classifier = Classifier(fused, options.hidden, classes, options.dropout)

    def pool(self, batch: Batch) -> Batch:
        """Shorten clips with more tokens than time steps to means over windows."""
        streams = {name: shorten(batch.streams[name], self.steps) for name in self.streams}
        return replace(batch, streams=streams)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits, float32 (N, C), for each target."""
        aligned = []
        for name, layer in zip(self.streams, self.projections, strict=True):
            tokens = batch.streams[name]
            projected = layer(resample_tokens(tokens, self.steps))  # (N, steps, hidden)
            aligned.append(projected * is_present(tokens)[:, :, None])
        joined = torch.cat(aligned, dim=2)  # (N, steps, hidden · streams)
        scores = self.score(torch.tanh(self.hidden(joined)))  # (N, steps, 1)
        pooled = (scores.softmax(1) * joined).sum(1)
        logits: dict[str, Tensor] = self.classifier(pooled)
        return logits
