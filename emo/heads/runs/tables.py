"""The CSV files of a run folder, written without pandas, which takes half a second to import."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

Column = Sequence[object] | np.ndarray


def write_table(path: Path, columns: Mapping[str, Column]) -> None:
    """Equally long columns, as ``DataFrame.to_csv(index=False)`` writes them; None, NaN: empty."""
    cells = [
        column.tolist() if isinstance(column, np.ndarray) else column for column in columns.values()
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows(zip(*map(_filled, cells), strict=True))


def _filled(cells: Sequence[object]) -> list[object]:
    return ["" if isinstance(cell, float) and math.isnan(cell) else cell for cell in cells]
