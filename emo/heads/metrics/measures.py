"""All scores of each task, for many resamples at once, and the headline score of each task."""

from collections.abc import Mapping

import numpy as np

from emo.heads.labels import Task
from emo.heads.metrics import classes as metrics
from emo.heads.metrics.numbers import regression_scores

HEADLINES: Mapping[Task, str] = {
    "classify": "weighted_f1", "pairs": "weighted_f1", "multilabel": "micro_f1", "regress": "mae",
}  # fmt: skip
"""By task, the score by which rounds are chosen; for ``mae``, its negative."""


def measure(
    task: Task, gold: np.ndarray, predicted: np.ndarray, *, classes: int, scale: str = "any"
) -> dict[str, np.ndarray]:
    """Return all scores of a task, each (…).

    Args:
        task: what labels and predictions are.
        gold: labels, all known: classes or numbers (rows,), or 0 and 1 (rows, C).
        predicted: predictions of the same form, (…, rows) or (…, rows, C).
        classes: number of classes C.
        scale: range of numbers, see :func:`emo.heads.metrics.numbers.regression_scores`.
    """
    if task == "regress":
        return regression_scores(gold, predicted, scale)
    if task == "multilabel":
        return _multilabel_scores(gold, predicted)
    counts = metrics.confusion(gold, predicted, classes)
    if task == "pairs":
        return pair_scores(counts)
    return {name: metric(counts) for name, metric in metrics.METRICS.items()}


def headline(task: Task, gold: np.ndarray, predicted: np.ndarray, *, classes: int) -> float:
    """Return the score by which rounds are chosen; higher is better.

    Args:
        task: what labels and predictions are.
        gold: labels, all known: classes or numbers (rows,), or 0 and 1 (rows, C).
        predicted: predictions of the same shape.
        classes: number of classes C.
    """
    if task == "regress":
        return -float(np.abs(gold - predicted).mean())
    return float(measure(task, gold, predicted, classes=classes)[HEADLINES[task]])


