"""Check that gold labels fit a metric, before anything is computed."""

import math

from emo.errors import ScoreError, listed
from emo.manifest.tasks import parts
from emo.score.gold import Gold
from emo.score.metrics import Metric


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
