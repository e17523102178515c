"""Compute the logits of clips of one split with the module, and score them on val."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from emo.adapt.module import AdaptModule
from emo.adapt.training.clips import TrainClips
from emo.heads.training.outcome import Round
from emo.heads.training.rounds import score_logits


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


def rounds_of(
    log: Sequence[Mapping[str, Any]], seed: int, best_step: int | None = None
) -> tuple[Round, ...]:
    """Return the epochs of a training as rounds.

    Args:
        log: entries of the Trainer's log.
        seed: seed of the training.
        best_step: step whose weights are kept; None: the last one's.
    """
    found: list[Round] = []
    losses: list[float] = []
    steps: list[int] = []
    for entry in log:
        if "loss" in entry:
            losses.append(float(entry["loss"]))
        if "val_score" in entry:
            mean = sum(losses) / len(losses) if losses else float("nan")
            found.append(
                Round(seed, len(found) + 1, mean, entry["val_loss"], entry["val_score"], False)
            )
            steps.append(entry["step"])
            losses = []
    kept = best_step if best_step in steps else (steps or [0])[-1]
    return tuple(
        dataclasses.replace(each, is_best=step == kept)
        for step, each in zip(steps, found, strict=True)
    )
