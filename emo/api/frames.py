"""The cells of a DataFrame as a table of text."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emo.errors import ManifestError
from emo.manifest.tables.text_table import TextTable, text_cell

if TYPE_CHECKING:
    import pandas as pd

FRAME = Path("DataFrame")
"""Path of a manifest that was made of a DataFrame and not saved."""


def text_table(frame: "pd.DataFrame") -> TextTable:
    """Return the cells of a DataFrame as text.

    Raises:
        ManifestError: it is no DataFrame, or two columns have one name.
    """
    if not (hasattr(frame, "columns") and hasattr(frame, "index")):
        raise ManifestError(f"expected a DataFrame, got {type(frame).__name__}")
    names = [str(name) for name in frame.columns]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ManifestError(f"{FRAME}: two columns are called {twice[0]!r}; rename one")
    columns: list[Any] = [frame.iloc[:, number] for number in range(len(names))]
    for number, values in enumerate(columns):
        if values.dtype in ("float16", "float32"):  # pandas would hand over the nearest float64
            columns[number] = values.to_numpy()
    origins = [f"row {number}" for number in range(1, len(frame) + 1)]
    cells = {
        name: [_cell(value, origin, name) for value, origin in zip(each, origins, strict=True)]
        for name, each in zip(names, columns, strict=True)
    }
    return TextTable(cells, origins)


def with_index(frame: "pd.DataFrame", columns: Mapping[str, str]) -> "pd.DataFrame":
    """Return a DataFrame whose index, where it says something, is made columns.

    Raises:
        ManifestError: it is no DataFrame.
    """
    if not (hasattr(frame, "columns") and hasattr(frame, "index")):
        raise ManifestError(f"expected a DataFrame, got {type(frame).__name__}")
    levels = [name for name in frame.index.names if name is not None]
    new = [name for name in levels if name not in frame.columns]
    if new:
        frame = frame.reset_index(new)
    labels = list(frame.index)
    is_id = not levels and labels and all(isinstance(label, str) for label in labels)
    if is_id and "id" not in [*frame.columns, *columns] and len(set(labels)) == len(labels):
        frame = frame.assign(id=labels)
    return frame


def _cell(value: Any, origin: str, column: str) -> str:
    """Return a value of a DataFrame as the text of a cell; a missing value is empty.

    Raises:
        ManifestError: it is a list, an object or bytes.
    """
    kind = type(value).__name__
    if kind in ("NAType", "NaTType"):
        return ""
    if kind in ("float16", "float32") and not float(value).is_integer():
        value = float(str(value))  # 0.1 and not the nearest float64, 0.10000000149
    elif hasattr(value, "item"):
        value = value.item()
    return text_cell(value, FRAME, origin, column)
