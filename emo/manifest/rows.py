"""Read tables of text cells from CSV, TSV, JSONL, Parquet and Excel, chosen by extension."""

import hashlib
import os
from pathlib import Path

from emo.errors import ManifestError
from emo.machine.untrusted.addresses import url_of
from emo.machine.untrusted.foreign import foreign_file
from emo.manifest.tables.delimited import parse_delimited
from emo.manifest.tables.encoding import decode_text
from emo.manifest.tables.json_lines import parse_json_lines
from emo.manifest.tables.parquet import parse_parquet
from emo.manifest.tables.spreadsheet import excel_table, sheet_of
from emo.manifest.tables.table_bytes import (
    far_bytes,
    has_long_line,
    long_line,
    read_table_bytes,
    readable_url,
)
from emo.manifest.tables.text_table import TextTable, with_numbers

EXTENSIONS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
"""Extensions of tables that can be read and written."""


def read_rows(path: Path) -> TextTable:
    """Read a table; empty rows are left out, but counted in the numbers of later rows.

    Raises:
        ManifestError: no such file, an unknown extension, not UTF-8, two columns of one name, a
            row with more or fewer cells than the header.
    """
    if (url := url_of(path)) is not None:
        return _read_far(url, path)
    if (spreadsheet := sheet_of(path)) and spreadsheet[0].is_file():
        with foreign_file(path, ManifestError, "not an Excel file that can be read"):
            return with_numbers(excel_table(path, *spreadsheet), has_decimal_commas=False)
    if os.path.isdir(path):
        raise ManifestError(
            f"{path} is a folder, not a table; `emo manifest folder {path} --out m.csv` makes one"
        )
    if not os.path.lexists(path):
        raise ManifestError(
            f"{path}: no such file; name a CSV, TSV, JSONL, Parquet or .xlsx file, or make one "
            "with `emo manifest folder DIR --out m.csv`"
        )
    kind = extension(path)
    data = read_table_bytes(path, has_lines=kind != ".parquet")
    with foreign_file(path, ManifestError, f"not a {kind} table that can be read"):
        return _parsed(data, path, kind)


def _read_far(url: str, path: Path) -> TextTable:
    """Read a table in a bucket or by https; it is kept nowhere.

    Args:
        url: its URL.
        path: the path that the URL became on the command line.

    Raises:
        ManifestError: it cannot be read.
    """
    url = readable_url(url)
    kind = extension(path)
    data = far_bytes(url)
    if kind != ".parquet" and has_long_line(data):
        raise ManifestError(f"{url}: {long_line()}; expected a table of clips")
    with foreign_file(path, ManifestError, f"not a {kind} table that can be read"):
        return _parsed(data, path, kind)


def _parsed(data: bytes, path: Path, kind: str) -> TextTable:
    """Parse the bytes of a table in the format of an extension."""
    semicolons = False
    if kind == ".parquet":
        columns, origins = parse_parquet(data, path)
    elif kind in (".jsonl", ".ndjson"):
        columns, origins = parse_json_lines(decode_text(data, path), path)
    else:
        is_tsv = kind == ".tsv"
        columns, origins, semicolons = parse_delimited(decode_text(data, path), path, is_tsv=is_tsv)
    table = TextTable(columns, origins, hashlib.sha256(data).hexdigest())
    return with_numbers(table, has_decimal_commas=semicolons)


def extension(path: Path) -> str:
    """Return the extension of a table in lower case, one of ``EXTENSIONS``.

    Raises:
        ManifestError: another extension.
    """
    kind = path.suffix.lower()
    if kind not in EXTENSIONS:
        raise ManifestError(f"{path}: expected one of {' '.join(EXTENSIONS)}; got {kind!r}")
    return kind
