"""Zero-shot classes: a vector for each class from its prompts, and probabilities of clips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

import numpy as np

from emo.errors import OptionError
from emo.heads.labels import Task
from emo.predict.similarity.ranking import score_table
from emo.predict.similarity.vectors import NEAR, Vectors, exact_scores, vectors_of
from emo.ragged import Ragged, offsets_of

USUAL_SCALE = 100.0
"""Factor of cosines before the softmax where the weights have none of their own: CLIP's."""


@dataclass(frozen=True)
class Calibration:
    """How cosines become probabilities."""

    scale: float = USUAL_SCALE
    """Factor of the cosines."""
    bias: float = 0.0
    """What is added to the scaled cosines."""
    is_sigmoid: bool = False
    """Whether each class has a probability of its own; False: softmax over the classes."""
    is_known: bool = False
    """Whether the weights have such a factor; False: it is :data:`USUAL_SCALE`."""

    def probabilities(self, cosines: np.ndarray) -> np.ndarray:
        """Return float32 (N, C), probabilities of float32 (N, C) cosines."""
        logits = cosines.astype(np.float64) * self.scale + self.bias
        if self.is_sigmoid:
            shares = 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
        else:
            shares = np.exp(logits - logits.max(1, keepdims=True))
            shares /= shares.sum(1, keepdims=True)
        found: np.ndarray = shares.astype(np.float32)
        return found


def calibration_of(facts: Mapping[str, Any], stream: str) -> Calibration:
    """Return the calibration that the facts of a recipe hold for a stream."""
    scale, bias = (_number(facts.get(name), stream) for name in ("logit_scale", "logit_bias"))
    kind = facts.get("probability")
    kind = kind.get(stream) if isinstance(kind, dict) else kind
    if scale is None:
        return Calibration()
    return Calibration(exp(min(scale, 100.0)), bias or 0.0, kind == "sigmoid", True)


def class_vectors(prompts: Vectors, counts: Sequence[int], classes: Sequence[str]) -> Vectors:
    """Return a vector for each class: the mean of its prompts, each scaled to length 1.

    Args:
        prompts: vectors of all prompts, class by class.
        counts: number of prompts of each class.
        classes: names of the classes.
    """
    tokens = Ragged(prompts.rows.astype(np.float32), offsets_of(np.asarray(counts)))
    return vectors_of(tokens, classes, name="prompts")


def class_cosines(clips: Vectors, classes: Vectors) -> np.ndarray:
    """Return float32 (N, C): cosines of clips and classes, exact where the best nearly tie."""
    table = np.ascontiguousarray(score_table(classes, clips).T)
    near = table >= table.max(1, keepdims=True) - NEAR
    tied = np.flatnonzero(near.sum(1) > 1)
    rows, columns = np.nonzero(near[tied])
    rows = tied[rows]
    table[rows, columns] = exact_scores(classes, clips, (columns, rows))
    return table


def average_precisions(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return float64 (C,), the average precision of each class; NaN for one without clips.

    Args:
        scores: float (N, C).
        labels: int (N, C) of 0 and 1.
    """
    order = np.argsort(-scores, axis=0, kind="stable")
    hits = np.take_along_axis(labels, order, 0).astype(np.float64)
    precision = np.cumsum(hits, 0) / np.arange(1, len(hits) + 1)[:, None]
    total = hits.sum(0)
    found: np.ndarray = np.divide(
        (precision * hits).sum(0), total, out=np.full(len(total), np.nan), where=total > 0
    )
    return found


def class_labels(cells: Sequence[str], classes: Sequence[str]) -> tuple[Task, np.ndarray]:
    """Return the task and int64 labels: (N,) classes, or (N, C) of 0 and 1 for several labels.

    Raises:
        OptionError: a label is none of the classes.
    """
    numbers = {name: k for k, name in enumerate(classes)}
    several = [[part.strip() for part in cell.split("|")] for cell in cells]
    unknown = {part for parts in several for part in parts} - numbers.keys() - {"none"}
    if unknown:
        raise OptionError(
            f"the label {min(unknown)!r} is none of the classes {', '.join(classes)}; name all "
            "classes with --classes, or other labels with --target"
        )
    if all(len(parts) == 1 and parts[0] in numbers for parts in several):
        return "classify", np.array([numbers[parts[0]] for parts in several], np.int64)
    table = np.zeros((len(cells), len(classes)), np.int64)
    for k, parts in enumerate(several):
        table[k, [numbers[part] for part in parts if part in numbers]] = 1
    return "multilabel", table


def _number(value: object, stream: str) -> float | None:
    """Return a fact that is a number, or one by stream; None: it is not known.

    A store of an earlier version has no number of its stream; that of the text tower is the same.
    """
    if isinstance(value, dict):
        value = value.get(stream, value.get("text"))
    return float(value) if isinstance(value, int | float) else None
