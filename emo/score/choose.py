"""Choose the metric and the allowed classes of a file of predictions or a run."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from emo.errors import EmoError
from emo.manifest.tasks import parts
from emo.score.metrics import Metric, metric_of_labels
from emo.score.readers.gold import Gold
from emo.score.readers.run_folder import is_run, task_and_classes

_METRIC_OF_TASK = {"multilabel": "multilabel", "regress": "regression", "classify": "weighted_f1"}
"""Task of a run's target -> the usual metric."""


def usual_metric(paths: Sequence[Path], gold: Gold, target: str | None) -> str:
    """Return the name of the usual metric: by the task of the runs, else by the labels.

    Args:
        paths: the files and runs.
        gold: the labels.
        target: the target of runs; None: the first target of each.
    """
    if gold.conversations or gold.has_several_labels:
        return gold.metric
    tasks = set()
    for path in paths:
        with contextlib.suppress(EmoError, OSError, ValueError, KeyError, TypeError):
            tasks.add(task_and_classes(path, target)[0] if is_run(path) else "")
    task = next(iter(tasks)) if len(tasks) == 1 else ""
    return _METRIC_OF_TASK.get(task, gold.metric)


def classes_of_runs(paths: Sequence[Path], target: str | None) -> set[str] | None:
    """Return the classes of all runs among the paths; None: no run is among them."""
    runs = [path for path in paths if is_run(path)]
    found: set[str] = set()
    for path in runs:
        with contextlib.suppress(EmoError, OSError, ValueError, KeyError, TypeError):
            found.update(task_and_classes(path, target)[1])
    return found if runs else None


def metric_for(path: Path | None, gold: Gold, metric: Metric, target: str | None) -> Metric:
    """Return the metric, in its form for several labels if a file or run predicts several."""
    task = task_and_classes(path, target)[0] if path and is_run(path) else ""
    is_multilabel = task == "multilabel" or gold.has_several_labels
    return metric_of_labels(metric) if is_multilabel else metric


def allowed_classes(
    path: Path,
    gold: Gold,
    metric: Metric,
    target: str | None,
    *,
    given: tuple[str, ...],
    is_open: bool,
) -> tuple[str, ...] | None:
    """Return the classes that may be predicted: the given ones, else those of gold and the run.

    Args:
        path: the file or run.
        gold: the labels.
        metric: the metric.
        target: the target of the run; None: its first.
        given: all classes that exist, as the user names them; empty: not named.
        is_open: whether any class may be predicted.

    Returns:
        The classes; None: any class, or numbers.
    """
    if metric.kind == "numbers" or (is_open and not given):
        return None
    if given:
        return given
    cells = gold.cells.values()
    known = {
        name for cell in cells for name in (parts(cell) if metric.kind == "labels" else [cell])
    }
    of_run = task_and_classes(path, target)[1] if is_run(path) else ()
    return tuple(sorted(known.union(of_run)))
