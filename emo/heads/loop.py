"""The one training loop: candidates from gradient steps or a solver, the best on ``val`` wins."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from emo.heads import metrics
from emo.heads.adamw import AdamW
from emo.heads.head import Batch, Head, Loss
from emo.heads.options import LoopOptions

EVALUATED_CLIPS = 256
"""Clips at a time when nothing is learnt."""


@dataclass(frozen=True)
class Round:
    """One candidate: an epoch of gradient steps, or one solution of a solver."""

    seed: int
    round: int
    """From 1."""
    train_loss: float
    val_loss: float
    """Plain cross-entropy, without smoothing or weights."""
    val_weighted_f1: float
    is_best: bool
    """So far."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """One trained head."""

    seed: int
    state: dict[str, Tensor]
    """Weights of the best round."""
    history: tuple[Round, ...]
    is_exact: bool
    """Found by a solver: another seed would give the same."""

    @property
    def best(self) -> Round:
        """The round whose weights were kept."""
        return next(found for found in reversed(self.history) if found.is_best)


def train_head(
    build: Callable[[], Head],
    train: Batch,
    val: Batch,
    options: LoopOptions,
    *,
    seed: int,
    watch: Callable[[Round], None] = lambda _: None,
) -> Outcome:
    """Train one head; the same seed and number of threads give the same bits.

    Args:
        build: makes the untrained head; called with the seed set.
        train: pooled clips with targets.
        val: pooled clips with targets, on which the best round is chosen.
        options: of the loop.
        seed: of weights, order of clips and dropout.
        watch: sees every round, for a progress bar.
    """
    with _seeded(seed):
        head = build()
        loss = _loss(train, options)
        solved = head.path(train, val, loss)
        rounds = _epochs(head, train, loss, options, seed) if solved is None else solved
        history: list[Round] = []
        best, state, waited = None, {}, 0
        for number, train_loss in enumerate(rounds, 1):
            val_loss, val_f1 = _validate(head, val)
            is_best = best is None or (val_f1, -val_loss) > best
            history.append(Round(seed, number, train_loss, val_loss, val_f1, is_best))
            watch(history[-1])
            if is_best:
                best, waited = (val_f1, -val_loss), 0
                state = {name: tensor.clone() for name, tensor in head.state_dict().items()}
            else:
                waited += 1
            if waited >= options.patience:
                break
    return Outcome(seed, state, tuple(history), is_exact=solved is not None)


@torch.inference_mode()
def logits_of(head: Head, batch: Batch) -> dict[str, Tensor]:
    """Logits (N, C) of each target for many clips, without dropout; leaves the head in eval."""
    head.eval()
    starts = range(0, len(batch), EVALUATED_CLIPS)
    parts = [
        head(batch.select(np.arange(start, min(start + EVALUATED_CLIPS, len(batch)))))
        for start in starts
    ]
    return {target: torch.cat([part[target] for part in parts]) for target in parts[0]}


def probabilities_of(head: Head, batch: Batch, target: str) -> np.ndarray:
    """Class probabilities (N, C), float32."""
    table: np.ndarray = logits_of(head, batch)[target].softmax(1).numpy()
    return table


def _epochs(
    head: Head, train: Batch, loss: Loss, options: LoopOptions, seed: int
) -> Iterator[float]:
    """AdamW over shuffled clips; yields the mean loss of each epoch."""
    optimizer = AdamW(
        head.parameters(), weight_decay=options.weight_decay, gradient_norm=options.gradient_norm
    )
    random = np.random.default_rng(seed)
    for _ in range(options.epochs):
        head.train()
        order = random.permutation(len(train))
        total = 0.0
        for start in range(0, len(order), options.batch_size):
            batch = train.select(order[start : start + options.batch_size])
            value = loss(head(batch), batch.targets)
            optimizer.step(value, options.learning_rate)
            total += value.item() * len(batch)
        yield total / len(order)


def _loss(train: Batch, options: LoopOptions) -> Loss:
    """Cross-entropy summed over targets, with the smoothing and weights asked for."""
    weights = {
        target: _class_weights(classes) if options.class_weights else None
        for target, classes in train.targets.items()
    }

    def loss(logits: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
        losses = [
            functional.cross_entropy(
                logits[target].T[None],  # (1, C, rows): the faster layout
                classes[None],
                weight=weights[target],
                ignore_index=-1,
                label_smoothing=options.label_smoothing,
            )
            for target, classes in targets.items()
        ]
        return torch.stack(losses).sum()

    return loss


def _class_weights(classes: Tensor) -> Tensor:
    """(rows,) -> (C,): rows ÷ (C × rows of the class)."""
    counts = torch.bincount(classes[classes >= 0])
    return counts.sum() / (len(counts) * counts.clamp(min=1))


def _validate(head: Head, val: Batch) -> tuple[float, float]:
    """Loss, and weighted F1, each averaged over targets."""
    logits = logits_of(head, val)
    losses, scores = [], []
    for target, gold in val.targets.items():
        known = gold >= 0
        found = logits[target][known]
        losses.append(functional.cross_entropy(found, gold[known]).item())
        counts = metrics.confusion(gold[known].numpy(), found.argmax(1).numpy(), found.shape[1])
        scores.append(float(metrics.weighted_f1(counts)))
    return float(np.mean(losses)), float(np.mean(scores))


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch inside the block only."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
