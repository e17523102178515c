"""Scores of one split over all seeds, and the guard which lets ``test`` be scored only once."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emo.errors import FitError
from emo.heads.labels import Task, is_known
from emo.heads.metrics import classes as metrics
from emo.heads.metrics import measures


@dataclass(frozen=True, eq=False)
class Scores:
    """How the heads of all seeds did on one target of one split."""

    classes: tuple[str, ...]
    seeds: tuple[int, ...]
    labels: np.ndarray
    """(N,) int classes; several labels (N, C) 0 and 1; numbers (N,). All are known."""
    probabilities: np.ndarray
    """(S, N, C) float32; of a number (S, N, 1) its prediction."""
    majority: float | np.ndarray
    """Always predicting it is the baseline: train's most frequent class, or its mean. (N,) where
    the rows come from several folds."""
    bootstrap_seed: int | None = 0
    """Of the resampling; None: no interval (train, where it would mean nothing)."""
    task: Task = "classify"
    scale: str = "any"
    """Of numbers: which scores are given."""
    rows: np.ndarray | None = None
    """(N,) which rows of the split have labels; None: all."""
    groups: np.ndarray | None = None
    """(N,) the dialogue of each row, for the resampling; None: rows are drawn alone."""

    @property
    def predictions(self) -> np.ndarray:
        """(S, N) int classes, (S, N, C) 0 and 1, or (S, N) numbers."""
        if self.task == "regress":
            return self.probabilities[..., 0]
        if self.task == "multilabel":
            return (self.probabilities > 0.5).astype(np.int64)
        predicted: np.ndarray = self.probabilities.argmax(-1)
        return predicted

    @property
    def confusion(self) -> np.ndarray:
        """(C, C) counts, gold by prediction, summed over seeds; of classes and pairs only."""
        counts: np.ndarray = self._counts(self.predictions).sum(0)
        return counts

    def to_json(self) -> dict[str, Any]:
        """Clips, every metric by seed, mean, std (÷ S - 1), interval, baseline, classes."""
        values = self._measure(self.predictions)
        baseline = self._measure(self._baseline())
        seeds = enumerate(self.seeds)
        return {
            "clips": len(self.labels),
            "seeds": {str(s): {key: float(v[k]) for key, v in values.items()} for k, s in seeds},
            "mean": {name: float(value.mean()) for name, value in values.items()},
            "std": {name: _std(value) for name, value in values.items()},
            "interval": self._intervals(),
            "majority": {name: float(value) for name, value in baseline.items()},
            "classes": self._by_class(self._class_counts()),
        }

    def _measure(self, predicted: np.ndarray) -> dict[str, np.ndarray]:
        return measures.measure(
            self.task, self.labels, predicted, classes=len(self.classes), scale=self.scale
        )

    def _baseline(self) -> np.ndarray:
        if self.task == "multilabel":
            return np.zeros_like(self.labels)
        return np.full(self.labels.shape, self.majority, dtype=self.labels.dtype)

    def _counts(self, predicted: np.ndarray) -> np.ndarray:
        return metrics.confusion(self.labels, predicted, len(self.classes))

    def _class_counts(self) -> np.ndarray:
        """(S, C, C); of several labels each against the rest, on the diagonal and in class C."""
        if self.task == "regress":
            return np.zeros((len(self.seeds), 0, 0))
        if self.task != "multilabel":
            return self._counts(self.predictions)
        width, found = len(self.classes), self.predictions
        counts = np.zeros((len(self.seeds), width + 1, width + 1))
        counts[:, range(width), range(width)] = (found * self.labels).sum(1)
        counts[:, range(width), width] = ((1 - found) * self.labels).sum(1)
        counts[:, width, range(width)] = (found * (1 - self.labels)).sum(1)
        return counts

    def _intervals(self) -> dict[str, list[float]]:
        if self.bootstrap_seed is None:
            return {}
        found = measures.bootstrap(
            self.task,
            self.labels,
            self.predictions,
            classes=len(self.classes),
            scale=self.scale,
            groups=self.groups,
            seed=self.bootstrap_seed,
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

    def __init__(
        self,
        labels: np.ndarray,
        classes: tuple[str, ...],
        *,
        task: Task = "classify",
        scale: str = "any",
        groups: np.ndarray | None = None,
    ) -> None:
        """Labels (unlabelled rows are ignored), their names, and as in :class:`Scores`."""
        self._labels: np.ndarray | None = labels
        self._is_labelled = bool(is_known(labels).any())
        self.labels_hash = hashlib.sha256(labels.tobytes()).hexdigest()[:16]
        """Tells these labels from others, and nothing else about them."""
        self._classes, self._groups = classes, groups
        self._task: Task = task
        self._scale = scale

    @property
    def is_labelled(self) -> bool:
        """Whether any row has a label; nothing more is told of them before they are scored."""
        return self._is_labelled

    def score(
        self,
        probabilities: np.ndarray,
        *,
        seeds: Sequence[int],
        majority: float,
        bootstrap_seed: int | None,
    ) -> Scores:
        """Scores of all seeds at once; the arguments are fields of :class:`Scores`.

        Raises:
            FitError: called a second time.
        """
        tables = {"": probabilities}
        found = self.score_all(
            tables, seeds=seeds, majority=majority, bootstrap_seed=bootstrap_seed
        )
        return found[""]

    def score_all(
        self,
        tables: Mapping[str, np.ndarray],
        *,
        seeds: Sequence[int],
        majority: float,
        bootstrap_seed: int | None,
    ) -> dict[str, Scores]:
        """The same for the outputs of the same heads under several conditions, by name.

        Raises:
            FitError: called a second time.
        """
        if self._labels is None:
            raise FitError(
                "this split was already scored in this run; choose by val, then fit anew"
            )
        labels, self._labels = self._labels, None
        rows = np.flatnonzero(is_known(labels))
        return {
            name: Scores(
                self._classes,
                tuple(seeds),
                labels[rows],
                probabilities[:, rows],
                majority,
                bootstrap_seed,
                task=self._task,
                scale=self._scale,
                rows=rows,
                groups=None if self._groups is None else self._groups[rows],
            )
            for name, probabilities in tables.items()
        }


def _std(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0
