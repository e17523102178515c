"""Compute the logits of clips of one split with the module, and score them on val."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from emo.adapt.clips import TrainClips
from emo.adapt.module import AdaptModule
from emo.heads.training.loop import score_logits


@torch.no_grad()
def evaluate(module: AdaptModule, clips: TrainClips, batch: int) -> tuple[float, float]:
    """Return the loss and the headline score on clips, without dropout.

    The module is left in the mode in which it was.

    Args:
        module: backbones and head.
        clips: the clips of val, with their labels.
        batch: clips that are computed at once.
    """
    was_training = module.training
    module.eval()
    try:
        logits = _logits(module, clips, batch)
    finally:
        module.train(was_training)
    return score_logits(logits, clips.frozen)


def _logits(module: AdaptModule, clips: TrainClips, batch: int) -> dict[str, Tensor]:
    """Return logits by target, float32 on the CPU."""
    found: list[Mapping[str, Tensor]] = []
    for start in range(0, len(clips.ids), batch):
        rows: Sequence[int] = range(start, min(start + batch, len(clips.ids)))
        found.append(module(clips.batch(rows))[0])
    return {name: torch.cat([each[name].float().cpu() for each in found]) for name in found[0]}
