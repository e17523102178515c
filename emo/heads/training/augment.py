"""What is changed at random in a training batch: modality dropout, SpecAugment, mixup."""

import itertools
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from emo.heads.head import Batch
from emo.heads.layers.segments import segment_ids
from emo.heads.options import LoopOptions
from emo.ragged import Ragged

MASKS = 2
"""Of each kind; as in the LibriSpeech policies of SpecAugment."""
LARGEST_SHARE = 0.2
"""Of a clip's tokens, and of the bands, that one mask covers at most."""


def augment(batch: Batch, options: LoopOptions, random: np.random.Generator) -> Batch:
    """The batch with streams dropped and spectrograms masked, as far as the options ask."""
    streams = batch.streams
    for name in options.spec_augment:
        if name in streams:
            streams = {**streams, name: spec_augment(streams[name], random)}
    if options.modality_dropout:
        streams = drop_modalities(streams, options.modality_dropout, random)
    return batch if streams is batch.streams else replace(batch, streams=streams)


def drop_modalities(
    streams: dict[str, Ragged], share: float, random: np.random.Generator
) -> dict[str, Ragged]:
    """Make each stream of a clip absent with this probability; at least one always stays."""
    lengths = np.stack([ragged.lengths.numpy() for ragged in streams.values()])  # (M, N)
    is_present = lengths > 0
    is_kept = is_present & (random.random(lengths.shape) >= share)
    # a clip that would lose all keeps the one with the highest draw among its own
    draws = np.where(is_present, random.random(lengths.shape), -1)
    is_bare = ~is_kept.any(0)
    is_kept[draws.argmax(0)[is_bare], np.flatnonzero(is_bare)] = True
    is_kept &= is_present
    return {
        name: _keep(ragged, torch.from_numpy(kept))
        for (name, ragged), kept in zip(streams.items(), is_kept, strict=True)
    }


def spec_augment(tokens: Ragged, random: np.random.Generator) -> Ragged:
    """Set spans of time and of bands of every clip to zero, the mean of a scaled stream.

    Source: Park et al. 2019 (arXiv:1904.08779), without time warping.
    """
    values = tokens.values.clone()
    width, offsets = tokens.width, tokens.offsets.tolist()
    for start, end in itertools.pairwise(offsets):
        for _ in range(MASKS):
            low, high = _span(end - start, random)
            values[start + low : start + high] = 0
            low, high = _span(width, random)
            values[start:end, low:high] = 0
    return Ragged(values, tokens.offsets)


def mix(batch: Batch, order: np.ndarray, share: float) -> Batch:
    """Each clip's tokens · share + those of another · (1 - share); labels are left alone.

    Token t of T is mixed with the other's token at the same part of its length, so that a clip
    keeps its length; for pooled streams this is the mixup of Zhang et al. 2018.
    """
    streams = {
        name: _mixed(tokens, tokens.select(order), share) for name, tokens in batch.streams.items()
    }
    return replace(batch, streams=streams)


def _mixed(tokens: Ragged, others: Ragged, share: float) -> Ragged:
    clips = segment_ids(tokens.offsets)
    lengths, other_lengths = tokens.lengths, others.lengths
    position = torch.arange(len(clips)) - tokens.offsets[clips]
    there = others.offsets[:-1][clips] + position * other_lengths[clips] // lengths[clips]
    has_other: Tensor = other_lengths[clips] > 0
    if len(others.values) == 0:
        return Ragged(tokens.values * share, tokens.offsets)
    partner = others.values[there.clamp(max=len(others.values) - 1)] * has_other[:, None]
    return Ragged(share * tokens.values + (1 - share) * partner, tokens.offsets)


def _keep(tokens: Ragged, kept: Tensor) -> Ragged:
    lengths = torch.where(kept, tokens.lengths, 0)
    offsets = torch.zeros_like(tokens.offsets)
    torch.cumsum(lengths, 0, out=offsets[1:])
    return Ragged(tokens.values[kept[segment_ids(tokens.offsets)]], offsets)


def _span(size: int, random: np.random.Generator) -> tuple[int, int]:
    """From and to, of at most ``LARGEST_SHARE`` of the size."""
    length = int(random.integers(0, int(LARGEST_SHARE * size) + 1))
    low = int(random.integers(0, size - length + 1)) if size else 0
    return low, low + length
