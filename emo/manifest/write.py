"""Write a table of text cells as CSV, TSV, JSONL or Parquet, chosen by extension."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from emo.errors import ManifestError
from emo.machine.whole_file import whole_file
from emo.manifest.rows import extension
from emo.manifest.tables.table_bytes import MOST_ROW_BYTES, has_long_line


def write_rows(
    path: Path, columns: Mapping[str, Sequence[str]], *, origins: Sequence[str] = ()
) -> None:
    """Write a table in the format of its extension; writing the same table again changes nothing.

    Args:
        path: the file.
        columns: column name -> cells.
        origins: where each row comes from, for error messages; empty: rows are named by number.

    Raises:
        ManifestError: a cell or row is so long that the file could not be read again; the file
            exists with another content (it may have been edited by hand), or its folder does not
            exist, or the disk is full or broken.
    """
    kind = extension(path)
    if kind in (".csv", ".tsv"):
        _check_cells(columns, origins, path)
    data = render_rows(kind, columns)
    if kind != ".parquet" and has_long_line(data):
        raise ManifestError(
            f"{path}: not written, because a row of it would have more than {MOST_ROW_BYTES:,} "
            "bytes, the most that is read; shorten its cells"
        )
    if path.exists():
        if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
            return
        raise ManifestError(
            f"{path} exists and differs from what would be written (it may have been edited); "
            "choose another --out, or delete it"
        )
    if not path.parent.is_dir():
        raise ManifestError(f"{path}: the folder {path.parent} does not exist; make it first")
    with whole_file(path, ManifestError) as unfinished:
        unfinished.write_bytes(data)


def _check_cells(columns: Mapping[str, Sequence[str]], origins: Sequence[str], path: Path) -> None:
    """Raise ManifestError for a cell that Python's reader of CSV refuses for its length."""
    most = csv.field_size_limit()
    for name, cells in columns.items():
        for row, cell in enumerate(cells):
            if len(cell) > most:
                origin = origins[row] if origins else f"row {row + 1}"
                raise ManifestError(
                    f"{origin}: its {name} has {len(cell):,} letters, and a cell of {path.name} "
                    f"can have {most:,}; shorten it there, or write a manifest that ends in .jsonl"
                )


def render_rows(kind: str, columns: Mapping[str, Sequence[str]]) -> bytes:
    """Return the bytes of a table in the format of an extension such as ``.csv``."""
    if kind == ".parquet":
        import pyarrow
        import pyarrow.parquet

        sink = pyarrow.BufferOutputStream()
        text = {name: pyarrow.array(cells, pyarrow.string()) for name, cells in columns.items()}
        pyarrow.parquet.write_table(pyarrow.table(text), sink)
        return bytes(sink.getvalue().to_pybytes())
    lines = list(zip(*columns.values(), strict=True))
    if kind in (".jsonl", ".ndjson"):
        documents = (dict(zip(columns, line, strict=True)) for line in lines)
        return "".join(json.dumps(d, ensure_ascii=False) + "\n" for d in documents).encode()
    text_file = io.StringIO(newline="")
    # Python before 3.13 does not quote a lone carriage return, which is then read as a new row
    has_returns = any("\r" in cell for line in lines for cell in line)
    writer = csv.writer(
        text_file,
        delimiter="\t" if kind == ".tsv" else ",",
        lineterminator="\n",
        quoting=csv.QUOTE_ALL if has_returns else csv.QUOTE_MINIMAL,
    )
    writer.writerow(columns)
    writer.writerows(lines)
    return text_file.getvalue().encode()
