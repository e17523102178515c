"""The table of predictions of a run: one row a clip (or pair) and seed."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from emo.heads.data.data import Split
from emo.heads.data.targets import NONE, SEPARATOR, Target
from emo.heads.metrics.scores import Scores

if TYPE_CHECKING:
    import pandas as pd


def prediction_frame(
    target: Target, scores: Mapping[str, Scores], splits: Mapping[str, Split]
) -> "pd.DataFrame":
    """The same as :func:`prediction_columns`."""
    import pandas as pd  # half a second to import

    return pd.DataFrame(prediction_columns(target, scores, splits))


def prediction_columns(
    target: Target, scores: Mapping[str, Scores], splits: Mapping[str, Split]
) -> dict[str, np.ndarray]:
    """``id, split, seed, label, prediction`` and ``p_<class>`` of every labelled row and seed.

    Pairs have ``cause_id`` after ``id``, numbers no probabilities; ``dialogue`` is there if any
    clip has one. Probabilities are rounded to 6
    digits: as many as differ neither by neighbours nor threads.
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
    """None in each row of a split that has no such column."""
    return part[name] if name in part else np.full(len(part["id"]), None, dtype=object)


def _ids(target: Target, split: Split, found: Scores) -> dict[str, np.ndarray]:
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
    """As a manifest's cells would say it."""
    if target.task == "regress":
        return labels.astype(np.float64).round(6)
    names = np.array(target.classes, dtype=object)
    if target.task == "multilabel":
        cells = [SEPARATOR.join(names[row > 0]) or NONE for row in labels]
        return np.array(cells, dtype=object)
    found: np.ndarray = names[labels]
    return found
