"""Scores of class predictions from counts of each class, in numpy, for many resamples at once.

The scores equal those of scikit-learn, which takes seconds to import. They need no table of true by
predicted classes, which has millions of cells where classes are many, but three counts of each
class. Papers call weighted F1 WAF, and accuracy WA; UAR is the mean recall.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

RESAMPLES = 1_000
"""Number of bootstrap resamples."""
DRAWN_CELLS = 1 << 21
"""Number of clips, over all resamples, that are drawn at a time, to limit the memory."""

FEW_CLASSES = 30
"""Number of classes up to which counts are computed from a table (C, C), which is faster then."""


class ClassCounts(NamedTuple):
    """Counts of each class, (…, C) each, with any number of leading axes."""

    hits: np.ndarray
    """Clips of the class that were predicted as it."""
    gold: np.ndarray
    """Clips of the class."""
    predicted: np.ndarray
    """Clips that were predicted as the class."""


Counts = ClassCounts | np.ndarray
"""Counts of each class, or a table of counts (…, C, C) by true and predicted class."""


def class_counts(gold: np.ndarray, predicted: np.ndarray, classes: int) -> ClassCounts:
    """Count correct, true and predicted clips of each class.

    Args:
        gold: int (N,) or (…, N), true classes.
        predicted: int (…, N), predicted classes.
        classes: number of classes C.

    Returns:
        int64 counts, (…, C) each.
    """
    if classes <= FEW_CLASSES:
        return counts_of(confusion(gold, predicted, classes))
    gold, predicted = np.broadcast_arrays(gold, predicted)
    rows = predicted.reshape(-1, predicted.shape[-1])
    first = (np.arange(len(rows)) * classes)[:, None]  # each row of clips has cells of its own
    true, found = gold.reshape(rows.shape) + first, rows + first
    cells = true[true == found], true.ravel(), found.ravel()
    shape = *predicted.shape[:-1], classes
    return ClassCounts(
        *(np.bincount(each, minlength=len(rows) * classes).reshape(shape) for each in cells)
    )


def confusion(gold: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Count clips by true and predicted class.

    Args:
        gold: int (N,) or (…, N), true classes.
        predicted: int (…, N), predicted classes.
        classes: number of classes C.

    Returns:
        int64 (…, C, C), true class by predicted class.
    """
    cells = np.asarray(gold) * classes + np.asarray(predicted)  # (…, N)
    rows = cells.reshape(-1, cells.shape[-1])
    shifted = rows + np.arange(len(rows))[:, None] * classes**2
    counts = np.bincount(shifted.ravel(), minlength=len(rows) * classes**2)
    return counts.reshape(*cells.shape[:-1], classes, classes)


def counts_of(counts: Counts) -> ClassCounts:
    """Return the counts of each class, which a table of true by predicted classes is reduced to."""
    if isinstance(counts, ClassCounts):
        return counts
    return ClassCounts(np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-1), counts.sum(-2))


def accuracy(counts: Counts) -> np.ndarray:
    """Return the share of correct predictions, (…)."""
    hits, gold, _ = counts_of(counts)
    return _ratio(hits.sum(-1), gold.sum(-1))


def recall(counts: Counts) -> np.ndarray:
    """Return the recall of each class, (…, C); 0 for a class without clips."""
    hits, gold, _ = counts_of(counts)
    return _ratio(hits, gold)


def precision(counts: Counts) -> np.ndarray:
    """Return the precision of each class, (…, C); 0 for one that is not predicted."""
    hits, _, predicted = counts_of(counts)
    return _ratio(hits, predicted)


def f1(counts: Counts) -> np.ndarray:
    """Return the F1 of each class, (…, C); 0 for one without correct predictions."""
    hits, gold, predicted = counts_of(counts)
    return _ratio(2 * hits, gold + predicted)


def weighted_f1(counts: Counts) -> np.ndarray:
    """Return the mean F1, weighted by the clips of each class, (…)."""
    clips = counts_of(counts).gold
    return _ratio((f1(counts) * clips).sum(-1), clips.sum(-1))


def macro_f1(counts: Counts) -> np.ndarray:
    """Return the mean F1 of the classes that occur as label or prediction, (…)."""
    _, gold, predicted = counts_of(counts)
    return _ratio(f1(counts).sum(-1), ((gold + predicted) > 0).sum(-1))


def uar(counts: Counts) -> np.ndarray:
    """Return the mean recall of the classes with clips (balanced accuracy), (…)."""
    return _ratio(recall(counts).sum(-1), (counts_of(counts).gold > 0).sum(-1))


CLASS_METRICS: dict[str, Callable[[Counts], np.ndarray]] = {
    "weighted_f1": weighted_f1,
    "macro_f1": macro_f1,
    "uar": uar,
    "accuracy": accuracy,
}
"""All scores, in the order in which they are reported."""


def scores(gold: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    """Return all scores, given names of classes, such as two columns of ``predictions.csv``.

    >>> scores(["joy", "joy", "fear"], ["joy", "fear", "fear"])["accuracy"]
    0.6666666666666666
    """
    names = sorted({*gold, *predicted})
    numbers = {name: number for number, name in enumerate(names)}
    rows = np.array([numbers[label] for label in gold])
    counts = class_counts(rows, np.array([numbers[label] for label in predicted]), len(names))
    return {name: float(metric(counts)) for name, metric in CLASS_METRICS.items()}


def bootstrap_classes(
    gold: np.ndarray, predicted: np.ndarray, classes: int, *, seed: int
) -> dict[str, tuple[float, float]]:
    """Return the 95 % bootstrap interval of each score, averaged over seeds.

    Args:
        gold: int (N,), true classes.
        predicted: int (S, N), predicted classes, a row for each seed.
        classes: number of classes C.
        seed: seed of the resamples.
    """
    random, together = np.random.default_rng(seed), max(1, DRAWN_CELLS // len(gold))
    parts: dict[str, list[np.ndarray]] = {name: [] for name in CLASS_METRICS}
    for start in range(0, RESAMPLES, together):
        shape = min(together, RESAMPLES - start), len(gold)
        drawn = random.integers(0, len(gold), shape)
        counts = [class_counts(gold[drawn], row[drawn], classes) for row in predicted]
        for name, metric in CLASS_METRICS.items():
            parts[name].append(np.stack([metric(each) for each in counts]))  # (S, resamples)
    scores = {name: np.concatenate(found, axis=1).mean(0) for name, found in parts.items()}
    return {name: interval_of(values) for name, values in scores.items()}


def interval_of(values: np.ndarray) -> tuple[float, float]:
    """Return the interval that holds the central 95 % of the values, without undefined ones.

    It is NaN if every value is: Pearson's correlation is undefined where all numbers are equal.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return math.nan, math.nan
    return float(np.quantile(known, 0.025)), float(np.quantile(known, 0.975))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Divide two arrays, with 0 where the denominator is 0."""
    return above / np.where(below == 0, 1, below)
