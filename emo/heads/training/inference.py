"""From logits to what people read: class probabilities, or a number on the target's own scale."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from emo.heads.data.targets import Target
from emo.heads.head import Batch, Head
from emo.heads.training.loop import logits_of


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
