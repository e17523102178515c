"""The metrics of `emo score` by name; each gives the same numbers as its official scorer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from emo.errors import ScoreError
from emo.heads.labels import Task
from emo.heads.metrics import classes as metrics
from emo.heads.metrics.measures import bootstrap, measure, usable_groups
from emo.heads.metrics.numbers import regression_scores
from emo.manifest.tasks import parts
from emo.plugins import unknown

AnswerKind = Literal["classes", "labels", "numbers", "pairs", "ranks", "spans"]


@dataclass(frozen=True)
class Metric:
    """A metric: what is computed, and the score by which predictions are ranked."""

    kind: AnswerKind
    """What predictions are: classes, labels (several classes at once), numbers, pairs, pairs with
    spans of words, or scores by which items are ranked for each query."""
    headline: str
    """Name of the score that ranks predictions."""
    what: str
    """Description, shown by `emo list metrics`."""
    scale: str = "any"
    """Range of numbers: ``any``, ``mosi`` or ``sims``, see
    :func:`emo.heads.metrics.numbers.regression_scores`."""

    @property
    def sign(self) -> int:
        """1 when a higher headline is better, -1 when a lower one is."""
        return -1 if self.headline == "mae" else 1


METRICS = {
    "weighted_f1": Metric("classes", "weighted_f1", "F1 weighted by the clips of each class"),
    "mer": Metric("classes", "weighted_f1", "WAF of MER2023–2025 and MERBench: weighted F1"),
    "macro_f1": Metric("classes", "macro_f1", "mean F1 over classes"),
    "uar": Metric("classes", "uar", "mean recall over the classes in gold (balanced accuracy)"),
    "accuracy": Metric("classes", "accuracy", "share of clips predicted right (WA)"),
    "multilabel": Metric("labels", "micro_f1", "micro F1 over labels, cells such as joy|fear"),
    "mosi": Metric("numbers", "mae", "MMSA's scores of MOSI and MOSEI, numbers within ±3", "mosi"),
    "sims": Metric("numbers", "mae", "MMSA's scores of SIMS, numbers within ±1", "sims"),
    "regression": Metric("numbers", "mae", "mean absolute error and Pearson correlation"),
    "retrieval": Metric("ranks", "r@1", "R@1, R@5, R@10, median and mean rank of query,item,score"),
    "semeval2024-1": Metric("spans", "w_f1", "SemEval-2024 Task 3, subtask 1: strict F1"),
    "semeval2024-2": Metric("pairs", "w_f1", "SemEval-2024 Task 3, subtask 2: F1 of pairs"),
}  # fmt: skip


def find_metric(name: str) -> Metric:
    """Return the metric of a name.

    Raises:
        ScoreError: there is no such metric.
    """
    if name in ("qa", "vqa"):
        raise ScoreError(f"--metric {name}: open answers are scored by --metric accuracy --open")
    if name not in METRICS:
        raise ScoreError(unknown("metric", name, METRICS))
    return METRICS[name]


def metric_of_labels(metric: Metric) -> Metric:
    """Return the metric that scores several labels at once by the same headline.

    Raises:
        ScoreError: the metric of classes has no form for several labels.
    """
    if metric.kind != "classes":
        return metric
    if metric.headline == "uar":
        raise ScoreError("uar is not defined for several labels at once; take --metric multilabel")
    return replace(metric, kind="labels")


def score_cells(
    metric: Metric, gold: Sequence[str], predicted: Sequence[str], classes: Sequence[str] | None
) -> dict[str, float]:
    """Compute every score of a metric's kind.

    Args:
        metric: a metric of classes or numbers.
        gold: the N labels.
        predicted: the N predictions, already checked to be classes or numbers.
        classes: all classes that exist; None: those in gold.

    Returns:
        Name -> score, the headline first.
    """
    if metric.kind == "numbers":
        wanted, numbers = (np.array([float(c) for c in cells]) for cells in (gold, predicted))
        arrays = regression_scores(wanted, numbers, metric.scale)
        found = {name: float(value) for name, value in arrays.items()}
    elif metric.kind == "labels":
        found = _label_scores(gold, predicted, classes)
    else:
        found = _class_scores(gold, predicted, classes)
    first = {metric.headline: found[metric.headline]}
    return first | found


def _class_scores(
    gold: Sequence[str], predicted: Sequence[str], classes: Sequence[str] | None
) -> dict[str, float]:
    """Compute the scores of classes."""
    names = list(classes) if classes else sorted({*gold, *predicted})
    names += [""] * ("" in predicted and "" not in names)  # rows without a prediction
    numbers = {name: k for k, name in enumerate(names)}
    wanted, rows = (np.array([numbers[cell] for cell in cells]) for cells in (gold, predicted))
    counts = metrics.class_counts(wanted, rows, len(names))
    found = {name: float(metric(counts)) for name, metric in metrics.CLASS_METRICS.items()}
    if classes:  # a given class counts in the mean, even if it does not occur
        found["macro_f1"] = float(metrics.f1(counts)[: len(classes)].mean())
    return found


def _label_scores(
    gold: Sequence[str], predicted: Sequence[str], classes: Sequence[str] | None
) -> dict[str, float]:
    """Compute the scores of several labels at once, as `emo fit-head` does."""
    cells = [[set(parts(cell)) for cell in column] for column in (gold, predicted)]
    names = list(classes or sorted({name for column in cells for cell in column for name in cell}))
    wanted, rows = (
        np.array([[name in cell for name in names] for cell in column], np.int64)
        for column in cells
    )
    found = measure("multilabel", wanted, rows, classes=len(names))
    return {name: float(value) for name, value in found.items()}


_TASKS: Mapping[str, Task] = {"classes": "classify", "labels": "multilabel", "numbers": "regress"}
"""Kind of a metric -> the task whose resampled scores are the metric's."""


