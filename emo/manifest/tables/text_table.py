"""TextTable: a table of text cells by column, with its limits and the names of its columns."""

import math
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from emo import plugins
from emo.errors import ManifestError
from emo.machine.untrusted.documents import short_repr
from emo.manifest.tables.numerals import read_numerals

MOST_COLUMNS = 10_000
"""Largest number of columns of a table."""
MOST_CELLS = 10**8
"""Largest number of cells of a table whose size in the file says nothing about them."""


@dataclass(frozen=True, eq=False)
class TextTable:
    """A table of text cells by column, with the position of each row in its file."""

    columns: dict[str, list[str]]
    """Column name -> cells, ``""`` for an empty one; all columns have the same length."""
    origins: Sequence[str]
    """Position of each row for error messages, such as ``row 2`` for the first below the header,
    as in a spreadsheet."""
    sha256: str = ""
    """SHA-256 of the file's bytes."""
    number_notes: Mapping[str, str] = field(default_factory=dict)
    """Column whose numbers are written in another way in the file -> a text for the user."""


def with_numbers(table: TextTable, *, has_decimal_commas: bool = False) -> TextTable:
    """Return a table whose columns of numbers are written as Python does."""
    columns, notes = {}, {}
    for name, column in table.columns.items():
        columns[name], note = read_numerals(name, column, has_decimal_commas=has_decimal_commas)
        if note:
            notes[name] = note
    return replace(table, columns=columns, number_notes=notes)


def rename(rows: TextTable, columns: Mapping[str, str], path: Path) -> TextTable:
    """Rename columns of a table.

    Args:
        rows: the table.
        columns: new name -> name in the table.
        path: the file, for error messages.

    Raises:
        ManifestError: a column that does not exist (similar ones are offered), or a new name that
            another column has already.
    """
    composed = {unicodedata.normalize("NFC", name): name for name in rows.columns}
    columns = {  # an umlaut may be written as one letter or as two
        ours: theirs
        if theirs in rows.columns
        else composed.get(unicodedata.normalize("NFC", theirs), theirs)
        for ours, theirs in columns.items()
    }
    renamed = {name: cells for name, cells in rows.columns.items() if name not in columns.values()}
    for ours, theirs in columns.items():
        if theirs not in rows.columns:
            raise ManifestError(plugins.unknown(f"column of {path}", theirs, rows.columns))
        if ours in renamed:
            raise ManifestError(
                f"{path} has a column {ours!r} already; --column {ours}={theirs} would hide it. "
                f"Give that one another name too: --column other={ours}"
            )
    renamed.update({ours: rows.columns[theirs] for ours, theirs in columns.items()})
    new = {theirs: ours for ours, theirs in columns.items()}
    notes = {new.get(name, name): note for name, note in rows.number_notes.items()}
    return TextTable(renamed, rows.origins, rows.sha256, notes)


def check_size(columns: int, rows: int, path: Path) -> None:
    """Raise ManifestError if a table has too many columns or cells."""
    if columns > MOST_COLUMNS:
        raise ManifestError(
            f"{path}: expected at most {MOST_COLUMNS:,} columns, found {columns:,}; a manifest has "
            "a row for each clip and a column for each label"
        )
    if columns * rows > MOST_CELLS:
        raise ManifestError(
            f"{path}: expected at most {MOST_CELLS:,} cells, found {rows:,} rows of {columns:,} "
            "columns; split the file"
        )


def check_header(header: Sequence[str], path: Path) -> None:
    """Raise ManifestError when two columns have one name."""
    check_size(len(header), 0, path)
    if any("\0" in name for name in header):
        raise ManifestError(f"{path}: expected names of columns, found a NUL byte; remove it")
    twice = sorted(name for name, count in Counter(header).items() if name and count > 1)
    if twice:
        raise ManifestError(
            f"{path}: two columns are called {short_repr(twice[0])}; rename one of them"
        )


def text_cell(value: object, path: Path, origin: str, column: str) -> str:
    """Return a value of JSON, Parquet or a DataFrame as a text cell.

    Raises:
        ManifestError: it is a list, an object or bytes.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        # pandas turns a column of integers with an empty cell into floats
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, list | dict | tuple | bytes):
        raise ManifestError(
            f"{path}: {origin}, column {short_repr(column)}: expected text or a number, "
            f"got {type(value).__name__}"
        )
    return str(value)
