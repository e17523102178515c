"""Predict the first target from each clip alone, and the others from its logits over a dialogue."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn

from emo.errors import FitError
from emo.heads.head import Batch, Head
from emo.heads.layers.dialogue import ClipFeatures, apply_layers, mean_streams, target_layers
from emo.heads.layers.lstm import run_over_turns


@dataclass(frozen=True)
class JointOptions:
    """Options of :class:`JointHead`."""

    width: int = field(
        default=128, metadata={"search": (64, 128, 256), "help": "Width of a projected stream."}
    )
    hidden: int = field(
        default=64,
        metadata={"search": (32, 64, 128), "help": "Width of the LSTM's state in each direction."},
    )
    reads: Literal["logits", "both"] = field(
        default="both",
        metadata={"help": "logits: the LSTM reads the first target's logits; both: features too."},
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


class JointHead(Head):
    """Emotion of each clip, then causes and pairs by a BiLSTM.

    The BiLSTM reads the logits of the emotion in the order of the dialogue.
    The first target (the emotion) is predicted from one clip alone. With ``reads=logits`` the
    other targets are predicted from the logits of the emotion alone, as in the source. With a
    single target there is no LSTM.
    Source: the team's experiment semeval-joint0.
    """

    unit = "dialogue"
    tasks = ("classify", "multilabel", "regress", "pairs")
    stream_modules = "features.projections"
    Options = JointOptions
    pools_apart = True

    def __init__(
        self, dims: Mapping[str, int], classes: Mapping[str, int], *, options: JointOptions
    ) -> None:
        """Build the classifier of the first target, and LSTM and classifiers of the others."""
        super().__init__(dims, classes, options=options)
        self.first, *self.others = classes
        self.reads_features = options.reads == "both"
        self.features = ClipFeatures(dims, options.width, options.dropout)
        own = {self.first: classes[self.first]}
        if self.first in self.pair_targets:
            raise FitError(
                f"head joint: expected a first target of clips, got the pair target {self.first}; "
                "give another --target first"
            )
        self.emotion = target_layers(own, self.features.width, options.width, options.dropout)
        if self.others:
            width = classes[self.first] + self.reads_features * self.features.width
            context = {name: classes[name] for name in self.others}
            both = width
            self.has_context = options.context == "lstm"
            if self.has_context:
                self.lstm = nn.LSTM(width, options.hidden, bidirectional=True)
                both += 2 * options.hidden
            self.context = target_layers(context, both, options.hidden, options.dropout)

    def pool(self, batch: Batch) -> Batch:
        """Replace the tokens of each stream by their mean; an absent stream stays absent."""
        return replace(batch, streams=mean_streams(batch.streams, self.features.streams))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits for each target: float32 (N, C), or (P, C) for a pair target."""
        batch = batch.in_dialogues()
        assert batch.turns is not None
        features = self.features(batch)  # (N, width · streams)
        found = apply_layers(self.emotion, [self.first], features, batch)
        if not self.others:
            return found
        read = found[self.first]
        if self.reads_features:
            read = torch.cat([read, features], dim=1)
        if self.has_context:
            read = torch.cat([read, run_over_turns(self.lstm, read, batch.turns)], dim=1)
        return found | apply_layers(self.context, self.others, read, batch)
