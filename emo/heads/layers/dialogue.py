"""Layers of dialogue heads: a clip's features from its streams, and the classes of pairs."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from emo.heads.head import Batch
from emo.heads.labels import task_of
from emo.heads.layers.segments import is_present, mean_tokens, project, sum_tokens
from emo.ragged import Ragged

FARTHEST = 10
"""Turns; pairs farther apart than that count as so far apart."""


class ClipFeatures(nn.Module):
    """Projection of each stream's mean token, concatenated: Batch -> (N, hidden · streams)."""

    def __init__(self, dims: Mapping[str, int], hidden: int, dropout: float) -> None:
        """D of each stream, width of a projected one."""
        super().__init__()
        self.streams = tuple(dims)
        self.projections = nn.ModuleList(project(dim, hidden) for dim in dims.values())
        self.dropout = nn.Dropout(dropout)
        self.width = hidden * len(dims)

    def forward(self, batch: Batch) -> Tensor:
        """(N, hidden · streams); absent: zeros."""
        found = []
        for name, layer in zip(self.streams, self.projections, strict=True):
            tokens = mean_tokens(batch.streams[name])
            projected = layer(sum_tokens(tokens.values, tokens))  # (N, hidden)
            found.append(projected if tokens.is_single else projected * is_present(tokens))
        features: Tensor = self.dropout(torch.relu(torch.cat(found, dim=1)))
        return features


def pooled(streams: Mapping[str, Ragged], names: Sequence[str]) -> dict[str, Ragged]:
    """The mean token of every clip, once before training."""
    return {name: mean_tokens(streams[name]) for name in names}


class PairClassifier(nn.Module):
    """Logits of pairs of turns from both turns and their distance: (N, D), Batch -> (P, C)."""

    def __init__(self, dim: int, hidden: int, classes: int, dropout: float) -> None:
        """D of a turn, width between the layers, C."""
        super().__init__()
        self.emotion = nn.Linear(dim, hidden)
        self.cause = nn.Linear(dim, hidden, bias=False)
        self.distance = nn.Embedding(2 * FARTHEST + 1, hidden)
        self.logits = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes))

    def forward(self, turns: Tensor, batch: Batch) -> Tensor:
        """Each side is projected once a turn, not once a pair."""
        assert batch.pairs is not None
        emotion, cause = batch.pairs[:, 0], batch.pairs[:, 1]
        turn_numbers = turn_numbers_of(batch)
        apart = (turn_numbers[cause] - turn_numbers[emotion]).clamp(-FARTHEST, FARTHEST) + FARTHEST
        both = self.emotion(turns)[emotion] + self.cause(turns)[cause]
        logits: Tensor = self.logits(both + self.distance(apart))
        return logits


def turn_numbers_of(batch: Batch) -> Tensor:
    """(N,) the place of each clip in its dialogue, from 0."""
    turns = batch.in_dialogues().turns
    assert turns is not None
    is_turn = turns >= 0
    turn_numbers = torch.zeros(len(batch), dtype=torch.int64, device=turns.device)
    turn_numbers[turns[is_turn]] = is_turn.nonzero()[:, 1]
    return turn_numbers


def target_layers(
    classes: Mapping[str, int], dim: int, hidden: int, dropout: float
) -> nn.ModuleList:
    """One classifier a target, for turns or for pairs, in the order of ``classes``."""
    return nn.ModuleList(
        PairClassifier(dim, hidden, count, dropout)
        if task_of(count) == "pairs"
        else nn.Sequential(
            nn.Linear(dim, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, count)
        )
        for count in classes.values()
    )


def apply_layers(
    layers: nn.ModuleList, targets: Sequence[str], turns: Tensor, batch: Batch
) -> dict[str, Tensor]:
    """(N, D) -> the logits of every target."""
    return {
        target: layer(turns, batch) if isinstance(layer, PairClassifier) else layer(turns)
        for target, layer in zip(targets, layers, strict=True)
    }
