"""Whether gold and predictions are what a metric takes, said before anything is counted."""

from pathlib import Path

from emo.errors import ScoreError
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
    for clip_id, cell in gold.cells.items():
        if metric.kind == "numbers":
            _check_number(cell, f"{gold.path}: clip {clip_id!r}")
        elif classes and cell not in classes:
            raise ScoreError(
                f"{gold.path}: clip {clip_id!r} is labelled {cell!r}, which is none of --classes "
                f"{','.join(classes)}"
            )


def check_conversations(document: object, path: Path) -> None:
    """Whether a JSON document is conversations with pairs, each once.

    Raises:
        ScoreError: it is not.
    """
    if not isinstance(document, list) or not all(
        isinstance(one, dict) and {"conversation_ID", "emotion-cause_pairs"} <= one.keys()
        for one in document
    ):
        raise ScoreError(
            f'{path}: expected [{{"conversation_ID": 1, "emotion-cause_pairs": [["3_joy", "2"]]}}, '
            "…] as SemEval-2024 Task 3 takes it"
        )
    numbers = [one["conversation_ID"] for one in document]
    twice = next((number for number in numbers if numbers.count(number) > 1), None)
    if twice is not None:
        raise ScoreError(f"{path}: conversation {twice} stands {numbers.count(twice)} times")


def _check_number(cell: str, where: str) -> None:
    try:
        float(cell)
    except ValueError as error:
        raise ScoreError(f"{where}: expected a number as its label, got {cell!r}") from error
