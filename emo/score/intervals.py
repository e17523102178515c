"""Bootstrap interval of the score that ranks predictions, over dialogues, speakers or clips."""

from collections.abc import Mapping, Sequence

import numpy as np

from emo.heads.labels import Task
from emo.heads.metrics.measures import bootstrap, measure, usable_groups
from emo.manifest.tasks import parts
from emo.score.metrics import Metric

TOGETHER = ("dialogue", "speaker")
"""Columns of gold whose values are resampled as a whole; the first that is there counts."""
_TASKS: Mapping[str, Task] = {"classes": "classify", "labels": "multilabel", "numbers": "regress"}


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
    labels = _numbers(task, gold, classes)
    found = np.stack([_numbers(task, cells, classes) for cells in predicted])
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


def _numbers(task: Task, cells: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Return cells as numbers of classes, as 0 and 1 for each class, or as numbers."""
    if task == "regress":
        return np.array([float(cell) for cell in cells])
    if task == "multilabel":
        known = [set(parts(cell)) for cell in cells]
        return np.array([[name in own for name in classes] for own in known], np.int64)
    place = {name: k for k, name in enumerate(classes)}
    return np.array([place[cell] for cell in cells], np.int64)
