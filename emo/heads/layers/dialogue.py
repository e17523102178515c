"""Layers of dialogue heads: features of each turn, and classifiers of turns and of pairs."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from emo.heads.head import Batch
from emo.heads.labels import task_of
from emo.heads.layers.segments import is_present, mean_tokens, project, sum_tokens
from emo.ragged import Ragged

LARGEST_DISTANCE = 10
"""Largest distance in turns that is told apart; farther turns are treated as if this far apart."""


class ClipFeatures(nn.Module):
    """Projections of each stream's mean token, concatenated: Batch -> (N, hidden · streams)."""

    def __init__(self, dims: Mapping[str, int], hidden: int, dropout: float) -> None:
        """Build the projections.

        Args:
            dims: width D of each stream's tokens.
            hidden: width of each projection.
            dropout: probability in [0, 1) of dropping a feature.
        """
        super().__init__()
        self.streams = tuple(dims)
        self.projections = nn.ModuleList(project(dim, hidden) for dim in dims.values())
        self.dropout = nn.Dropout(dropout)
        self.width = hidden * len(dims)

    def forward(self, batch: Batch) -> Tensor:
        """Return features, float32 (N, hidden · streams); those of an absent stream are zeros."""
        found = []
        for name, layer in zip(self.streams, self.projections, strict=True):
            tokens = mean_tokens(batch.streams[name])
            projected = layer(sum_tokens(tokens.values, tokens))  # (N, hidden)
            found.append(projected if tokens.is_single else projected * is_present(tokens))
        features: Tensor = self.dropout(torch.relu(torch.cat(found, dim=1)))
        return features


def mean_streams(streams: Mapping[str, Ragged], names: Sequence[str]) -> dict[str, Ragged]:
    """Return streams in which each clip has its mean token alone; an absent clip stays absent.

    Args:
        streams: tokens by stream.
        names: names of the streams to return.
    """
    return {name: mean_tokens(streams[name]) for name in names}


class PairClassifier(nn.Module):
    """Classifier of pairs of turns, from their features and distance: (N, D), Batch -> (P, C)."""

    def __init__(self, dim: int, hidden: int, classes: int, dropout: float) -> None:
        """Build the layers.

        Args:
            dim: width D of a turn's features.
            hidden: width between the layers.
            classes: number of logits C.
            dropout: probability in [0, 1) of dropping a hidden value.
        """
        super().__init__()
        self.emotion = nn.Linear(dim, hidden)
        self.cause = nn.Linear(dim, hidden, bias=False)
        self.distance = nn.Embedding(2 * LARGEST_DISTANCE + 1, hidden)
        self.logits = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes))

    def forward(self, turns: Tensor, batch: Batch) -> Tensor:
        """Return logits of all pairs, float32 (P, C).

        Args:
            turns: float32 (N, D), features of the turns; each is projected once, not once a pair.
            batch: the batch with the pairs.
        """
        assert batch.pairs is not None
        emotion, cause = batch.pairs[:, 0], batch.pairs[:, 1]
        index = turn_indices(batch)
        distance = (index[cause] - index[emotion]).clamp(-LARGEST_DISTANCE, LARGEST_DISTANCE)
        both = self.emotion(turns)[emotion] + self.cause(turns)[cause]
        logits: Tensor = self.logits(both + self.distance(distance + LARGEST_DISTANCE))
        return logits


def turn_indices(batch: Batch) -> Tensor:
    """Return the index of each clip in its dialogue, int64 (N,), from 0."""
    turns = batch.in_dialogues().turns
    assert turns is not None
    is_turn = turns >= 0
    indices = torch.zeros(len(batch), dtype=torch.int64, device=turns.device)
    indices[turns[is_turn]] = is_turn.nonzero()[:, 1]
    return indices


def target_layers(
    classes: Mapping[str, int], dim: int, hidden: int, dropout: float
) -> nn.ModuleList:
    """Return one classifier for each target, of turns or of pairs, in the order of ``classes``.

    Args:
        classes: number of logits C of each target.
        dim: width D of a turn's features.
        hidden: width between the layers.
        dropout: probability in [0, 1) of dropping a hidden value.
    """
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
    """Return logits, float32 (rows, C), for each target.

    Args:
        layers: classifiers from :func:`target_layers`.
        targets: names of their targets.
        turns: float32 (N, D), features of the turns.
        batch: the batch with the pairs.
    """
    return {
        target: layer(turns, batch) if isinstance(layer, PairClassifier) else layer(turns)
        for target, layer in zip(targets, layers, strict=True)
    }
