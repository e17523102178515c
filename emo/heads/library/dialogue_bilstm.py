"""Run a bidirectional LSTM over the turns of a dialogue, on the mean tokens of each turn."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn

from emo.heads.head import Batch, Head
from emo.heads.layers.dialogue import ClipFeatures, apply_layers, mean_streams, target_layers
from emo.heads.layers.lstm import run_over_turns


@dataclass(frozen=True)
class DialogueOptions:
    """Options of :class:`DialogueBiLSTM`."""

    width: int = field(
        default=128, metadata={"search": (64, 128, 256), "help": "Width of a projected stream."}
    )
    hidden: int = field(
        default=128,
        metadata={"search": (64, 128, 256), "help": "Width of the LSTM's state in each direction."},
    )
    context: Literal["lstm", "none"] = field(
        default="lstm", metadata={"help": "none: each turn alone, to measure the gain of context."}
    )
    dropout: float = field(
        default=0.3,
        metadata={
            "search": (0.1, 0.3, 0.5),
            "range": (0, 1),
            "help": "Dropout of features and before the logits, in [0, 1).",
        },
    )


class DialogueBiLSTM(Head):
    """BiLSTM over the turns of a dialogue, on mean tokens.

    The mean token of each stream is projected; two layers classify.
    The classifiers read a turn's own features and the LSTM's outputs. A clip without a dialogue is
    a dialogue of its own.
    Source: Poria et al. 2017 (bc-LSTM, doi:10.18653/v1/P17-1081).
    """

    unit = "dialogue"
    tasks = ("classify", "multilabel", "regress", "pairs")
    stream_modules = "features.projections"
    Options = DialogueOptions
    pools_apart = True

    def __init__(
        self, dims: Mapping[str, int], classes: Mapping[str, int], *, options: DialogueOptions
    ) -> None:
        """Build the features of turns, the LSTM over turns, and a classifier for each target."""
        super().__init__(dims, classes, options=options)
        self.targets = tuple(classes)
        self.features = ClipFeatures(dims, options.width, options.dropout)
        both = self.features.width
        self.has_context = options.context == "lstm"
        if self.has_context:
            self.lstm = nn.LSTM(self.features.width, options.hidden, bidirectional=True)
            both += 2 * options.hidden
        self.layers = target_layers(classes, both, options.hidden, options.dropout)

    def pool(self, batch: Batch) -> Batch:
        """Replace the tokens of each stream by their mean; an absent stream stays absent."""
        return replace(batch, streams=mean_streams(batch.streams, self.features.streams))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits for each target: float32 (N, C), or (P, C) for a pair target."""
        batch = batch.in_dialogues()
        assert batch.turns is not None
        turns = self.features(batch)  # (N, width · streams)
        if self.has_context:
            turns = torch.cat([turns, run_over_turns(self.lstm, turns, batch.turns)], dim=1)
        return apply_layers(self.layers, self.targets, turns, batch)
