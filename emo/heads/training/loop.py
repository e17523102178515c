"""The training loop: rounds of gradient steps or of a solver; the best round on ``val`` is kept."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from emo.heads.head import Batch, Head, Task
from emo.heads.labels import is_classes, known_rows
from emo.heads.metrics.measures import headline
from emo.heads.options import LoopOptions
from emo.heads.training.checkpoint import Checkpoints, RunningSeed
from emo.heads.training.diverged import check_head_weights, check_losses, when_diverged
from emo.heads.training.inference import logits_of
from emo.heads.training.losses import make_loss, plain_loss
from emo.heads.training.outcome import Outcome, Round
from emo.heads.training.steps import Steps
from emo.machine.memory import keep_freed_memory

KEPT_BYTES = 2**28
"""Freed memory that a process keeps while it trains: that of a step."""


def train_head(
    build: Callable[[], Head],
    train: Batch,
    val: Batch,
    options: LoopOptions,
    *,
    seed: int,
    on_round: Callable[[Round], None] = lambda _: None,
    checkpoints: Checkpoints | None = None,
) -> Outcome:
    """Train one head; the same seed and number of threads give the same bits.

    Args:
        build: makes the untrained head; called after the seed is set.
        train: pooled training clips with labels.
        val: pooled clips with labels, on which the best round is chosen.
        options: options of the training loop.
        seed: seed of initial weights, order of clips and dropout.
        on_round: called after each round, for instance by a progress bar.
        checkpoints: where the state of gradient steps is written, and read to continue an
            interrupted fit; None: nowhere.

    Raises:
        DivergedError: a loss or a weight is not finite.
    """
    keep_freed_memory(KEPT_BYTES)
    with _seeded(seed):
        head = build()
        loss = make_loss(train, options)
        solved = head.path(train, _without_others(train, val), loss)
        if solved is not None:
            # a path is short: no early stopping
            best = _BestRound(
                head, val, seed, patience=math.inf, learning_rate=None, choose_by=options.choose_by
            )
            best.run(solved, on_round)
            return Outcome(seed, best.state, tuple(best.history), is_exact=True)
        steps = Steps(head, train, loss, options, seed=seed)
        best = _BestRound(
            head, val, seed, patience=options.patience, learning_rate=options.learning_rate,
            choose_by=options.choose_by,
        )  # fmt: skip
        earlier = checkpoints.read_running(seed) if checkpoints else None
        if earlier is not None:
            steps.load(earlier.tensors, earlier.state_json)
            best.history, best.state = list(earlier.history), earlier.best

        def after_round(found: Round) -> None:
            on_round(found)
            if checkpoints is not None:
                running = RunningSeed(*steps.state(), best.state, tuple(best.history))
                checkpoints.write_running(seed, running)

        epochs = (steps.epoch() for _ in range(options.epochs - len(best.history)))
        best.run(epochs, after_round)
    return Outcome(seed, best.state, tuple(best.history), is_exact=False)


class _BestRound:
    """All rounds so far, and the weights of the best by score on ``val``, then by loss."""

    def __init__(
        self, head: Head, val: Batch, seed: int, *, patience: float, learning_rate: float | None,
        choose_by: str,
    ) -> None:  # fmt: skip
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
            val_loss, val_score = _validate(self._head, self._val, self._choose_by)
            best = max(((each.val_score, -each.val_loss) for each in self.history), default=None)
            is_best = best is None or (val_score, -val_loss) > best
            number = len(self.history) + 1
            when = when_diverged(self._seed, number, self._learning_rate)
            check_losses(when, train_loss=train_loss, val_loss=val_loss)
            self.history.append(Round(self._seed, number, train_loss, val_loss, val_score, is_best))
            if is_best:
                check_head_weights(when, self._head)
                state = self._head.state_dict().items()
                self.state = {name: tensor.clone() for name, tensor in state}
            on_round(self.history[-1])

    def _rounds_since_best(self) -> int:
        """Return the number of rounds since the best one; 0 before the first round."""
        best = [each.round for each in self.history if each.is_best]
        return len(self.history) - best[-1] if best else 0


def _without_others(train: Batch, val: Batch) -> Batch:
    """Return val with rows of classes that train lacks unlabelled; it has them by --top-classes."""
    targets = {}
    for target, labels in val.targets.items():
        if is_classes(labels) and target not in val.pair_targets:
            labels = labels.masked_fill(labels > train.targets[target].max(), -1)
        targets[target] = labels
    return replace(val, targets=targets)


def _validate(head: Head, val: Batch, choose_by: str) -> tuple[float, float]:
    """Return the loss and the score of a head on ``val``; see :func:`score_logits`."""
    return score_logits(logits_of(head, val), val, choose_by)


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


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch's generator inside the block, and restore it afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
