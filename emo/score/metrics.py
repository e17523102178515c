"""The metrics of `emo score` by name, each equal to its official scorer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from emo.errors import ScoreError
from emo.heads.metrics import classes as metrics
from emo.heads.metrics.numbers import regression_scores
from emo.plugins import unknown

Kind = Literal["classes", "numbers", "pairs", "spans"]


@dataclass(frozen=True)
class Metric:
    """What is computed, and by which score predictions are ranked."""

    kind: Kind
    headline: str
    what: str
    """A line for `emo list metrics`."""
    scale: str = "any"
    """Of numbers, see :func:`emo.heads.metrics.numbers.regression_scores`."""

    @property
    def sign(self) -> int:
        """-1: a lower headline is better."""
        return -1 if self.headline == "mae" else 1


METRICS = {
    "weighted_f1": Metric("classes", "weighted_f1", "F1 weighted by the clips of each class"),
    "mer": Metric("classes", "weighted_f1", "WAF of MER2023–2025 and MERBench: weighted F1"),
    "macro_f1": Metric("classes", "macro_f1", "mean F1 over classes"),
    "uar": Metric("classes", "uar", "mean recall over the classes in gold (balanced accuracy)"),
    "accuracy": Metric("classes", "accuracy", "share of clips predicted right (WA)"),
    "mosi": Metric("numbers", "mae", "MMSA's scores of MOSI and MOSEI, numbers within ±3", "mosi"),
    "sims": Metric("numbers", "mae", "MMSA's scores of SIMS, numbers within ±1", "sims"),
    "regression": Metric("numbers", "mae", "mean absolute error and Pearson correlation"),
    "semeval2024-1": Metric("spans", "w_f1", "SemEval-2024 Task 3, subtask 1: strict F1"),
    "semeval2024-2": Metric("pairs", "w_f1", "SemEval-2024 Task 3, subtask 2: F1 of pairs"),
}  # fmt: skip


def find_metric(name: str) -> Metric:
    """The metric of a name.

    Raises:
        ScoreError: there is none.
    """
    if name not in METRICS:
        raise ScoreError(unknown("metric", name, METRICS))
    return METRICS[name]


def score_cells(
    metric: Metric, gold: Sequence[str], predicted: Sequence[str], classes: Sequence[str] | None
) -> dict[str, float]:
    """Every score of a metric's kind, the headline first.

    Args:
        metric: of classes or numbers.
        gold: (N,) cells.
        predicted: (N,) cells, checked to be classes or numbers.
        classes: all there are; None: those of gold.
    """
    if metric.kind == "numbers":
        truth, numbers = (np.array([float(c) for c in cells]) for cells in (gold, predicted))
        arrays = regression_scores(truth, numbers, metric.scale)
        found = {name: float(value) for name, value in arrays.items()}
    else:
        found = _class_scores(gold, predicted, classes)
    first = {metric.headline: found[metric.headline]}
    return first | found


def _class_scores(
    gold: Sequence[str], predicted: Sequence[str], classes: Sequence[str] | None
) -> dict[str, float]:
    names = list(classes) if classes else sorted(set(gold))
    numbers = {name: k for k, name in enumerate(names)}
    truth, rows = (np.array([numbers[cell] for cell in cells]) for cells in (gold, predicted))
    counts = metrics.class_counts(truth, rows, len(names))
    found = {name: float(metric(counts)) for name, metric in metrics.METRICS.items()}
    if classes:  # a class that is given counts, although nobody says it
        found["macro_f1"] = float(metrics.f1(counts).mean())
    return found
