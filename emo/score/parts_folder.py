"""Read the folder of Parquet parts that `emo predict --out FOLDER/` writes, as one table."""

import re
from collections.abc import Sequence
from pathlib import Path

from emo.errors import ScoreError
from emo.manifest.rows import TextTable, read_rows

_RUN = re.compile(r"run=[0-9a-f]{16}")


def prediction_parts(path: Path) -> list[Path]:
    """Return the parts in a folder of predictions, sorted; none: it is no such folder.

    Args:
        path: a folder ``run=HASH``, or one that holds a single such folder.
    """
    if not path.is_dir():
        return []
    parts = sorted(path.glob("part-*.parquet"))
    runs = [each for each in path.iterdir() if _RUN.fullmatch(each.name) and each.is_dir()]
    return parts if parts or len(runs) != 1 else sorted(runs[0].glob("part-*.parquet"))


def read_parts(parts: Sequence[Path]) -> TextTable:
    """Read parts as one table; origins name the part and the row in it.

    Raises:
        ScoreError: the parts have different columns.
        ManifestError: a part cannot be read.
    """
    columns: dict[str, list[str]] = {}
    origins: list[str] = []
    for part in parts:
        rows = read_rows(part)
        if columns and list(rows.columns) != list(columns):
            raise ScoreError(
                f"{part}: expected the columns {', '.join(columns)}, as in {parts[0].name}; "
                f"found {', '.join(rows.columns)}"
            )
        for name, cells in rows.columns.items():
            columns.setdefault(name, []).extend(cells)
        origins += [f"{part.name}, {origin}" for origin in rows.origins]
    return TextTable(columns, origins)