def pair_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Return the scores of SemEval-2024 Task 3, subtask 2, each (…).

    Class 0, no pair, is not scored; classes are weighted by their shares of true pairs.

    Args:
        counts: (…, C, C), pairs by true class and predicted class.
    """
    hits = np.diagonal(counts, axis1=-2, axis2=-1)[..., 1:]
    gold, predicted = counts.sum(-1)[..., 1:], counts.sum(-2)[..., 1:]
    f1 = 2 * hits / np.maximum(gold + predicted, 1)
    total = np.maximum(gold.sum(-1), 1)
    return {
        "weighted_f1": (f1 * gold).sum(-1) / total,
        "micro_f1": 2 * hits.sum(-1) / np.maximum(gold.sum(-1) + predicted.sum(-1), 1),
        "precision": hits.sum(-1) / np.maximum(predicted.sum(-1), 1),
        "recall": hits.sum(-1) / total,
    }


def _multilabel_scores(gold: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
    """Return all scores of several labels, each (…), given 0 and 1 of shape (…, rows, C)."""
    gold, predicted = np.broadcast_arrays(gold > 0, predicted > 0)
    hits = (gold & predicted).sum(-2)  # (…, C)
    of_gold, of_predicted = gold.sum(-2), predicted.sum(-2)
    f1 = 2 * hits / np.maximum(of_gold + of_predicted, 1)
    every = of_gold.sum(-1) + of_predicted.sum(-1)
    return {
        "micro_f1": 2 * hits.sum(-1) / np.maximum(every, 1),
        "macro_f1": f1.mean(-1),
        "weighted_f1": (f1 * of_gold).sum(-1) / np.maximum(of_gold.sum(-1), 1),
        "accuracy": (gold == predicted).all(-1).mean(-1),
    }


def bootstrap(
    task: Task,
    gold: np.ndarray,
    predicted: np.ndarray,
    *,
    classes: int,
    scale: str,
    groups: np.ndarray | None,
    seed: int,
) -> dict[str, tuple[float, float]]:
    """Return the 95 % bootstrap interval of each score, averaged over seeds.

    Args:
        task: what labels and predictions are.
        gold: labels, (rows,) or (rows, C), see :func:`measure`.
        predicted: predictions of each seed, (S, rows) or (S, rows, C).
        classes: number of classes C.
        scale: range of numbers.
        groups: int (rows,), the dialogue of each row; whole dialogues are resampled. None: rows
            are resampled.
        seed: seed of the resamples.
    """
    if groups is None and task == "classify":
        return metrics.bootstrap_classes(gold, predicted, classes, seed=seed)
    found = resampled(task, gold, predicted, classes=classes, scale=scale, groups=groups, seed=seed)
    return {name: interval_of(values) for name, values in found.items()}


def resampled(
    task: Task,
    gold: np.ndarray,
    predicted: np.ndarray,
    *,
    classes: int,
    scale: str,
    groups: np.ndarray | None,
    seed: int,
) -> dict[str, np.ndarray]:
    """Return each score on all resamples, (RESAMPLES,), averaged over seeds.

    The arguments are those of :func:`bootstrap`. Calls with the same ``seed`` and ``groups`` draw
    the same clips, whatever the predictions are.
    """
    random = np.random.default_rng(seed)
    if task in ("classify", "pairs"):
        tables = _resampled_counts(gold, predicted, classes, groups, random)
        found = [
            pair_scores(table)
            if task == "pairs"
            else {name: metric(table) for name, metric in metrics.METRICS.items()}
            for table in tables
        ]
    else:
        rows = [_drawn(len(gold), groups, random) for _ in range(metrics.RESAMPLES)]
        found = [_measure_draws(task, gold, one, rows, classes, scale) for one in predicted]
    return {name: np.mean([values[name] for values in found], axis=0) for name in found[0]}


def _resampled_counts(
    gold: np.ndarray, predicted: np.ndarray, classes: int, groups: np.ndarray | None,
    random: np.random.Generator,
) -> list[np.ndarray]:  # fmt: skip
    """Return, for each seed, confusion counts of all resamples, (RESAMPLES, C, C)."""
    names, of = np.unique(np.arange(len(gold)) if groups is None else groups, return_inverse=True)
    drawn = random.multinomial(len(names), np.full(len(names), 1 / len(names)), metrics.RESAMPLES)
    tables = []
    for row in predicted:
        cells = of * classes**2 + gold * classes + row
        counts = np.bincount(cells, minlength=len(names) * classes**2).reshape(len(names), -1)
        table = drawn.astype(np.float64) @ counts
        tables.append(table.reshape(-1, classes, classes))
    return tables


def _drawn(count: int, groups: np.ndarray | None, random: np.random.Generator) -> np.ndarray:
    """Draw the rows of one resample: ``count`` rows, or as many groups as there are."""
    if groups is None:
        return random.integers(0, count, count)
    order = np.argsort(groups, kind="stable")
    _, starts = np.unique(groups[order], return_index=True)
    parts = np.split(order, starts[1:])
    return np.concatenate([parts[k] for k in random.integers(0, len(parts), len(parts))])


def _measure_draws(
    task: Task,
    gold: np.ndarray,
    predicted: np.ndarray,
    draws: list[np.ndarray],
    classes: int,
    scale: str,
) -> dict[str, np.ndarray]:
    """Return each score of one seed's predictions on all resamples, (RESAMPLES,)."""
    found = [
        measure(task, gold[rows], predicted[rows], classes=classes, scale=scale) for rows in draws
    ]
    return {name: np.array([values[name] for values in found]) for name in found[0]}


def interval_of(values: np.ndarray) -> tuple[float, float]:
    """Return the interval that holds the central 95 % of the values."""
    return float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))


TITLES = {
    "weighted_f1": "weighted F1", "macro_f1": "macro F1", "uar": "UAR", "accuracy": "accuracy",
    "micro_f1": "micro F1", "precision": "precision", "recall": "recall", "mae": "MAE",
    "pearson": "Pearson", "has0_accuracy": "Has0 Acc-2", "has0_f1": "Has0 F1",
    "non0_accuracy": "Non0 Acc-2", "non0_f1": "Non0 F1", "accuracy_7": "Acc-7",
    "accuracy_5": "Acc-5", "accuracy_3": "Acc-3", "accuracy_2": "Acc-2", "f1": "F1",
}  # fmt: skip
"""Titles of the scores in tables."""