def headline_interval(
    metric: Metric, gold: Sequence[str], predicted: Sequence[Sequence[str]], score: float,
    groups: Sequence[str] = (),
) -> tuple[float, float] | None:  # fmt: skip
    """Return the 95 % interval of the headline score, as the mean over seeds.

    Args:
        metric: the metric.
        gold: the N labels.
        predicted: N predictions of each seed.
        score: the headline score, which the resampled score must give on all rows.
        groups: the group of each row, resampled as a whole; empty: rows are resampled.

    Returns:
        None where the metric has another definition than the resampled score, such as macro F1
        over given classes of which one does not occur.
    """
    task = _TASKS.get(metric.kind)
    if task is None:
        return None
    classes = sorted({each for cells in (gold, *predicted) for cell in cells
                      for each in (parts(cell) if task == "multilabel" else [cell])})  # fmt: skip
    labels = _as_numbers(task, gold, classes)
    found = np.stack([_as_numbers(task, cells, classes) for cells in predicted])
    count = len(classes)
    whole = measure(task, labels, found, classes=count, scale=metric.scale)
    if metric.headline not in whole or abs(float(whole[metric.headline].mean()) - score) > 1e-9:
        return None
    numbered = np.unique([*groups], return_inverse=True)[1] if groups else None
    ends = bootstrap(
        task, labels, found, classes=count, scale=metric.scale, seed=0,
        groups=usable_groups(None if numbered is None else np.asarray(numbered, np.int64)),
    )  # fmt: skip
    return ends[metric.headline]


def _as_numbers(task: Task, cells: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Return cells as numbers of classes, as 0 and 1 for each class, or as numbers."""
    if task == "regress":
        return np.array([float(cell) for cell in cells])
    if task == "multilabel":
        known = [set(parts(cell)) for cell in cells]
        return np.array([[name in own for name in classes] for own in known], np.int64)
    numbers = {name: k for k, name in enumerate(classes)}
    return np.array([numbers[cell] for cell in cells], np.int64)
