"""The table of predictions of a run: one row for each clip (or pair of turns) and seed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from emo.heads.data.data import Split
from emo.heads.data.targets import Target
from emo.heads.metrics.ranked import MANY_CLASSES, MOST_PROBABLE, is_ranked, ranked
from emo.heads.metrics.scores import Scores
from emo.manifest.tasks import NONE, SEPARATOR

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "MANY_CLASSES", "MOST_PROBABLE", "prediction_columns", "prediction_frame",
    "probability_columns",
]  # fmt: skip


def prediction_frame(
    target: Target,
    scores: Mapping[str, Scores],
    splits: Mapping[str, Split],
    *,
    all_classes: bool = False,
) -> "pd.DataFrame":
    """Return the table of :func:`prediction_columns` as a pandas DataFrame."""
    import pandas as pd  # half a second to import

    return pd.DataFrame(prediction_columns(target, scores, splits, all_classes=all_classes))


def prediction_columns(
    target: Target,
    scores: Mapping[str, Scores],
    splits: Mapping[str, Split],
    *,
    all_classes: bool = False,
) -> dict[str, np.ndarray]:
    """Return the columns of the table of predictions, with a row for each labelled row and seed.

    The columns are ``id, split, seed, label, prediction`` and those of
    :func:`probability_columns`; with --top-classes, a row without tokens has an empty
    ``prediction``. Pairs have ``cause_id`` after ``id``, numbers have no probabilities, and
    ``dialogue`` is there if any clip has one. Probabilities are rounded to 6 digits, which do not
    depend on batches or on the number of threads.

    Args:
        target: the target.
        scores: its scores by split.
        splits: the clips by split.
        all_classes: whether the probabilities of all classes are kept, however many there are.
    """
    parts = []
    for split, found in scores.items():
        ids, count = _ids(target, splits[split], found), len(found.labels)
        for index, seed in enumerate(found.seeds):
            outputs = found.probabilities[index]
            parts.append({
                **ids,
                "split": np.full(count, split, dtype=object),
                "seed": np.full(count, seed),
                "label": _names(target, found.labels, found.others),
                "prediction": _names(target, found.predictions[index], [*found.others, ""]),
                **probability_columns(target.classes, outputs, all_classes=all_classes),
            })  # fmt: skip
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: np.concatenate([_column(part, name) for part in parts]) for name in names}


def probability_columns(
    classes: Sequence[str], probabilities: np.ndarray, *, all_classes: bool
) -> dict[str, np.ndarray]:
    """Return the columns of a table that hold probabilities, rounded to 6 digits.

    They are ``p_<class>`` for each class. Above 100 classes they are ``top1`` … ``top5``, the five
    most probable classes of each row, and ``p_top1`` … ``p_top5``, their probabilities.

    Args:
        classes: names of the C classes; none for a number.
        probabilities: float32 (rows, C), or the most probable ones, see
            :func:`emo.heads.metrics.ranked.ranked`.
        all_classes: whether the probabilities of all classes are kept, however many there are.
    """
    if not is_ranked(probabilities):
        if all_classes or len(classes) <= MANY_CLASSES:
            rounded = probabilities[:, : len(classes)].astype(np.float64).round(6)
            return {f"p_{name}": rounded[:, column] for column, name in enumerate(classes)}
        probabilities = ranked(probabilities)
    names = np.array(classes, dtype=object)[probabilities["class"]]
    shares = probabilities["share"].astype(np.float64).round(6)
    return {
        name: column
        for rank in range(MOST_PROBABLE)
        for name, column in (
            (f"top{rank + 1}", names[:, rank]), (f"p_top{rank + 1}", shares[:, rank]),
        )
    }  # fmt: skip


def _column(part: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Return a column of one split's table; None in each row if the split lacks the column."""
    return part[name] if name in part else np.full(len(part["id"]), None, dtype=object)


def _ids(target: Target, split: Split, found: Scores) -> dict[str, np.ndarray]:
    """Return the columns that say which clip (or pair of turns) each row is about."""
    rows = np.arange(len(found.labels)) if found.rows is None else found.rows
    ids = np.array(split.ids, dtype=object)
    found_ids = {}
    if target.task == "pairs" and split.batch.pairs is not None:
        pairs = split.batch.pairs.numpy()[rows]
        rows, found_ids["cause_id"] = pairs[:, 0], ids[pairs[:, 1]]
    found_ids = {"id": ids[rows], **found_ids}
    if split.dialogues:
        found_ids["dialogue"] = np.array(split.dialogues, dtype=object)[rows]
    return found_ids


def _names(target: Target, labels: np.ndarray, others: Sequence[str] = ()) -> np.ndarray:
    """Return labels or predictions as the manifest's cells would name them.

    Args:
        target: the target.
        labels: labels or predictions, see :class:`Scores`.
        others: names of further classes that labels have.
    """
    if target.task == "regress":
        return labels.astype(np.float64).round(6)
    if target.task == "multilabel":
        names = np.array(target.classes, dtype=object)
        cells = [SEPARATOR.join(names[row > 0]) or NONE for row in labels]
        return np.array(cells, dtype=object)
    names = np.array([*target.classes, *others], dtype=object)
    found: np.ndarray = names[labels]
    return found
