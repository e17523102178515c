"""The table of predictions of a run: one row a clip (or pair) and seed."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from emo.heads.data import Split
from emo.heads.scores import Scores
from emo.heads.targets import NONE, SEPARATOR, Target

if TYPE_CHECKING:
    import pandas as pd


def predictions_of(
    target: Target, scores: Mapping[str, Scores], splits: Mapping[str, Split]
) -> "pd.DataFrame":
    """``id, split, seed, label, prediction`` and ``p_<class>`` of every labelled row and seed.

    Pairs have ``cause_id`` after ``id``, numbers no probabilities; ``dialogue`` is there if any
    clip has one. Probabilities are rounded to 6
    digits: as many as differ neither by neighbours nor threads.
    """
    import pandas as pd  # a second to import

    tables = []
    for split, found in scores.items():
        ids = _ids(target, splits[split], found)
        for place, seed in enumerate(found.seeds):
            table = pd.DataFrame(ids)
            table["split"], table["seed"] = split, seed
            table["label"] = _names(target, found.labels)
            table["prediction"] = _names(target, found.predictions[place])
            rounded = found.probabilities[place].astype(np.float64).round(6)
            for column, name in enumerate(target.classes):
                table[f"p_{name}"] = rounded[:, column]
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _ids(target: Target, split: Split, found: Scores) -> dict[str, Any]:
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
