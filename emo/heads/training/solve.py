"""Fit a head that a solver solves: score its candidates, choose how it joins streams, refit it.

A head with several ways to join its streams (:attr:`emo.heads.head.Head.variants`) gives candidates
of each. The way with the best score is kept: the score on ``val``, or where ``val`` has fewer than
:data:`SMALL_VAL` labelled clips the score on inner folds of train and val, because a score of few
clips is mostly chance. Within the way, the candidate with the best score on ``val`` is kept.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from emo.errors import plural
from emo.heads.head import Batch, Head
from emo.heads.inner_folds import inner_folds, join_batches
from emo.heads.labels import is_classes, known_rows
from emo.heads.options import LoopOptions
from emo.heads.training.inference import logits_of
from emo.heads.training.losses import make_loss
from emo.heads.training.outcome import Choice, Outcome, Round
from emo.heads.training.rounds import BestRound, copy_weights, score_logits

SMALL_VAL = 500
"""Number of labelled clips of ``val`` below which ways to join streams are compared on inner folds;
the standard error of a share of .5 of so many clips is .022."""


def solve_head(
    build: Callable[[], Head],
    head: Head,
    train: Batch,
    val: Batch,
    options: LoopOptions,
    *,
    seed: int,
    solved: Iterator[float],
    on_round: Callable[[Round], None],
) -> Outcome:
    """Score all candidates of a head on ``val`` and return the one that is kept.

    Args:
        build: makes an untrained head, for inner folds.
        head: the head whose candidates are scored.
        train: pooled training clips with labels.
        val: pooled clips with labels.
        options: options of the loss, of the score, and whether to refit.
        seed: seed that the outcome names.
        solved: candidates of :meth:`emo.heads.head.Head.path`.
        on_round: called after each candidate.
    """
    best: dict[str, BestRound] = {}
    for train_loss in solved:  # a path is short: no early stopping
        if head.variant not in best:
            best[head.variant] = BestRound(head, val, seed, choose_by=options.choose_by)
        best[head.variant].add(train_loss, on_round)
    choice = None
    if len(best) > 1:
        order = [name for name in head.variants if name in best]
        on_val = {name: best[name].best_score for name in order}
        choice = _choose(build, train, without_others(train, val), options, on_val)
    kept = best[choice.chosen] if choice else next(iter(best.values()))
    head.load_state_dict(kept.state)
    head.finish(train, make_loss(train, options))
    outcome = Outcome(seed, copy_weights(head), tuple(kept.history), is_exact=True, choice=choice)
    if not options.refit:
        return outcome
    every = join_batches(train, without_others(train, val))
    head.refit(every, make_loss(every, options))
    return replace(outcome, refit=copy_weights(head))


def without_others(train: Batch, val: Batch) -> Batch:
    """Return val with rows of classes that train lacks unlabelled; it has them by --top-classes."""
    targets = {}
    for target, labels in val.targets.items():
        if is_classes(labels) and target not in val.pair_targets:
            labels = labels.masked_fill(labels > train.targets[target].max(), -1)
        targets[target] = labels
    return replace(val, targets=targets)


def _choose(
    build: Callable[[], Head],
    train: Batch,
    val: Batch,
    options: LoopOptions,
    on_val: Mapping[str, float],
) -> Choice:
    """Choose a way to join streams; of equal scores the first in the order of ``on_val``."""
    labelled = int(known_rows(next(iter(val.targets.values()))).sum())
    scores, over = on_val, f"val, {plural(labelled, 'clip')}"
    if labelled < SMALL_VAL:
        every = join_batches(train, val)
        folds = [*inner_folds(every)]
        if len(folds) > 1:
            inner = _inner_scores(build, every, folds, options)
            scores = {name: inner[name] for name in on_val}
            over = f"{len(folds)} inner folds of train and val, by whole {every.group_kind}"
            over = over.replace(", by whole clips", "")
    return Choice(max(scores, key=lambda name: scores[name]), dict(scores), over)


def _inner_scores(
    build: Callable[[], Head],
    every: Batch,
    folds: list[tuple[Tensor, Tensor]],
    options: LoopOptions,
) -> dict[str, float]:
    """Return the score of each way at its best candidate, on clips that it was not solved on.

    Args:
        build: makes an untrained head.
        every: the clips of all folds.
        folds: rows to train on and rows held out, of each fold.
        options: options of the loss and of the score.
    """
    found: dict[tuple[str, int], list[dict[str, Tensor]]] = {}
    for learnt, held in folds:
        inner, outer, head = every.select(learnt), every.select(held), build()
        head.is_trial = True
        numbers: Counter[str] = Counter()
        for _ in head.path(inner, without_others(inner, outer), make_loss(inner, options)) or ():
            key = head.variant, numbers[head.variant]
            numbers[head.variant] += 1
            found.setdefault(key, []).append(logits_of(head, outer))
    outer = every.select(torch.cat([held for _, held in folds]))
    scores: dict[str, float] = {}
    for (name, _), parts in found.items():
        logits = {target: torch.cat([part[target] for part in parts]) for target in parts[0]}
        score = score_logits(logits, outer, options.choose_by)[1]
        scores[name] = max(score, scores.get(name, score))
    return scores
