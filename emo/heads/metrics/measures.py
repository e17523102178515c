"""All scores of each task, for many resamples at once, and the headline score of each task."""

from collections.abc import Mapping

import numpy as np

from emo.errors import plural
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
    counts = metrics.class_counts(gold, predicted, classes)
    return _class_scores(task, counts)


def headline(
    task: Task, gold: np.ndarray, predicted: np.ndarray, *, classes: int, name: str = ""
) -> float:
    """Return the score by which rounds are chosen; higher is better.

    Args:
        task: what labels and predictions are.
        gold: labels, all known: classes or numbers (rows,), or 0 and 1 (rows, C).
        predicted: predictions of the same shape.
        classes: number of classes C.
        name: name of the score; empty: the usual one of the task.
    """
    if task == "regress":
        return -float(np.abs(gold - predicted).mean())
    return float(measure(task, gold, predicted, classes=classes)[name or HEADLINES[task]])


def pair_scores(counts: metrics.Counts) -> dict[str, np.ndarray]:
    """Return the scores of SemEval-2024 Task 3, subtask 2, each (…).

    Class 0, no pair, is not scored; classes are weighted by their shares of true pairs.

    Args:
        counts: pairs by class, (…, C) each, or a table (…, C, C) by true and predicted class.
    """
    hits, gold, predicted = (each[..., 1:] for each in metrics.counts_of(counts))
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
    return {name: metrics.interval_of(values) for name, values in found.items()}


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
        found = _resampled_classes(task, gold, predicted, classes, groups, random)
    else:
        found = _resampled_rows(task, gold, predicted, classes, scale, groups, random)
    return {name: np.mean([values[name] for values in found], axis=0) for name in found[0]}


