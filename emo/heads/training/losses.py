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

    Rows without a label do not count. Of logits of several models, (p, N, C), it returns p losses.

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
            one = _loss_of(found, labels, weights_of(target, found.shape[-1]), options)
            weight = options.target_weights.get(target, 1.0)
            losses.append(one if weight == 1 else weight * one)
        return torch.stack(losses).sum(0)

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
    """Return the mean loss of standardised numbers, of one model or of each of several.

    Args:
        found: what the head returned, float32 (rows,) or (p, rows).
        numbers: what it should return, float32 (rows,).
        loss: one of :data:`emo.heads.options.NUMBER_LOSSES`.
    """
    numbers = numbers.expand_as(found)
    if loss == "mse":
        each = functional.mse_loss(found, numbers, reduction="none")
    elif loss == "huber":
        each = functional.huber_loss(found, numbers, delta=_HUBER_DELTA, reduction="none")
    else:
        beta = _MAE_CORNER if loss == "mae" else 1.0
        each = functional.smooth_l1_loss(found, numbers, beta=beta, reduction="none")
    return each.mean(-1)


def _loss_of(
    logits: Tensor, labels: Tensor, class_weights: Tensor | None, options: LoopOptions
) -> Tensor:
    """Return the mean loss of one target over its labelled rows; 0 if there are none.

    Args:
        logits: float32 (N, C), or (p, N, C) of p models.
        labels: labels of the N rows.
        class_weights: float32 (C,), or None.
        options: options of the loss.
    """
    known = known_rows(labels)
    if not known.any():
        return logits.sum((-1, -2)) * 0
    if not is_classes(labels):
        found = logits if known.all() else logits[..., known, :]
        if labels.is_floating_point():
            return number_loss(found[..., 0], labels[known], options.loss)
        wanted = labels[known].to(found.dtype).expand_as(found)
        each = functional.binary_cross_entropy_with_logits(found, wanted, reduction="none")
        return each.mean((-1, -2))
    if options.focal or logits.ndim == 3:
        return _class_losses(logits, labels, class_weights, options)
    return functional.cross_entropy(
        logits.T[None],  # (1, C, rows): the faster layout
        labels[None],
        weight=class_weights,
        ignore_index=-1,
        label_smoothing=options.label_smoothing,
    )


def _class_losses(
    logits: Tensor, labels: Tensor, class_weights: Tensor | None, options: LoopOptions
) -> Tensor:
    """Return the cross-entropy or focal loss of each of several models, or of one.

    With the focal loss confident rows count less (Lin et al. 2017, equation 4).
    """
    shape = logits.shape[:-1]
    models = logits.view(-1, *logits.shape[-2:])
    each = functional.cross_entropy(
        models.transpose(1, 2),
        labels.expand(models.shape[:2]),
        weight=class_weights,
        ignore_index=-1,
        label_smoothing=options.label_smoothing,
        reduction="none",
    ).view(shape)  # 0 where unlabelled
    classes = labels.clamp(min=0)
    if options.focal:
        index = classes.expand(shape)[..., None]
        confidence = logits.softmax(-1).gather(-1, index).squeeze(-1)
        each = (1 - confidence) ** options.focal * each
    known = known_rows(labels)
    total = known.sum() if class_weights is None else class_weights[classes][known].sum()
    return each.sum(-1) / total


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
