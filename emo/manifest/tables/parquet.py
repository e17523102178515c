"""Parse Parquet: whole tables, or some rows at a time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emo.errors import ManifestError
from emo.machine.untrusted.budget import Budget
from emo.machine.untrusted.documents import shortened
from emo.machine.untrusted.foreign import foreign_file
from emo.manifest.tables.table_bytes import MOST_TABLE_BYTES
from emo.manifest.tables.text_table import check_header, check_size, text_cell

_FEW_CELLS = 256
"""Most different cells of a column in 1,024 rows for which equal ones become one object."""
_MOST_KNOWN = 2**16
"""Most cells that are remembered for that."""
MOST_REPEATED_ROWS = 10**6
"""Rows that a Parquet file may have even if it has less than a byte for each of them."""


def parse_parquet(data: bytes, path: Path) -> tuple[dict[str, list[str]], Sequence[str]]:
    """Parse Parquet; return column -> cells, and the position of each row.

    Equal cells of a batch are one object, so that a column of few labels takes little memory.
    """
    import pyarrow
    import pyarrow.parquet

    budget = Budget(MOST_TABLE_BYTES, str(path), "a file of fewer rows", ManifestError)
    with foreign_file(path, ManifestError, "not a Parquet file"):
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(data))
        names = file.schema_arrow.names
        check_rows(file, len(data), path)
        check_size(len(names), file.metadata.num_rows, path)
        origins = _RowOrigins(file.metadata.num_rows)
        columns: dict[str, list[str]] = {name: [] for name in names}
        known: dict[str, str] = {}
        for batch in file.iter_batches(batch_size=1024):  # a text may stand in many rows
            for name, cells in columns.items():
                values = batch.column(name).to_pylist()
                texts = [each for each in values if isinstance(each, str | bytes)]
                budget.take(sum(map(len, texts)), f"column {shortened(name, 60)}")
                if len(texts) < len(values) or bytes in {*map(type, texts)}:
                    values = [
                        each if type(each) is str else text_cell(each, path, f"row {row}", name)
                        for row, each in enumerate(values, start=len(cells) + 1)
                    ]
                if len(distinct := set(values)) <= _FEW_CELLS:
                    one = {cell: known.setdefault(cell, cell) for cell in distinct}
                    values = [one[cell] for cell in values]
                    known = known if len(known) < _MOST_KNOWN else {}
                cells += values
    return columns, origins


class _RowOrigins(Sequence[str]):
    """``row 1``, ``row 2`` …, built when they are read: as texts, two million take 130 MB."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int | slice) -> str | list[str]:  # type: ignore[override]
        numbers = range(1, self._count + 1)[index]
        if isinstance(numbers, range):
            return [f"row {number}" for number in numbers]
        return f"row {numbers}"


def check_rows(file: Any, size_bytes: int, path: Path) -> None:
    """Check the names of the columns, and the number of rows, of a Parquet file.

    Args:
        file: the file, a ``pyarrow.parquet.ParquetFile``.
        size_bytes: its size.
        path: its path, for error messages.

    Raises:
        ManifestError: two columns have one name, or the compressed file has far more rows than
            it has room for clips.
    """
    check_header(file.schema_arrow.names, path)
    rows, most = file.metadata.num_rows, max(MOST_REPEATED_ROWS, size_bytes)
    if rows > most:
        raise ManifestError(
            f"{path}: expected at most {most:,} rows in a file of {size_bytes:,} bytes, found "
            f"{rows:,}; a manifest has a row for each clip, and an id or a path in it"
        )


def cells_of_batch(batch: Any, path: Path, first: int) -> dict[str, list[str]]:
    """Return the text cells of some rows of a Parquet file by column.

    Args:
        batch: the rows, a ``pyarrow.RecordBatch``.
        path: the file, for error messages.
        first: number of the first row, from 1.
    """
    budget = Budget(MOST_TABLE_BYTES, str(path), "shorter texts", ManifestError)
    columns = {}
    for name in batch.schema.names:
        values = batch.column(name).to_pylist()
        texts = [each for each in values if isinstance(each, str | bytes)]
        budget.take(sum(map(len, texts)), f"column {shortened(name, 60)}")
        columns[name] = [
            each if type(each) is str else text_cell(each, path, f"row {row}", name)
            for row, each in enumerate(values, start=first)
        ]
    return columns
