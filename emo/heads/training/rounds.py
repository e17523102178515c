"""Scores of a head on ``val`` after each round, and the weights of the best round."""

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from torch import Tensor

from emo.heads.head import Batch, Head, Task
from emo.heads.labels import is_classes, known_rows
from emo.heads.metrics.measures import headline
from emo.heads.training.diverged import check_head_weights, check_losses, when_diverged
from emo.heads.training.inference import logits_of
from emo.heads.training.losses import plain_loss
from emo.heads.training.outcome import Round


class BestRound:
    """All rounds so far, and the weights of the best by score on ``val``, then by loss."""

    def __init__(
        self, head: Head, val: Batch, seed: int, *, choose_by: str, patience: float = math.inf,
        learning_rate: float | None = None,
    ) -> None:  # fmt: skip
        """Begin without a round.

        Args:
            head: the head in training.
            val: pooled clips on which rounds are judged.
            seed: seed of the fit.
            choose_by: name of the score of classes; empty: the usual one.
            patience: number of rounds without a better one after which :meth:`run` ends.
            learning_rate: learning rate, for the message of a fit that diverged; None: a solver.
        """
        self._head, self._val, self._seed = head, val, seed
        self._patience, self._learning_rate = patience, learning_rate
        self._choose_by = choose_by
        self.history: list[Round] = []
        self.state: dict[str, Tensor] = {}

    def run(self, rounds: Iterator[float], on_round: Callable[[Round], None]) -> None:
        """Evaluate each round on ``val`` until none is left or patience is used up.

        Args:
            rounds: yields the training loss of each round; the head then holds its weights.
            on_round: called after each round.

        Raises:
            DivergedError: a loss or a weight is not finite.
        """
        while self._rounds_since_best() < self._patience:
            train_loss = next(rounds, None)
            if train_loss is None:
                return
            self.add(train_loss, on_round)

    def add(self, train_loss: float, on_round: Callable[[Round], None]) -> None:
        """Evaluate the weights that the head holds on ``val``, and keep them if they are the best.

        Args:
            train_loss: training loss of the round.
            on_round: called after the round.

        Raises:
            DivergedError: a loss or a weight is not finite.
        """
        val_loss, val_score = score_logits(
            logits_of(self._head, self._val), self._val, self._choose_by
        )
        best = max(((each.val_score, -each.val_loss) for each in self.history), default=None)
        is_best = best is None or (val_score, -val_loss) > best
        number = len(self.history) + 1
        when = when_diverged(self._seed, number, self._learning_rate)
        check_losses(when, train_loss=train_loss, val_loss=val_loss)
        self.history.append(Round(self._seed, number, train_loss, val_loss, val_score, is_best))
        if is_best:
            check_head_weights(when, self._head)
            self.state = copy_weights(self._head)
        on_round(self.history[-1])

    @property
    def best_score(self) -> float:
        """Score on ``val`` of the best round."""
        return max(each.val_score for each in self.history)

    def _rounds_since_best(self) -> int:
        """Return the number of rounds since the best one; 0 before the first round."""
        best = [each.round for each in self.history if each.is_best]
        return len(self.history) - best[-1] if best else 0


def copy_weights(head: Head) -> dict[str, Tensor]:
    """Return a copy of a head's weights by name."""
    return {name: tensor.clone() for name, tensor in head.state_dict().items()}


def score_logits(
    logits: Mapping[str, Tensor], val: Batch, choose_by: str = ""
) -> tuple[float, float]:
    """Return the loss and the score of logits, each averaged over labelled targets.

    Rows of classes that the head does not learn have no loss; in the score they are wrong.

    Args:
        logits: (rows, C) by target, on the CPU.
        val: the labels of the same rows.
        choose_by: name of the score of classes; empty: the usual one.
    """
    losses, scores = [], []
    for target, gold in val.targets.items():
        known = known_rows(gold)
        if not known.any():
            continue
        found, labels = logits[target][known], gold[known]
        learnt = labels < found.shape[1] if is_classes(labels) else known_rows(labels)
        losses.append(plain_loss(found[learnt], labels[learnt]).item() if learnt.any() else 0.0)
        scores.append(_score(found, labels, target in val.pair_targets, choose_by))
    return float(np.mean(losses)), float(np.mean(scores))


def _score(logits: Tensor, labels: Tensor, are_pairs: bool, choose_by: str) -> float:
    """Return the score of one target, given logits (rows, C) and known labels."""
    width = logits.shape[1]
    if is_classes(labels):
        task: Task = "pairs" if are_pairs else "classify"
        width = max(width, int(labels.max()) + 1)  # with the classes that are not learnt
        predicted = logits.argmax(1).numpy()
        return headline(task, labels.numpy(), predicted, classes=width, name=choose_by)
    if labels.is_floating_point():
        return headline("regress", labels.numpy(), logits[:, 0].numpy(), classes=width)
    found = (logits > 0).long()
    return headline("multilabel", labels.numpy(), found.numpy(), classes=width)
