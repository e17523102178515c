"""The one training loop: candidates from gradient steps or a solver, the best on ``val`` wins."""

import contextlib
import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from emo.heads.head import Batch, Head, Task
from emo.heads.labels import is_classes, known_rows
from emo.heads.metrics.measures import headline
from emo.heads.options import LoopOptions
from emo.heads.training.checkpoint import Checkpoints, Running
from emo.heads.training.inference import logits_of
from emo.heads.training.losses import make_loss, plain_loss
from emo.heads.training.outcome import Outcome, Round
from emo.heads.training.steps import Steps


def train_head(
    build: Callable[[], Head],
    train: Batch,
    val: Batch,
    options: LoopOptions,
    *,
    seed: int,
    watch: Callable[[Round], None] = lambda _: None,
    checkpoints: Checkpoints | None = None,
) -> Outcome:
    """Train one head; the same seed and number of threads give the same bits.

    Args:
        build: makes the untrained head; called with the seed set.
        train: pooled clips with targets.
        val: pooled clips with targets, on which the best round is chosen.
        options: of the loop.
        seed: of weights, order of clips and dropout.
        watch: sees every round, for a progress bar.
        checkpoints: where gradient steps are kept as they go, and gone on with; None: nowhere.
    """
    with _seeded(seed):
        head = build()
        loss = make_loss(train, options)
        solved = head.path(train, val, loss)
        if solved is not None:
            best = _Best(head, val, seed, math.inf)  # a path is short: all of it is judged
            best.take(solved, watch)
            return Outcome(seed, best.state, tuple(best.history), is_exact=True)
        steps = Steps(head, train, loss, options, seed=seed)
        best = _Best(head, val, seed, options.patience)
        earlier = checkpoints.running(seed) if checkpoints else None
        if earlier is not None:
            steps.load(earlier.tensors, earlier.line)
            best.history, best.state = list(earlier.history), earlier.best

        def seen(found: Round) -> None:
            watch(found)
            if checkpoints is not None:
                checkpoints.keep(seed, Running(*steps.state(), best.state, tuple(best.history)))

        epochs = (steps.epoch() for _ in range(options.epochs - len(best.history)))
        best.take(epochs, seen)
    return Outcome(seed, best.state, tuple(best.history), is_exact=False)


class _Best:
    """The rounds so far and the weights of the best, by the score on ``val``, then the loss."""

    def __init__(self, head: Head, val: Batch, seed: int, patience: float) -> None:
        self._head, self._val, self._seed, self._patience = head, val, seed, patience
        self.history: list[Round] = []
        self.state: dict[str, Tensor] = {}

    def take(self, rounds: Iterator[float], watch: Callable[[Round], None]) -> None:
        """Judge round after round of training losses, while there is patience."""
        while self._waited() < self._patience:
            train_loss = next(rounds, None)
            if train_loss is None:
                return
            val_loss, val_score = _validate(self._head, self._val)
            best = max(((each.val_score, -each.val_loss) for each in self.history), default=None)
            is_best = best is None or (val_score, -val_loss) > best
            number = len(self.history) + 1
            self.history.append(Round(self._seed, number, train_loss, val_loss, val_score, is_best))
            if is_best:
                state = self._head.state_dict().items()
                self.state = {name: tensor.clone() for name, tensor in state}
            watch(self.history[-1])

    def _waited(self) -> int:
        """Rounds since the best."""
        best = [each.round for each in self.history if each.is_best]
        return len(self.history) - best[-1] if best else 0


def _validate(head: Head, val: Batch) -> tuple[float, float]:
    """Loss, and the score that counts, each averaged over targets."""
    logits = logits_of(head, val)
    losses, scores = [], []
    for target, gold in val.targets.items():
        known = known_rows(gold)
        if not known.any():
            continue
        found, labels = logits[target][known], gold[known]
        losses.append(plain_loss(found, labels).item())
        scores.append(_score(found, labels, target in val.pair_targets))
    return float(np.mean(losses)), float(np.mean(scores))


def _score(logits: Tensor, labels: Tensor, are_pairs: bool) -> float:
    width = logits.shape[1]
    if is_classes(labels):
        task: Task = "pairs" if are_pairs else "classify"
        return headline(task, labels.numpy(), logits.argmax(1).numpy(), classes=width)
    if labels.is_floating_point():
        return headline("regress", labels.numpy(), logits[:, 0].numpy(), classes=width)
    found = (logits > 0).long()
    return headline("multilabel", labels.numpy(), found.numpy(), classes=width)


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch inside the block only."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