def _resampled_classes(
    task: Task, gold: np.ndarray, predicted: np.ndarray, classes: int, groups: np.ndarray | None,
    random: np.random.Generator,
) -> list[dict[str, np.ndarray]]:  # fmt: skip
    """Return, for each seed, the scores of class predictions on all resamples, (RESAMPLES,)."""
    names, of = np.unique(np.arange(len(gold)) if groups is None else groups, return_inverse=True)
    together = max(1, metrics.DRAWN_CELLS // max(len(gold), len(names)))
    shares = np.full(len(names), 1 / len(names))
    true = _ClassSums(gold, classes)
    hits = [_ClassSums(gold, classes, is_counted=gold == row) for row in predicted]
    found = [_ClassSums(row, classes) for row in predicted]
    parts: list[list[dict[str, np.ndarray]]] = [[] for _ in predicted]
    for start in range(0, metrics.RESAMPLES, together):
        drawn = random.multinomial(len(names), shares, min(together, metrics.RESAMPLES - start))
        times = drawn[:, of]  # (resamples, rows): how often each row was drawn
        of_gold = true.sum(times)
        for index, part in enumerate(parts):
            counts = metrics.ClassCounts(hits[index].sum(times), of_gold, found[index].sum(times))
            part.append(_class_scores(task, counts))
    return [
        {name: np.concatenate([each[name] for each in part]) for name in part[0]} for part in parts
    ]


def _class_scores(task: Task, counts: metrics.Counts) -> dict[str, np.ndarray]:
    """Return all scores of classes or pairs, each (…)."""
    if task == "pairs":
        return pair_scores(counts)
    return {name: metric(counts) for name, metric in metrics.CLASS_METRICS.items()}


class _ClassSums:
    """Sums rows of numbers by class, quickly for many tables of numbers in turn."""

    def __init__(
        self, labels: np.ndarray, classes: int, *, is_counted: np.ndarray | None = None
    ) -> None:
        """Sort the rows by class.

        Args:
            labels: int (rows,), class of each row.
            classes: number of classes C.
            is_counted: bool (rows,), False for rows that are not summed; None: all are.
        """
        kept = np.arange(len(labels)) if is_counted is None else np.flatnonzero(is_counted)
        self._order = kept[np.argsort(labels[kept], kind="stable")]
        self._present, self._starts = np.unique(labels[self._order], return_index=True)
        self._classes = classes

    def sum(self, numbers: np.ndarray) -> np.ndarray:
        """Sum int64 (…, rows) -> int64 (…, C)."""
        found = np.zeros((*numbers.shape[:-1], self._classes), dtype=np.int64)
        if len(self._order):
            sums = np.add.reduceat(numbers[..., self._order], self._starts, axis=-1)
            found[..., self._present] = sums
        return found


def _resampled_rows(
    task: Task, gold: np.ndarray, predicted: np.ndarray, classes: int, scale: str,
    groups: np.ndarray | None, random: np.random.Generator,
) -> list[dict[str, np.ndarray]]:  # fmt: skip
    """Return, for each seed, all scores on all resamples, (RESAMPLES,), of any task."""
    found: list[list[dict[str, np.ndarray]]] = [[] for _ in predicted]
    for _ in range(metrics.RESAMPLES):
        rows = _drawn(len(gold), groups, random)
        for part, one in zip(found, predicted, strict=True):
            part.append(measure(task, gold[rows], one[rows], classes=classes, scale=scale))
    return [{name: np.array([each[name] for each in part]) for name in part[0]} for part in found]


def _drawn(count: int, groups: np.ndarray | None, random: np.random.Generator) -> np.ndarray:
    """Draw the rows of one resample: ``count`` rows, or as many groups as there are."""
    if groups is None:
        return random.integers(0, count, count)
    order = np.argsort(groups, kind="stable")
    _, starts = np.unique(groups[order], return_index=True)
    parts = np.split(order, starts[1:])
    return np.concatenate([parts[k] for k in random.integers(0, len(parts), len(parts))])


def usable_groups(groups: np.ndarray | None) -> np.ndarray | None:
    """Return groups, int64 (rows,), that can be resampled; None: there is at most one group."""
    if groups is None or len(np.unique(groups)) < 2:
        return None
    return groups


def drawn_words(over: str, rows: int, groups: np.ndarray | None) -> str:
    """Return what an interval is drawn over, in words.

    >>> drawn_words("dialogue", 4, np.array([0, 0, 1, 1])), drawn_words("dialogue", 4, None)
    ('2 dialogues', '4 clips')

    Args:
        over: ``clip``, ``dialogue`` or a column of the manifest, maybe with ``@`` before it.
        rows: number of scored rows.
        groups: int64 (rows,), group of each row; None: rows are resampled.
    """
    if groups is None:
        return plural(rows, "clip")
    count = len(np.unique(groups))
    return f"{count:,} {values_words(over)}" if over.startswith("@") else plural(count, over)


def values_words(over: str) -> str:
    """Return the plural of what an interval is drawn over.

    >>> values_words("dialogue"), values_words("@clip")
    ('dialogues', 'values of clip')
    """
    return f"values of {over[1:]}" if over.startswith("@") else f"{over}s"


TITLES = {
    "weighted_f1": "weighted F1", "macro_f1": "macro F1", "uar": "UAR", "accuracy": "accuracy",
    "micro_f1": "micro F1", "precision": "precision", "recall": "recall", "mae": "MAE",
    "pearson": "Pearson", "has0_accuracy": "Has0 Acc-2", "has0_f1": "Has0 F1",
    "non0_accuracy": "Non0 Acc-2", "non0_f1": "Non0 F1", "accuracy_7": "Acc-7",
    "accuracy_5": "Acc-5", "accuracy_3": "Acc-3", "accuracy_2": "Acc-2", "f1": "F1",
    "r@1": "R@1", "r@5": "R@5", "r@10": "R@10", "medr": "MedR", "meanr": "MeanR",
}  # fmt: skip
"""Titles of the scores in tables; others are shown by their names."""


def title_of(name: str) -> str:
    """Return the title of a score in tables.

    >>> title_of("uar"), title_of("geometric_mean")
    ('UAR', 'geometric mean')
    """
    return TITLES.get(name, name.replace("_", " "))
