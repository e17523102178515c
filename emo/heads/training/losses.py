"""What is minimised: a loss for each kind of target, told from its labels' type and shape."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from emo.heads.head import Batch, Loss
from emo.heads.labels import is_classes, known_rows
from emo.heads.options import LoopOptions


def make_loss(train: Batch, options: LoopOptions) -> Loss:
    """The weighted sum over targets; rows without a label count nowhere."""
    class_weights: dict[str, Tensor] = {}

    def weights_of(target: str, classes: int) -> Tensor | None:
        learnt = train.targets[target]
        if not (options.class_weights and is_classes(learnt)):
            return None
        if target not in class_weights:
            class_weights[target] = _class_weights(learnt, classes)
        return class_weights[target]

    def loss(logits: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
        losses = []
        for target, labels in targets.items():
            found = logits[target]
            one = _loss_of(found, labels, weights_of(target, found.shape[1]), options)
            weight = options.target_weights.get(target, 1.0)
            losses.append(one if weight == 1 else weight * one)
        return torch.stack(losses).sum()

    return loss


def plain_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Without smoothing or weights, of known rows: what is comparable between runs."""
    if is_classes(labels):
        return functional.cross_entropy(logits, labels)
    if labels.is_floating_point():
        return functional.smooth_l1_loss(logits[:, 0], labels)
    return functional.binary_cross_entropy_with_logits(logits, labels.float())


def _loss_of(
    logits: Tensor, labels: Tensor, class_weights: Tensor | None, options: LoopOptions
) -> Tensor:
    known = known_rows(labels)
    if not known.any():
        return logits.sum() * 0
    if not is_classes(labels):
        return plain_loss(logits[known], labels[known])
    if options.focal:
        return _focal(logits[known], labels[known], class_weights, options)
    return functional.cross_entropy(
        logits.T[None],  # (1, C, rows): the faster layout
        labels[None],
        weight=class_weights,
        ignore_index=-1,
        label_smoothing=options.label_smoothing,
    )


def _focal(
    logits: Tensor, classes: Tensor, class_weights: Tensor | None, options: LoopOptions
) -> Tensor:
    """Cross-entropy that counts rows less the surer they are (Lin et al. 2017, equation 4)."""
    each = functional.cross_entropy(
        logits,
        classes,
        weight=class_weights,
        label_smoothing=options.label_smoothing,
        reduction="none",
    )
    sure = logits.softmax(1).gather(1, classes[:, None]).squeeze(1)
    below = len(classes) if class_weights is None else class_weights[classes].sum()
    return ((1 - sure) ** options.focal * each).sum() / below


def _class_weights(labels: Tensor, classes: int) -> Tensor:
    """(rows,) -> (C,): rows ÷ (C × rows of the class); a class without rows counts as with one."""
    counts = torch.bincount(labels[labels >= 0], minlength=classes)
    return counts.sum() / (len(counts) * counts.clamp(min=1))
