"""Scores of class predictions from confusion counts, in numpy; many resamples at once.

Equal to scikit-learn's, which takes seconds to import. ``counts`` is always (…, C, C): gold by
prediction, any number of leading axes. weighted F1 is WAF, UAR the mean recall, accuracy WA.
"""

from collections.abc import Callable, Sequence

import numpy as np

RESAMPLES = 1_000
DRAWN_CELLS = 1 << 21
"""Clips drawn at a time, over resamples, so that memory does not grow with their product."""


def confusion(gold: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """(N,), (…, N) int -> (…, C, C) counts, gold by prediction."""
    cells = np.asarray(gold) * classes + np.asarray(predicted)  # (…, N)
    rows = cells.reshape(-1, cells.shape[-1])
    shifted = rows + np.arange(len(rows))[:, None] * classes**2
    counts = np.bincount(shifted.ravel(), minlength=len(rows) * classes**2)
    return counts.reshape(*cells.shape[:-1], classes, classes)


def accuracy(counts: np.ndarray) -> np.ndarray:
    """Share of clips predicted right: (…, C, C) -> (…)."""
    return _ratio(_hits(counts).sum(-1), counts.sum((-2, -1)))


def recall(counts: np.ndarray) -> np.ndarray:
    """(…, C, C) -> (…, C); 0 for a class without clips."""
    return _ratio(_hits(counts), counts.sum(-1))


def precision(counts: np.ndarray) -> np.ndarray:
    """(…, C, C) -> (…, C); 0 for a class that is never predicted."""
    return _ratio(_hits(counts), counts.sum(-2))


def f1(counts: np.ndarray) -> np.ndarray:
    """(…, C, C) -> (…, C); 0 for a class without clips or hits."""
    return _ratio(2 * _hits(counts), counts.sum(-1) + counts.sum(-2))


def weighted_f1(counts: np.ndarray) -> np.ndarray:
    """Mean F1 weighted by the clips of each class: (…, C, C) -> (…)."""
    clips = counts.sum(-1)
    return _ratio((f1(counts) * clips).sum(-1), clips.sum(-1))


def macro_f1(counts: np.ndarray) -> np.ndarray:
    """Mean F1 over the classes that occur in gold or predictions: (…, C, C) -> (…)."""
    occurs = (counts.sum(-1) + counts.sum(-2)) > 0
    return _ratio(f1(counts).sum(-1), occurs.sum(-1))


def uar(counts: np.ndarray) -> np.ndarray:
    """Unweighted average recall over the classes in gold (balanced accuracy): (…, C, C) -> (…)."""
    return _ratio(recall(counts).sum(-1), (counts.sum(-1) > 0).sum(-1))


METRICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "weighted_f1": weighted_f1,
    "macro_f1": macro_f1,
    "uar": uar,
    "accuracy": accuracy,
}
"""In the order in which they are reported."""


def scores(gold: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    """Every metric of label names, such as a column of ``predictions.csv``.

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
    """95 % interval of each metric, averaged over seeds, when the clips are drawn again.

    Args:
        gold: (N,) int classes.
        predicted: (S, N) int classes, one row a seed.
        classes: C.
        seed: of the draws.
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
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Division in which 0 / 0 is 0."""
    return above / np.where(below == 0, 1, below)
