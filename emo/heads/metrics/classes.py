"""Scores of class predictions from confusion counts, in numpy, for many resamples at once.

The scores equal those of scikit-learn, which takes seconds to import. ``counts`` is always
(…, C, C), true class by predicted class, with any number of leading axes. Papers call weighted F1
WAF, and accuracy WA; UAR is the mean recall.
"""

from collections.abc import Callable, Sequence

import numpy as np

RESAMPLES = 1_000
"""Number of bootstrap resamples."""
DRAWN_CELLS = 1 << 21
"""Number of clips, over all resamples, that are drawn at a time, to limit the memory."""


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


def accuracy(counts: np.ndarray) -> np.ndarray:
    """Return the share of correct predictions: (…, C, C) -> (…)."""
    return _ratio(_hits(counts).sum(-1), counts.sum((-2, -1)))


def recall(counts: np.ndarray) -> np.ndarray:
    """Return the recall of each class: (…, C, C) -> (…, C); 0 for a class without clips."""
    return _ratio(_hits(counts), counts.sum(-1))


def precision(counts: np.ndarray) -> np.ndarray:
    """Return the precision of each class: (…, C, C) -> (…, C); 0 for one that is not predicted."""
    return _ratio(_hits(counts), counts.sum(-2))


def f1(counts: np.ndarray) -> np.ndarray:
    """Return the F1 of each class: (…, C, C) -> (…, C); 0 for one without correct predictions."""
    return _ratio(2 * _hits(counts), counts.sum(-1) + counts.sum(-2))


def weighted_f1(counts: np.ndarray) -> np.ndarray:
    """Return the mean F1, weighted by the clips of each class: (…, C, C) -> (…)."""
    clips = counts.sum(-1)
    return _ratio((f1(counts) * clips).sum(-1), clips.sum(-1))


def macro_f1(counts: np.ndarray) -> np.ndarray:
    """Return the mean F1 of the classes that occur as label or prediction: (…, C, C) -> (…)."""
    occurs = (counts.sum(-1) + counts.sum(-2)) > 0
    return _ratio(f1(counts).sum(-1), occurs.sum(-1))


def uar(counts: np.ndarray) -> np.ndarray:
    """Return the mean recall of the classes with clips (balanced accuracy): (…, C, C) -> (…)."""
    return _ratio(recall(counts).sum(-1), (counts.sum(-1) > 0).sum(-1))


METRICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
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
    counts = confusion(rows, np.array([numbers[label] for label in predicted]), len(names))
    return {name: float(metric(counts)) for name, metric in METRICS.items()}


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
    parts = []
    for start in range(0, RESAMPLES, together):
        shape = min(together, RESAMPLES - start), len(gold)
        drawn = random.integers(0, len(gold), shape)
        parts.append(np.stack([confusion(gold[drawn], row[drawn], classes) for row in predicted]))
    counts = np.concatenate(parts, axis=1)  # (S, RESAMPLES, C, C)
    scores = {name: metric(counts).mean(0) for name, metric in METRICS.items()}  # (RESAMPLES,)
    return {
        name: (float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975)))
        for name, values in scores.items()
    }


def _hits(counts: np.ndarray) -> np.ndarray:
    """Return the correct predictions of each class: (…, C, C) -> (…, C)."""
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Divide two arrays, with 0 where the denominator is 0."""
    return above / np.where(below == 0, 1, below)
