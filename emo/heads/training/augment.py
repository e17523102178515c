"""Random changes of a training batch: modality dropout, SpecAugment and mixup."""

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
"""Number of masks over time, and of masks over bands, as in SpecAugment's LibriSpeech policies."""
LARGEST_SHARE = 0.2
"""Largest share of a clip's tokens, or of the bands, that one mask covers."""


def augment(batch: Batch, options: LoopOptions, random: np.random.Generator) -> Batch:
    """Return the batch with spectrograms masked and streams dropped, as the options say."""
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
    """Make each stream of each clip absent with probability ``share``.

    A clip that would lose all its streams keeps one of them, chosen at random.

    Args:
        streams: M streams of the same N clips, float32 (ΣT, D) each.
        share: probability in [0, 1).
        random: generator of the draws.
    """
    lengths = np.stack([ragged.lengths.cpu().numpy() for ragged in streams.values()])  # (M, N)
    is_present = lengths > 0
    is_kept = is_present & (random.random(lengths.shape) >= share)
    # a clip that would lose all streams keeps the one with the highest draw
    draws = np.where(is_present, random.random(lengths.shape), -1)
    lost_all = ~is_kept.any(0)
    is_kept[draws.argmax(0)[lost_all], np.flatnonzero(lost_all)] = True
    is_kept &= is_present
    return {
        name: _keep(ragged, torch.from_numpy(kept).to(ragged.offsets.device))
        for (name, ragged), kept in zip(streams.items(), is_kept, strict=True)
    }


def spec_augment(tokens: Ragged, random: np.random.Generator) -> Ragged:
    """Return tokens in which random spans of time and of bands of each clip are zero.

    Zero is the mean of a scaled stream. Source: Park et al. 2019 (arXiv:1904.08779), without its
    time warping.
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
    """Mix the tokens of each clip with those of a partner: ``share`` · own + (1 - share) · other.

    The labels stay unchanged. Token t of T is mixed with the partner's token at the same relative
    position, so that a clip keeps its length. For pooled streams this is the mixup of Zhang et al.
    2018.

    Args:
        batch: N clips.
        order: int64 (N,), the partner of each clip.
        share: weight of a clip's own tokens, in [0, 1].
    """
    streams = {
        name: _mixed(tokens, tokens.select(order), share) for name, tokens in batch.streams.items()
    }
    return replace(batch, streams=streams)


def _mixed(tokens: Ragged, others: Ragged, share: float) -> Ragged:
    """Mix the tokens of N clips with those of N partners, see :func:`mix`."""
    clips = segment_ids(tokens.offsets)
    lengths, other_lengths = tokens.lengths, others.lengths
    position = torch.arange(len(clips), device=clips.device) - tokens.offsets[clips]
    there = others.offsets[:-1][clips] + position * other_lengths[clips] // lengths[clips]
    has_other: Tensor = other_lengths[clips] > 0
    if len(others.values) == 0:
        return Ragged(tokens.values * share, tokens.offsets)
    partner = others.values[there.clamp(max=len(others.values) - 1)] * has_other[:, None]
    return Ragged(share * tokens.values + (1 - share) * partner, tokens.offsets)


def _keep(tokens: Ragged, kept: Tensor) -> Ragged:
    """Make the clips absent where ``kept``, bool (N,), is False."""
    lengths = torch.where(kept, tokens.lengths, 0)
    offsets = torch.zeros_like(tokens.offsets)
    torch.cumsum(lengths, 0, out=offsets[1:])
    return Ragged(tokens.values[kept[segment_ids(tokens.offsets)]], offsets)


def _span(size: int, random: np.random.Generator) -> tuple[int, int]:
    """Draw the start and the end of a span that covers at most ``LARGEST_SHARE`` of ``size``."""
    length = int(random.integers(0, int(LARGEST_SHARE * size) + 1))
    low = int(random.integers(0, size - length + 1)) if size else 0
    return low, low + length
