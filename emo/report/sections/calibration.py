"""Whether a head's probabilities are the shares of its right predictions: bins, ECE, Brier."""

from dataclasses import dataclass

import numpy as np

from emo.report.rows import RunRows

BINS = 10
"""Number of bins of equal width."""


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions whose probability lies in one tenth."""

    low: float
    """Lower end of the probabilities."""
    high: float
    """Upper end."""
    count: float
    """Number of rows, as the mean over seeds."""
    sure: float
    """Mean probability of the predictions."""
    right: float
    """Share of right predictions."""


@dataclass(frozen=True)
class Reliability:
    """Reliability of the most probable class, over all rows and seeds."""

    bins: tuple[ReliabilityBin, ...]
    """The bins that have any rows."""
    ece: float
    """Expected calibration error: mean distance of probability and share, weighted by rows."""
    brier: float | None
    """Brier score: mean squared distance of all probabilities from 0 and 1; None: not known."""

    @property
    def words(self) -> str:
        """Whether probabilities are too high or too low, in words."""
        total = sum(each.count for each in self.bins)
        gap = sum((each.sure - each.right) * each.count for each in self.bins) / max(total, 1)
        if abs(gap) < 0.03:
            return "On the whole its probabilities fit."
        kind = "too high" if gap > 0 else "too low"
        return f"Its probabilities are {kind} by {abs(gap):.2f} on the whole."


def reliability_of(rows: RunRows) -> Reliability | None:
    """Return the calibration of a run; None: it has no probabilities of single classes."""
    if rows.task != "classify":
        return None
    table = rows.probabilities
    sure = rows.best if table is None else table.max(-1)
    if sure is None:
        return None
    bin_of = np.minimum((sure * BINS).astype(int), BINS - 1)
    bins, seeds = [], len(rows.seeds)
    for number in range(BINS):
        inside = bin_of == number
        if inside.any():
            bins.append(ReliabilityBin(
                number / BINS, (number + 1) / BINS, float(inside.sum() / seeds),
                float(sure[inside].mean()), float(rows.is_right[inside].mean()),
            ))  # fmt: skip
    total = sum(each.count for each in bins)
    ece = sum(each.count * abs(each.sure - each.right) for each in bins) / total
    brier = None
    if table is not None:
        truth = np.zeros(table.shape[1:])
        known = np.flatnonzero(rows.labels < table.shape[-1])
        truth[known, rows.labels[known]] = 1
        brier = float(((table - truth) ** 2).sum(-1).mean())
    return Reliability(tuple(bins), float(ece), brier)
