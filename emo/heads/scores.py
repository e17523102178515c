"""Scores of one split over all seeds, and the guard which lets ``test`` be scored only once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emo.errors import FitError
from emo.heads import metrics


@dataclass(frozen=True, eq=False)
class Scores:
    """How the heads of all seeds did on one split."""

    classes: tuple[str, ...]
    seeds: tuple[int, ...]
    labels: np.ndarray
    """(N,) int classes."""
    probabilities: np.ndarray
    """(S, N, C) float32."""
    majority: int
    """The most frequent class of train, always predicting which is the baseline."""
    bootstrap_seed: int | None = 0
    """Of the resampling; None: no interval (train, where it would mean nothing)."""

    @property
    def predictions(self) -> np.ndarray:
        """(S, N) int classes."""
        predicted: np.ndarray = self.probabilities.argmax(-1)
        return predicted

    @property
    def confusion(self) -> np.ndarray:
        """(C, C) counts, gold by prediction, summed over seeds."""
        counts: np.ndarray = self._counts(self.predictions).sum(0)
        return counts

    def to_json(self) -> dict[str, Any]:
        """Clips, every metric by seed, mean, std (÷ S - 1), interval, baseline, classes."""
        counts = self._counts(self.predictions)  # (S, C, C)
        values = {name: metric(counts) for name, metric in metrics.METRICS.items()}
        baseline = self._counts(np.full_like(self.labels, self.majority))
        seeds = enumerate(self.seeds)
        return {
            "clips": len(self.labels),
            "seeds": {str(s): {key: float(v[k]) for key, v in values.items()} for k, s in seeds},
            "mean": {name: float(value.mean()) for name, value in values.items()},
            "std": {name: _std(value) for name, value in values.items()},
            "interval": self._intervals(),
            "majority": {key: float(metric(baseline)) for key, metric in metrics.METRICS.items()},
            "classes": self._by_class(counts),
        }

    def _counts(self, predicted: np.ndarray) -> np.ndarray:
        return metrics.confusion(self.labels, predicted, len(self.classes))

    def _intervals(self) -> dict[str, list[float]]:
        if self.bootstrap_seed is None:
            return {}
        found = metrics.bootstrap(
            self.labels, self.predictions, len(self.classes), seed=self.bootstrap_seed
        )
        return {name: list(interval) for name, interval in found.items()}

    def _by_class(self, counts: np.ndarray) -> dict[str, dict[str, float]]:
        """Means over seeds."""
        columns = {
            "clips": counts.sum(-1), "precision": metrics.precision(counts),
            "recall": metrics.recall(counts), "f1": metrics.f1(counts),
            "predicted": counts.sum(-2),
        }  # fmt: skip
        return {
            label: {name: float(values[:, k].mean()) for name, values in columns.items()}
            for k, label in enumerate(self.classes)
        }


class ScoreOnce:
    """The labels of one split; they can be compared with predictions one single time.

    Choosing anything by the test score is how published numbers become too good; the loop has
    no other way to the labels of ``test``.
    """

    def __init__(self, labels: np.ndarray, classes: tuple[str, ...]) -> None:
        """(N,) int classes, and their names."""
        self._labels: np.ndarray | None = labels
        self._classes = classes

    def score(
        self,
        probabilities: np.ndarray,
        *,
        seeds: Sequence[int],
        majority: int,
        bootstrap_seed: int | None,
    ) -> Scores:
        """Scores of all seeds at once; the arguments are fields of :class:`Scores`.

        Raises:
            FitError: called a second time.
        """
        if self._labels is None:
            raise FitError(
                "this split was already scored in this run; choose by val, then fit anew"
            )
        labels, self._labels = self._labels, None
        return Scores(self._classes, tuple(seeds), labels, probabilities, majority, bootstrap_seed)


def _std(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0
