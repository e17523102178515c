"""Training losses: one for each form of labels (classes, several labels, numbers)."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from emo.heads.head import Batch, Loss
from emo.heads.labels import is_classes, known_rows
from emo.heads.options import LoopOptions


def make_loss(train: Batch, options: LoopOptions) -> Loss:
    """Return the loss function of a fit: the weighted sum of the losses of all targets.

    Rows without a label do not count.

    Args:
        train: training clips; class weights are computed from their labels.
        options: label smoothing, class weights, focal exponent and target weights.
    """
    class_weights: dict[str, Tensor] = {}

    def weights_of(target: str, classes: int) -> Tensor | None:
        """Return the class weights of a target, float32 (C,), or None; computed once."""
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
    """Return the mean loss without smoothing or weights, which runs can be compared by.

    It is cross-entropy for classes, smooth L1 for numbers, binary cross-entropy for several labels.

    Args:
        logits: float32 (rows, C).
        labels: labels of the same rows, all known.
    """
    if is_classes(labels):
        return functional.cross_entropy(logits, labels)
    if labels.is_floating_point():
        return functional.smooth_l1_loss(logits[:, 0], labels)
    return functional.binary_cross_entropy_with_logits(logits, labels.float())


_HUBER_DELTA = 1.345
"""Error, in standard deviations of the target, from which huber grows linearly (Huber 1964)."""
_MAE_CORNER = 0.05
"""Error, in standard deviations of the target, below which mae is rounded to a parabola, so that
solvers, which need a gradient that does not jump, find its minimum."""


def number_loss(found: Tensor, numbers: Tensor, loss: str) -> Tensor:
    """Return the mean loss of standardised numbers, float32 (rows,).

    Args:
        found: what the head returned.
        numbers: what it should return.
        loss: one of :data:`emo.heads.options.NUMBER_LOSSES`.
    """
    if loss == "mse":
        return functional.mse_loss(found, numbers)
    if loss == "huber":
        return functional.huber_loss(found, numbers, delta=_HUBER_DELTA)
    beta = _MAE_CORNER if loss == "mae" else 1.0
    return functional.smooth_l1_loss(found, numbers, beta=beta)


def _loss_of(
    logits: Tensor, labels: Tensor, class_weights: Tensor | None, options: LoopOptions
) -> Tensor:
    """Return the mean loss of one target over its labelled rows; 0 if there are none."""
    known = known_rows(labels)
    if not known.any():
        return logits.sum() * 0
    if not is_classes(labels):
        if labels.is_floating_point():
            return number_loss(logits[known][:, 0], labels[known], options.loss)
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
    """Return the focal loss: confident rows count less (Lin et al. 2017, equation 4)."""
    each = functional.cross_entropy(
        logits,
        classes,
        weight=class_weights,
        label_smoothing=options.label_smoothing,
        reduction="none",
    )
    confidence = logits.softmax(1).gather(1, classes[:, None]).squeeze(1)
    total_weight = len(classes) if class_weights is None else class_weights[classes].sum()
    return ((1 - confidence) ** options.focal * each).sum() / total_weight


def _class_weights(labels: Tensor, classes: int) -> Tensor:
    """Return a weight for each class: labelled rows ÷ (C · rows of the class).

    A class without rows is treated as if it had one.

    Args:
        labels: int64 (rows,), -1 where unlabelled.
        classes: number of classes C.

    Returns:
        float32 (C,).
    """
    counts = torch.bincount(labels[labels >= 0], minlength=classes)
    return counts.sum() / (len(counts) * counts.clamp(min=1))
