"""From logits to what people read: class probabilities, or a number on the target's own scale."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from emo.heads.data.targets import Target
from emo.heads.head import Batch, Head


def outputs_of(head: Head, batch: Batch, targets: Sequence[Target]) -> dict[str, np.ndarray]:
    """Of each target (rows, C) float32: probabilities; of a number (rows, 1) the prediction."""
    logits = logits_of(head, batch)
    return {target.name: _readable(target, logits[target.name]) for target in targets}


def _readable(target: Target, logits: Tensor) -> np.ndarray:
    if target.task == "regress":
        table: np.ndarray = (logits * target.spread + target.centre).numpy()
    elif target.task == "multilabel":
        table = logits.sigmoid().numpy()
    else:
        table = logits.softmax(1).numpy()
    return table


@torch.inference_mode()
def logits_of(head: Head, batch: Batch) -> dict[str, Tensor]:
    """Logits (rows, C) of each target for many clips, without dropout; leaves the head in eval."""
    head.eval()
    if head.unit == "dialogue":
        return _logits_by_dialogue(head, batch.in_dialogues())
    starts = range(0, len(batch), EVALUATED_CLIPS)
    parts = [
        head(batch.select(np.arange(start, min(start + EVALUATED_CLIPS, len(batch)))))
        for start in starts
    ]
    return {target: torch.cat([part[target] for part in parts]) for target in parts[0]}


def _logits_by_dialogue(head: Head, batch: Batch) -> dict[str, Tensor]:
    """The same for whole dialogues, put back to the rows of the clips and pairs."""
    assert batch.turns is not None
    found: dict[str, Tensor] = {}
    for start in range(0, len(batch.turns), EVALUATED_DIALOGUES):
        chosen = np.arange(start, min(start + EVALUATED_DIALOGUES, len(batch.turns)))
        rows, pairs = batch.rows_of(chosen)
        for target, logits in head(batch.select_dialogues(chosen)).items():
            is_of_pairs = batch.pairs is not None and target in head.pair_targets
            count = len(batch.pairs) if is_of_pairs and batch.pairs is not None else len(batch)
            table = found.setdefault(target, logits.new_zeros(count, logits.shape[1]))
            table[pairs if is_of_pairs else rows] = logits
    return found


EVALUATED_CLIPS = 256
"""Clips at a time when nothing is learnt."""


EVALUATED_DIALOGUES = 32
