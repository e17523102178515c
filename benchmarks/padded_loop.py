"""The usual loop: one .npy a clip and stream, Dataset, DataLoader, padded batches with masks.

It trains the same heads: their parameters, built by the same class, read padded tokens by the
formulas of their papers, every token projected. So losses can be compared step by step.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from emo.heads.data.scaling import Scaling
from emo.heads.library.attention_pool import AttentionPoolHead
from emo.heads.library.mean_pool import MeanPoolHead
from emo.heads.options import LoopOptions

WORKERS = 2
Item = tuple[dict[str, Tensor], int]
Padded = tuple[dict[str, Tensor], dict[str, Tensor], Tensor]
"""Streams (N, longest T, D) and their lengths (N,), labels (N,)."""


@dataclass(frozen=True)
class NpyClips(Dataset[Item]):
    """Scaled tokens and the label of each clip."""

    paths: Sequence[Mapping[str, Path]]
    """By stream, of each clip."""
    labels: Sequence[int]
    scalings: Mapping[str, Scaling]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, clip: int) -> Item:
        tokens = {}
        for name, path in self.paths[clip].items():
            values = torch.from_numpy(np.load(path)).float()
            tokens[name] = values.sub_(self.scalings[name].centre).mul_(self.scalings[name].scale)
        return tokens, self.labels[clip]


def collate(items: Sequence[Item]) -> Padded:
    """To the longest clip of the batch, with zeros."""
    names = items[0][0]
    streams = {n: pad_sequence([tokens[n] for tokens, _ in items], True) for n in names}
    lengths = {n: torch.tensor([len(tokens[n]) for tokens, _ in items]) for n in names}
    return streams, lengths, torch.tensor([label for _, label in items])


def train_epoch(
    build: Callable[[], nn.Module],
    clips: NpyClips,
    batches: Sequence[Sequence[int]],
    options: LoopOptions,
    *,
    seed: int,
) -> list[float]:
    """One pass over these batches with torch's AdamW; the loss of each step."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = build().train()
        optimizer = torch.optim.AdamW(
            head.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        loader = DataLoader(
            clips, batch_sampler=batches, num_workers=WORKERS, collate_fn=collate,
            generator=torch.Generator(),
        )  # fmt: skip
        losses = []
        for streams, lengths, labels in loader:
            logits = FORWARD[type(head)](head, streams, lengths)
            loss = nn.functional.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(head.parameters(), options.gradient_norm)
            optimizer.step()
            losses.append(loss.item())
    return losses


def attention(
    head: AttentionPoolHead, streams: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
) -> Tensor:
    """Project every token, score it, softmax over those that are there, weighted sum."""
    found = []
    for name, layers in zip(head.streams, head.pools, strict=True):
        projected = layers.project(streams[name])  # (N, longest T, hidden)
        scores = layers.pool.score(torch.tanh(layers.pool.hidden(projected))).squeeze(-1)
        is_token = torch.arange(scores.shape[1]) < lengths[name][:, None]
        weights = scores.masked_fill(~is_token, -torch.inf).softmax(1)
        found.append((weights[:, :, None] * projected).sum(1))
    return only(head.classifier(torch.cat(found, dim=1)))


def mean(
    head: MeanPoolHead, streams: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
) -> Tensor:
    """Project every token, mean over those that are there."""
    found = []
    for name, layer in zip(head.streams, head.projections, strict=True):
        projected = layer(streams[name])  # (N, longest T, hidden)
        is_token = torch.arange(projected.shape[1]) < lengths[name][:, None]
        found.append((projected * is_token[:, :, None]).sum(1) / lengths[name][:, None])
    return only(head.classifier(torch.cat(found, dim=1)))


def only(logits: Mapping[str, Tensor]) -> Tensor:
    """Of the one target."""
    (found,) = logits.values()
    return found


FORWARD: dict[type, Callable[..., Tensor]] = {AttentionPoolHead: attention, MeanPoolHead: mean}
