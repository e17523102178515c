"""The table of predictions of a run: one row for each clip (or pair of turns) and seed."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from emo.heads.data.data import Split
from emo.heads.data.targets import Target
from emo.heads.metrics.scores import Scores
from emo.manifest.tasks import NONE, SEPARATOR

if TYPE_CHECKING:
    import pandas as pd


def prediction_frame(
    target: Target, scores: Mapping[str, Scores], splits: Mapping[str, Split]
) -> "pd.DataFrame":
    """Return the table of :func:`prediction_columns` as a pandas DataFrame."""
    import pandas as pd  # half a second to import

    return pd.DataFrame(prediction_columns(target, scores, splits))


def prediction_columns(
    target: Target, scores: Mapping[str, Scores], splits: Mapping[str, Split]
) -> dict[str, np.ndarray]:
    """Return the columns of the table of predictions, with a row for each labelled row and seed.

    The columns are ``id, split, seed, label, prediction`` and ``p_<class>``. Pairs have
    ``cause_id`` after ``id``, numbers have no ``p_<class>``, and ``dialogue`` is there if any clip
    has one. Probabilities are rounded to 6 digits, which do not depend on batches or on the number
    of threads.

    Args:
        target: the target.
        scores: its scores by split.
        splits: the clips by split.
    """
    parts = []
    for split, found in scores.items():
        ids, count = _ids(target, splits[split], found), len(found.labels)
        for index, seed in enumerate(found.seeds):
            rounded = found.probabilities[index].astype(np.float64).round(6)
            parts.append({
                **ids,
                "split": np.full(count, split, dtype=object),
                "seed": np.full(count, seed),
                "label": _names(target, found.labels),
                "prediction": _names(target, found.predictions[index]),
                **{f"p_{name}": rounded[:, column] for column, name in enumerate(target.classes)},
            })  # fmt: skip
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: np.concatenate([_column(part, name) for part in parts]) for name in names}


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


def _names(target: Target, labels: np.ndarray) -> np.ndarray:
    """Return labels or predictions as the manifest's cells would name them."""
    if target.task == "regress":
        return labels.astype(np.float64).round(6)
    names = np.array(target.classes, dtype=object)
    if target.task == "multilabel":
        cells = [SEPARATOR.join(names[row > 0]) or NONE for row in labels]
        return np.array(cells, dtype=object)
    found: np.ndarray = names[labels]
    return found
