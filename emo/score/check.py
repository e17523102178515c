"""Whether gold is what a metric takes, said before anything is counted."""

import math

from emo.errors import ScoreError, listed
from emo.score.gold import Gold
from emo.score.metrics import Metric


def check_gold(gold: Gold, metric: Metric, name: str, classes: tuple[str, ...]) -> None:
    """Whether a metric can be counted on such labels.

    Args:
        gold: the labels.
        metric: what is asked for.
        name: of the metric.
        classes: all there are; none: those of gold.

    Raises:
        ScoreError: it cannot; the first clip at fault is named.
    """
    if (metric.kind in ("pairs", "spans")) != bool(gold.conversations):
        raise ScoreError(
            f"{gold.path}: --metric {name} needs "
            + ("labels of clips" if gold.conversations else "the JSON of conversations")
        )
    if classes and metric.kind != "classes":
        raise ScoreError(f"--classes: --metric {name} is not of classes; leave it out")
    known = set(classes)
    for clip_id, cell in gold.cells.items():
        if metric.kind == "numbers":
            _check_number(cell, f"{gold.path}: clip {clip_id!r}")
        elif classes and cell not in known:
            raise ScoreError(
                f"{gold.path}: clip {clip_id!r} is labelled {cell!r}, which is none of --classes "
                f"{listed(classes)}"
            )


def _check_number(cell: str, where: str) -> None:
    try:
        is_number = math.isfinite(float(cell))
    except ValueError:
        is_number = False
    if not is_number:
        raise ScoreError(
            f"{where}: expected a number as its label, got {cell!r}; leave it empty where "
            "nobody knows"
        )
