"""Outputs of a trained head: logits, class probabilities, or numbers on the target's scale."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from emo.heads.data.targets import Target
from emo.heads.head import Batch, Head
from emo.heads.metrics.ranked import MANY_CLASSES, ranked


def outputs_of(
    head: Head, batch: Batch, targets: Sequence[Target], *, is_short: bool = False
) -> dict[str, np.ndarray]:
    """Return the outputs of a head by target, without dropout.

    Args:
        head: the head.
        batch: any number of clips.
        targets: the targets of the head.
        is_short: whether of more than ``MANY_CLASSES`` classes only the most probable ones of each
            row are kept, see :func:`emo.heads.metrics.ranked.ranked`.

    Returns:
        Probabilities, float32 (rows, C), for classes, several labels and pairs; predictions,
        float32 (rows, 1), for a number.
    """
    parts: dict[str, list[np.ndarray]] = {target.name: [] for target in targets}
    for logits in _logit_parts(head, batch):
        for target in targets:
            table = _from_logits(target, logits[target.name])
            is_cut = is_short and target.task == "classify" and len(target.classes) > MANY_CLASSES
            parts[target.name].append(ranked(table) if is_cut else table)
    return {name: np.concatenate(found) for name, found in parts.items()}


def _from_logits(target: Target, logits: Tensor) -> np.ndarray:
    """Turn logits, float32 (rows, C), into probabilities or numbers of the same shape."""
    if target.task == "regress":
        table: np.ndarray = (logits * target.spread + target.centre).numpy()
    elif target.task == "multilabel":
        table = logits.sigmoid().numpy()
    else:
        table = logits.softmax(1).numpy()
    return table


@torch.inference_mode()
def logits_of(head: Head, batch: Batch) -> dict[str, Tensor]:
    """Return logits, float32 (rows, C), for each target of any number of clips, without dropout.

    The head is left in evaluation mode.
    """
    parts = list(_logit_parts(head, batch))
    return {target: torch.cat([part[target] for part in parts]) for target in parts[0]}


@torch.inference_mode()
def _logit_parts(head: Head, batch: Batch) -> Iterator[dict[str, Tensor]]:
    """Yield the logits of some clips after others; of a dialogue head those of all at once."""
    head.eval()
    if head.unit == "dialogue":
        yield _logits_by_dialogue(head, batch.in_dialogues())
        return
    for start in range(0, len(batch), EVALUATED_CLIPS):
        yield head(batch.select(np.arange(start, min(start + EVALUATED_CLIPS, len(batch)))))


def _logits_by_dialogue(head: Head, batch: Batch) -> dict[str, Tensor]:
    """Return logits by target, dialogues at a time, in the order of the batch's clips and pairs."""
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
"""Clips in one forward pass of an evaluation."""
EVALUATED_DIALOGUES = 32
"""Dialogues in one forward pass of an evaluation."""
