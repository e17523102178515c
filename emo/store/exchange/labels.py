"""Labels that stand beside features in a file: cells of a manifest."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

LABEL_NAMES = (
    "label", "labels", "class", "classes", "target", "targets", "y", "emotion", "emo", "emotions",
    "sentiment", "valence", "arousal", "dominance", "gender", "sex", "age", "speaker", "split",
    "fold", "session", "turn", "dialogue", "subject", "actor",
)  # fmt: skip
"""Names of columns that are labels or facts of clips even if their cells are numbers."""
TIME_NAMES = (
    "frame", "frametime", "frame_time", "frameindex", "frame_index", "timestamp", "time", "start",
    "end", "duration", "confidence", "success", "face_id",
)  # fmt: skip
"""Names of columns that say where and how surely something was measured, not what."""

UNNAMED_COLUMN = "unnamed"
"""Name of a column without one, such as the row numbers that pandas writes."""
ROW_NAMES = (UNNAMED_COLUMN, "id", "ids", "index", "row")
"""Names of columns that tell rows apart."""

_LABEL_WORDS = {"label", "labels", "target", "targets", "onehot"}
_AFTER_Y = (
    "train", "tr", "val", "valid", "dev", "devel", "test", "te", "true", "onehot", "cat", "reg",
)  # fmt: skip
_CODES = ("id", "idx", "index", "code", "num")
_WIDEST = 64
"""Most columns of an array (N, C) of labels that become columns of a manifest."""


def is_label_name(name: str) -> bool:
    """Return whether an array or column is one of labels by its name.

    >>> [is_label_name(name) for name in ("y", "train_labels", "y_tr", "emotion_id")]
    [True, True, True, True]
    >>> [is_label_name(name) for name in ("pose_y", "y_mean", "emotion2vec")]
    [False, False, False]
    """
    words = [word for word in re.split(r"[\W_]+", name.rpartition("/")[2].lower()) if word]
    if not words:
        return False
    is_y = words[0] == "y" and all(w in _AFTER_Y or w in LABEL_NAMES for w in words[1:])
    is_code = words[0] in LABEL_NAMES and words[-1] in _CODES
    return "_".join(words) in LABEL_NAMES or is_y or is_code or bool(_LABEL_WORDS & {*words})


def label_columns(name: str, width: int) -> list[str]:
    """Return the names of the columns of labels (N, C); []: they are too many for a manifest.

    >>> label_columns("y", 1), label_columns("y", 2), label_columns("y", 1000)
    (['y'], ['y_0', 'y_1'], [])
    """
    if width > _WIDEST:
        return []
    return [name] if width == 1 else [f"{name}_{column}" for column in range(width)]


def cell_text(value: Any) -> str:
    """Return a value of another tool as a cell of a manifest.

    >>> cell_text(np.float32(2.0)), cell_text(None), cell_text(b"joy"), cell_text(float("nan"))
    ('2', '', 'joy', 'nan')
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return str(int(value))
    return str(value)


def cells_of_columns(
    ids: Sequence[str], columns: Mapping[str, Iterable[Any]]
) -> dict[str, dict[str, str]]:
    """Return clip id -> column -> cell from columns of N values; {}: there are no columns."""
    if not columns:
        return {}
    names = list(columns)
    rows = zip(*(map(cell_text, columns[name]) for name in names), strict=True)
    return {i: dict(zip(names, row, strict=True)) for i, row in zip(ids, rows, strict=True)}
