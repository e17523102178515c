"""Scores of predicted numbers, as MMSA defines them for MOSI, MOSEI and SIMS, in numpy.

All functions map labels (…, N) and predictions (…, N) to scores (…), for many resamples at once.
Source: Yu et al., MMSA (thuiar/MMSA, trains/utils/metricsTop.py), reimplemented.
"""

import numpy as np

SIMS_ACCURACIES = {
    "accuracy_2": (0.0,), "accuracy_3": (-0.1, 0.1), "accuracy_5": (-0.7, -0.1, 0.1, 0.7),
}  # fmt: skip
"""Upper edges of the classes of SIMS by score; an edge belongs to the class below it."""


def regression_scores(
    gold: np.ndarray, predicted: np.ndarray, scale: str = "any"
) -> dict[str, np.ndarray]:
    """Return ``mae``, ``pearson`` and the accuracies of the corpus, each (…).

    ``pearson`` is NaN where labels or predictions are all equal.

    Args:
        gold: (…, N) true numbers.
        predicted: (…, N) predicted numbers.
        scale: range of the true numbers, which decides the accuracies: ``mosi`` (within ±3),
            ``sims`` (within ±1; labels and predictions are clipped to it) or ``any`` (none).
    """
    gold, predicted = np.broadcast_arrays(gold.astype(np.float64), predicted.astype(np.float64))
    if scale == "sims":
        gold, predicted = gold.clip(-1, 1), predicted.clip(-1, 1)
        found = _mae_and_pearson(gold, predicted)
        one, other = gold.astype(np.float32), predicted.astype(np.float32)
        for name, edges in SIMS_ACCURACIES.items():
            # float32 as in the source, so that 0.1 lies on its edge, not above it
            ends = np.array(edges, np.float32)
            same = np.searchsorted(ends, one) == np.searchsorted(ends, other)
            found[name] = same.mean(-1)
        return found | {"f1": _binary(gold > 0, predicted > 0, np.ones(gold.shape, bool))[1]}
    found = _mae_and_pearson(gold, predicted)
    if scale == "mosi":
        everything, nonzero = np.ones(gold.shape, bool), gold != 0
        has0 = _binary(gold >= 0, predicted >= 0, everything)
        non0 = _binary(gold > 0, predicted > 0, nonzero)
        found |= {"has0_accuracy": has0[0], "has0_f1": has0[1]}
        found |= {"non0_accuracy": non0[0], "non0_f1": non0[1]}
        for name, bound in (("accuracy_7", 3), ("accuracy_5", 2)):
            same = gold.clip(-bound, bound).round() == predicted.clip(-bound, bound).round()
            found[name] = same.mean(-1)
    return found


def _mae_and_pearson(gold: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
    """Return the mean absolute error and Pearson's correlation, (…) each.

    The correlation is NaN where labels or predictions are all equal: it is undefined there.
    """
    a = gold - gold.mean(-1, keepdims=True)
    b = predicted - predicted.mean(-1, keepdims=True)
    below = np.sqrt(np.square(a).sum(-1) * np.square(b).sum(-1))
    varies = np.ptp(gold, axis=-1) * np.ptp(predicted, axis=-1) > 0  # a mean may be rounded
    pearson = np.where(varies, (a * b).sum(-1) / np.where(below > 0, below, 1), np.nan)
    return {"mae": np.abs(gold - predicted).mean(-1), "pearson": pearson}


def _binary(
    gold: np.ndarray, predicted: np.ndarray, counted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the accuracy and the weighted F1 of two classes, (…) each.

    Args:
        gold: bool (…, N) true classes.
        predicted: bool (…, N) predicted classes.
        counted: bool (…, N), False for clips that are ignored.
    """
    total = np.maximum(counted.sum(-1), 1)
    accuracy = ((gold == predicted) & counted).sum(-1) / total
    f1 = np.zeros(total.shape)
    for value in (True, False):
        of_gold, of_predicted = (gold == value) & counted, (predicted == value) & counted
        hits = 2 * (of_gold & of_predicted).sum(-1)
        below = of_gold.sum(-1) + of_predicted.sum(-1)
        f1 = f1 + of_gold.sum(-1) / total * hits / np.maximum(below, 1)
    return accuracy, f1
