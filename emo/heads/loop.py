"""The one training loop: candidates from gradient steps or a solver, the best on ``val`` wins."""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from emo.heads.adamw import AdamW
from emo.heads.augment import augment, mix
from emo.heads.head import Batch, Head, Loss, Task
from emo.heads.losses import is_classes, known_rows, make_loss, plain_loss
from emo.heads.measures import headline
from emo.heads.options import LoopOptions

EVALUATED_CLIPS = 256
"""Clips at a time when nothing is learnt."""
EVALUATED_DIALOGUES = 32


@dataclass(frozen=True)
class Round:
    """One candidate: an epoch of gradient steps, or one solution of a solver."""

    seed: int
    round: int
    """From 1."""
    train_loss: float
    val_loss: float
    """Plain cross-entropy, without smoothing or weights; of numbers the smooth L1."""
    val_score: float
    """Weighted F1, or what :data:`emo.heads.measures.HEADLINES` says; the higher, the better."""
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
        loss = make_loss(train, options)
        solved = head.path(train, val, loss)
        rounds = _epochs(head, train, loss, options, seed) if solved is None else solved
        history: list[Round] = []
        best, state, waited = None, {}, 0
        for number, train_loss in enumerate(rounds, 1):
            val_loss, val_score = _validate(head, val)
            is_best = best is None or (val_score, -val_loss) > best
            history.append(Round(seed, number, train_loss, val_loss, val_score, is_best))
            watch(history[-1])
            if is_best:
                best, waited = (val_score, -val_loss), 0
                state = {name: tensor.clone() for name, tensor in head.state_dict().items()}
            else:
                waited += 1
            if waited >= options.patience:
                break
    return Outcome(seed, state, tuple(history), is_exact=solved is not None)


@torch.inference_mode()
def logits_of(head: Head, batch: Batch) -> dict[str, Tensor]:
    """Logits (rows, C) of each target for many clips, without dropout; leaves the head in eval."""
    head.eval()
    if head.unit == "dialogue":
        return _logits_by_dialogue(head, batch.in_dialogues())
    starts = range(0, len(batch), EVALUATED_CLIPS)
    parts = [
        head(batch.select(np.arange(start, min(start + EVALUATED_CLIPS, len(batch)))))
        for start in starts
    ]
    return {target: torch.cat([part[target] for part in parts]) for target in parts[0]}


def _logits_by_dialogue(head: Head, batch: Batch) -> dict[str, Tensor]:
    """The same for whole dialogues, put back to the rows of the clips and pairs."""
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


def _epochs(
    head: Head, train: Batch, loss: Loss, options: LoopOptions, seed: int
) -> Iterator[float]:
    """AdamW over shuffled clips (or dialogues); yields the mean loss of each epoch."""
    optimizer = AdamW(
        head.parameters(), weight_decay=options.weight_decay, gradient_norm=options.gradient_norm
    )
    random = np.random.default_rng(seed)
    changes = np.random.default_rng([seed, 1])  # apart: the order of clips stays the same
    train = train.in_dialogues() if head.unit == "dialogue" else train
    count = len(train) if head.unit == "clip" or train.turns is None else len(train.turns)
    starts = range(0, count, options.batch_size)
    rates = learning_rates(options, options.epochs * -(-len(starts) // options.accumulate))
    for _ in range(options.epochs):
        head.train()
        order = random.permutation(count)
        total = 0.0
        for place, start in enumerate(starts):
            chosen = order[start : start + options.batch_size]
            batch = train.select(chosen) if head.unit == "clip" else train.select_dialogues(chosen)
            value = _loss_at(head, augment(batch, options, changes), loss, options, changes)
            first = place - place % options.accumulate
            together = min(options.accumulate, len(starts) - first)
            optimizer.add(value if together == 1 else value / together)
            if place == first + together - 1:
                optimizer.step_added(next(rates))
            total += value.item() * len(batch)
        yield total / len(train)


def learning_rates(options: LoopOptions, steps: int) -> Iterator[float]:
    """Of each step: a linear rise, then the decay; early stopping does not shorten it."""
    rising = round(options.warmup * steps)
    for step in range(steps):
        factor = (step + 1) / rising if step < rising else 1.0
        done = max(step - rising, 0) / max(steps - rising, 1)
        if options.decay == "linear":
            factor *= 1 - done
        elif options.decay == "cosine":
            factor *= (1 + math.cos(math.pi * done)) / 2
        yield options.learning_rate * factor


def _loss_at(
    head: Head, batch: Batch, loss: Loss, options: LoopOptions, random: np.random.Generator
) -> Tensor:
    """Of one batch, with mixup where it is asked for and its turn."""
    if not (options.mixup and random.random() < options.mixup_probability):
        return loss(_forward(head, batch, options), batch.targets)
    share = random.beta(options.mixup, options.mixup)
    order = random.permutation(len(batch))
    logits = _forward(head, mix(batch, order, share), options)
    others = {target: labels[torch.from_numpy(order)] for target, labels in batch.targets.items()}
    return share * loss(logits, batch.targets) + (1 - share) * loss(logits, others)


def _forward(head: Head, batch: Batch, options: LoopOptions) -> dict[str, Tensor]:
    if not options.bf16:
        found: dict[str, Tensor] = head(batch)
        return found
    with torch.autocast("cpu", torch.bfloat16):
        found = head(batch)
    return {target: logits.float() for target, logits in found.items()}


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
