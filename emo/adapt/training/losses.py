"""Losses as sums over rows and their weights, so that batches and processes add up exactly."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from emo.heads.labels import is_classes, known_rows
from emo.heads.options import LoopOptions


class SummedLosses:
    """The loss of a batch as a sum: the mean is that of all rows of a step, wherever they are.

    It equals :func:`emo.heads.training.losses.make_loss` on the rows of a step together.
    """

    def __init__(self, train: Mapping[str, Tensor], options: LoopOptions) -> None:
        """Compute class weights.

        Args:
            train: labels of all training clips by target.
            options: label smoothing, class weights, focal exponent and target weights.
        """
        self._options = options
        self._weights: dict[str, Tensor] = {}
        self._train = train
        self.targets = tuple(train)

    def counts(self, labels: Mapping[str, Tensor], widths: Mapping[str, int]) -> Tensor:
        """Return what the sum of each target is divided by, float32 (targets,).

        Args:
            labels: labels of a batch by target.
            widths: number of logits of each target.
        """
        found = [self._row_weights(name, labels[name], widths[name]).sum() for name in self.targets]
        return torch.stack(found)

    def sums(self, logits: Mapping[str, Tensor], labels: Mapping[str, Tensor]) -> Tensor:
        """Return the sum of the losses of the labelled rows of each target, float32 (targets,).

        Args:
            logits: (rows, C) by target.
            labels: labels of the same rows.
        """
        return torch.stack(
            [self._sum(name, logits[name].float(), labels[name]) for name in self.targets]
        )

    def total(self, sums: Tensor, counts: Tensor) -> Tensor:
        """Return the loss: sums ÷ counts, added with the weights of the targets."""
        factors = [self._options.target_weights.get(name, 1.0) for name in self.targets]
        means = sums / counts.to(sums.device).clamp(min=1e-12)
        return (means * means.new_tensor(factors)).sum()

    def _row_weights(self, name: str, labels: Tensor, width: int) -> Tensor:
        """Return the weight of each row, float32 (rows,); 0 where the label is not known."""
        known = known_rows(labels)
        weights = self._class_weights(name, width)
        if weights is None or not is_classes(labels):
            return known.float()
        return torch.where(known, weights.to(labels.device)[labels.clamp(min=0)], 0.0)

    def _class_weights(self, name: str, width: int) -> Tensor | None:
        learnt = self._train[name]
        if not (self._options.class_weights and is_classes(learnt)):
            return None
        if name not in self._weights:
            counts = torch.bincount(learnt[learnt >= 0], minlength=width)
            self._weights[name] = counts.sum() / (len(counts) * counts.clamp(min=1))
        return self._weights[name]

    def _sum(self, name: str, logits: Tensor, labels: Tensor) -> Tensor:
        known = known_rows(labels)
        if not known.any():
            return logits.sum() * 0
        found, gold = logits[known], labels[known]
        if gold.is_floating_point():
            return functional.smooth_l1_loss(found[:, 0], gold, reduction="sum")
        if not is_classes(gold):
            each = functional.binary_cross_entropy_with_logits(
                found, gold.float(), reduction="none"
            )
            return each.mean(1).sum()
        weights = self._class_weights(name, found.shape[1])
        each = functional.cross_entropy(
            found, gold, weight=None if weights is None else weights.to(found.device),
            label_smoothing=self._options.label_smoothing, reduction="none",
        )  # fmt: skip
        if self._options.focal:
            confidence = found.softmax(1).gather(1, gold[:, None]).squeeze(1)
            each = (1 - confidence) ** self._options.focal * each
        return each.sum()
