"""Check that gold labels fit a metric, before anything is computed."""

import math
from collections.abc import Collection

from emo.errors import ScoreError, listed
from emo.manifest.missing import missing_fault
from emo.manifest.tasks import number_fault, parts
from emo.score.metrics import Metric
from emo.score.readers.gold import Gold


def check_gold(gold: Gold, metric: Metric, name: str, classes: tuple[str, ...]) -> None:
    """Check that a metric can be computed on the given labels.

    Args:
        gold: the labels.
        metric: the metric.
        name: name of the metric.
        classes: all classes that exist; empty: those in gold.

    Raises:
        ScoreError: it cannot be computed; the first unsuitable clip is named.
    """
    if (metric.kind in ("pairs", "spans")) != bool(gold.conversations):
        raise ScoreError(
            f"{gold.path}: --metric {name} needs "
            + ("labels of clips" if gold.conversations else "the JSON of conversations")
        )
    if classes and metric.kind not in ("classes", "labels"):
        raise ScoreError(f"--classes: --metric {name} does not score classes; leave it out")
    known = set(classes)
    for clip_id, cell in gold.cells.items():
        if metric.kind == "numbers":
            _check_number(cell, f"{gold.path}: clip {clip_id!r}")
        odd = [c for c in (parts(cell) if metric.kind == "labels" else [cell]) if c not in known]
        if classes and odd:
            raise ScoreError(
                f"{gold.path}: clip {clip_id!r} is labelled {odd[0]!r}, which is none of --classes "
                f"{listed(classes)}"
            )


def check_labels(gold: Gold, metric: Metric, known: Collection[str] | None) -> None:
    """Check that gold's classes are classes, where nobody said so: neither a metric nor classes.

    Args:
        gold: the labels.
        metric: the metric that the labels suggest.
        known: classes of the runs that are scored; None: no run is scored.

    Raises:
        ScoreError: most labels are numbers, or some are words for a missing value such as ``nan``.
    """
    if metric.kind not in ("classes", "labels"):
        return
    column = gold.column or "label"
    fault = ""
    if known is None:
        remedy = "--metric weighted_f1 or --metric regression"
        fault = number_fault(column, gold.cells, remedy=remedy)
    task = "multilabel" if metric.kind == "labels" else "classify"
    cells = {clip_id: cell for clip_id, cell in gold.cells.items() if cell not in (known or ())}
    fault = fault or missing_fault(column, task, cells, remedy="--classes or --metric")
    if fault:
        raise ScoreError(f"{gold.path}: {fault}")


def _check_number(cell: str, where: str) -> None:
    """Raise ScoreError unless a cell is a finite number."""
    try:
        is_number = math.isfinite(float(cell))
    except ValueError:
        is_number = False
    if not is_number:
        raise ScoreError(
            f"{where}: expected a number as its label, got {cell!r}; leave the cell empty if "
            "the label is unknown"
        )
