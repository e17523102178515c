"""Predictions of a chunk as Arrow tables, whose columns and types are those of every part."""

from typing import TYPE_CHECKING

import numpy as np

from emo.heads.data.targets import Target
from emo.heads.runs.run import Run
from emo.machine.untrusted.formulas import without_formula
from emo.predict.predicted import Predicted

if TYPE_CHECKING:
    import pyarrow


def recipe_words(run: Run) -> str:
    """Return the recipes that a run reads as ``name=fingerprint``, with commas."""
    return ", ".join(f"{name}={recipe.fingerprint}" for name, recipe in run.recipes.items())


def predictions_table(
    found: Predicted, target: Target, *, all_classes: bool, is_disarmed: bool
) -> "pyarrow.Table":
    """Return the predictions of one target with the columns of `emo predict`, and ``recipe``.

    Args:
        found: the predictions.
        target: the target.
        all_classes: whether the probabilities of more than 100 classes are all written.
        is_disarmed: whether cells that a spreadsheet would run as formulas get an apostrophe.
    """
    import pyarrow

    frame = found.frame(target, all_classes=all_classes)
    frame["recipe"] = recipe_words(found.run)
    columns = {}
    for name in frame.columns:
        cells = frame[name]
        is_number = name.startswith("p_") or (name == "prediction" and not target.classes)
        if is_number:
            kind = np.float64 if name.startswith("p_") else np.float32
            columns[name] = pyarrow.array(cells.to_numpy(kind))
            continue
        texts = [without_formula(cell) for cell in cells] if is_disarmed else list(cells)
        columns[name] = pyarrow.array(texts, pyarrow.string())
    return pyarrow.table(columns)


def failures_table(failures: dict[str, str]) -> "pyarrow.Table":
    """Return the clips without a prediction, as columns ``id`` and ``reason``."""
    import pyarrow

    return pyarrow.table(
        {
            "id": pyarrow.array(list(failures), pyarrow.string()),
            "reason": pyarrow.array(list(failures.values()), pyarrow.string()),
        }
    )
