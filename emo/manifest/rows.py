"""Read tables of text cells from CSV, TSV, JSONL, Parquet and Excel, chosen by extension."""

import csv
import hashlib
import io
import json
import math
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from emo import plugins
from emo.errors import EmoError, ManifestError
from emo.machine.untrusted.addresses import checked_url, url_of
from emo.machine.untrusted.budget import Budget
from emo.machine.untrusted.documents import checked, short_repr, shortened
from emo.machine.untrusted.files import UnfitFileError, open_regular, read_regular
from emo.machine.untrusted.foreign import foreign_file
from emo.machine.untrusted.kinds import AnyJson
from emo.manifest.numerals import read_numerals
from emo.manifest.spreadsheet import read_sheet, sheet_of, table_sha256
from emo.manifest.text import likely_encoding, wide_unicode

EXTENSIONS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
"""Extensions of tables that can be read and written."""
MOST_TABLE_BYTES = 2**30
"""Largest table that is read, 1 GiB, also once a Parquet file is decoded."""
MOST_ROW_BYTES = 2**24
"""Longest line of a table, 16 MiB."""
MOST_COLUMNS = 10_000
"""Largest number of columns of a table."""
MOST_CELLS = 10**8
"""Largest number of cells of a table whose size in the file says nothing about them."""
_FEW_CELLS = 256
"""Most different cells of a column in 1,024 rows for which equal ones become one object."""
_MOST_KNOWN = 2**16
"""Most cells that are remembered for that."""
MOST_REPEATED_ROWS = 10**6
"""Rows that a Parquet file may have even if it has less than a byte for each of them."""


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
            return with_numbers(_excel(path, *spreadsheet), has_decimal_commas=False)
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
    url = _checked(url)
    kind = extension(path)
    data = far_bytes(url)
    if kind != ".parquet" and has_long_line(data):
        raise ManifestError(f"{url}: {_long_line()}; expected a table of clips")
    with foreign_file(path, ManifestError, f"not a {kind} table that can be read"):
        return _parsed(data, path, kind)


def far_bytes(url: str) -> bytes:
    """Return the bytes of a table in a bucket or by https.

    Raises:
        ManifestError: it cannot be read.
    """
    from emo.store.backend.far_table import read_far_table  # not needed for local tables

    try:
        return read_far_table(_checked(url), MOST_TABLE_BYTES)
    except ManifestError:
        raise
    except (EmoError, OSError) as error:
        raise ManifestError(f"{error}") from error


def _checked(url: str) -> str:
    """Return a URL that may be read.

    Raises:
        ManifestError: it may not, see :func:`checked_url`.
    """
    try:
        return checked_url(url)
    except ValueError as error:
        raise ManifestError(str(error)) from None


def _parsed(data: bytes, path: Path, kind: str) -> TextTable:
    """Parse the bytes of a table in the format of an extension."""
    semicolons = False
    if kind == ".parquet":
        columns, origins = _parquet(data, path)
    elif kind in (".jsonl", ".ndjson"):
        columns, origins = _json_lines(_decode(data, path), path)
    else:
        is_tsv = kind == ".tsv"
        columns, origins, semicolons = _delimited(_decode(data, path), path, is_tsv=is_tsv)
    table = TextTable(columns, origins, hashlib.sha256(data).hexdigest())
    return with_numbers(table, has_decimal_commas=semicolons)


def read_table_bytes(path: Path, *, has_lines: bool = True) -> bytes:
    """Read a table that may be anything: no pipe or device, and no line without an end.

    Args:
        path: the file.
        has_lines: the file is text.

    Raises:
        ManifestError: it is no regular file, too large, or cannot be read.
    """
    try:
        handle, _ = open_regular(path, follow_links=True)
        with os.fdopen(handle, "rb") as file:
            start = file.read(2 * MOST_ROW_BYTES + 1) if has_lines else b""
        if has_long_line(start):
            raise UnfitFileError(_long_line())
        data = read_regular(path, most_bytes=MOST_TABLE_BYTES, follow_links=True)
        if has_lines and has_long_line(data):
            raise UnfitFileError(_long_line())
        return data
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}; name a table") from error
    except UnfitFileError as error:
        raise ManifestError(f"{path}: {error}; expected a table of clips") from error


def _long_line() -> str:
    return f"a line of it has more than {MOST_ROW_BYTES:,} bytes"


def has_long_line(data: bytes) -> bool:
    """Return whether there is a line of more than ``MOST_ROW_BYTES``."""
    start = 0
    while len(data) - start > MOST_ROW_BYTES:
        stop = start + MOST_ROW_BYTES + 1
        end = max(data.rfind(b"\n", start, stop), data.rfind(b"\r", start, stop))
        if end < 0:
            return True
        start = end + 1
    return False


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


def extension(path: Path) -> str:
    """Return the extension of a table in lower case, one of ``EXTENSIONS``.

    Raises:
        ManifestError: another extension.
    """
    kind = path.suffix.lower()
    if kind not in EXTENSIONS:
        raise ManifestError(f"{path}: expected one of {' '.join(EXTENSIONS)}; got {kind!r}")
    return kind


def parse_json(text: str) -> Any:
    """Parse a JSON document whose texts can all be written to a file.

    Raises:
        ValueError: the text is not JSON, is nested too deeply, or holds half of a character (a
            lone surrogate such as ``\\ud83d``, left when an emoji was cut).
    """
    try:
        document = json.loads(text)
    except RecursionError:
        raise ValueError("its lists or objects are nested too deeply") from None
    checked(document, AnyJson())
    if "\\ud" in text.lower():
        try:
            json.dumps(document, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = error.object[error.start : error.start + 1].encode("ascii", "backslashreplace")
            raise ValueError(
                f"{half.decode()} is half of a character; its other half was cut off"
            ) from error
    return document


def _decode(data: bytes, path: Path) -> str:
    """Decode UTF-8; raise ManifestError with the line of the first wrong byte."""
    wide = wide_unicode(data)
    if wide is not None:
        name, kind = wide
        raise ManifestError(f"{path}: this is {name}; save it as UTF-8 ({_iconv(kind, path)})")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"{path}: expected UTF-8, found byte 0x{data[error.start]:02x} in line {line}"
        name, kind = likely_encoding(data)
        check = ", and see whether the letters with accents are right" if "such as" in name else ""
        raise ManifestError(
            f"{found}; save it as UTF-8 (from {name}: {_iconv(kind, path)}{check})"
        ) from error


def _iconv(kind: str, path: Path) -> str:
    """Return the command that converts a file to UTF-8."""
    return f"iconv -f {kind} -t utf-8 {path.name}"


def _delimited(
    text: str, path: Path, *, is_tsv: bool
) -> tuple[dict[str, list[str]], list[str], bool]:
    """Parse CSV or TSV.

    Returns:
        Column -> cells, the position of each row, and whether semicolons separate the cells.
    """
    stated = re.match(r'"?sep=([^\r\n"])"?(\r\n|\n|\r|$)', text)  # Excel's first line
    body = text[stated.end() :] if stated else text
    first = body.partition("\n")[0]
    semicolons = ";" in first and "," not in first  # Excel, in countries that write 1,5
    delimiter = stated[1] if stated else "\t" if is_tsv else ";" if semicolons else ","
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, strict=True)
    skipped = 1 if stated else 0
    number, lines, origins = skipped, [], []
    try:
        for number, line in enumerate(reader, start=1 + skipped):
            if number == 1 + skipped or any(line):
                lines.append(line)
                origins.append(f"row {number}")
    except csv.Error as error:
        raise ManifestError(
            f"{path}: row {number + 1}: {error}; a cell with a separator, a quote or a line break "
            "must be in double quotes, and a quote in it must be doubled"
        ) from error
    header = [name.strip() for name in lines[0]] if lines else []
    _check_header(header, path)
    for line, origin in zip(lines, origins, strict=True):
        if len(line) != len(header):
            raise ManifestError(
                f"{path}: {origin}: expected {len(header)} cells as in the header, got {len(line)}"
            )
    cells = list(zip(*lines[1:], strict=True)) or [()] * len(header)
    named = zip(header, cells, strict=True)
    columns = {name: list(column) for name, column in named if name}
    return columns, origins[1:], delimiter == ";"


def _check_header(header: Sequence[str], path: Path) -> None:
    """Raise ManifestError when two columns have one name."""
    check_size(len(header), 0, path)
    if any("\0" in name for name in header):
        raise ManifestError(f"{path}: expected names of columns, found a NUL byte; remove it")
    twice = sorted(name for name, count in Counter(header).items() if name and count > 1)
    if twice:
        raise ManifestError(
            f"{path}: two columns are called {short_repr(twice[0])}; rename one of them"
        )


def _json_lines(text: str, path: Path) -> tuple[dict[str, list[str]], list[str]]:
    """Parse JSONL; return column -> cells, and the position of each row."""
    documents, origins = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            document = parse_json(line)
        except ValueError as error:
            raise ManifestError(
                f"{path}: line {number} is not JSON: {shortened(str(error))}"
            ) from error
        if not isinstance(document, dict):
            raise ManifestError(f"{path}: line {number}: expected {{…}}, got {line[:40]!r}")
        documents.append(document)
        origins.append(f"line {number}")
    names = dict.fromkeys(name for document in documents for name in document)
    check_size(len(names), len(documents), path)
    columns = {
        name: [
            text_cell(document.get(name), path, origin, name)
            for document, origin in zip(documents, origins, strict=True)
        ]
        for name in names
    }
    return columns, origins


def _parquet(data: bytes, path: Path) -> tuple[dict[str, list[str]], Sequence[str]]:
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
    _check_header(file.schema_arrow.names, path)
    rows, most = file.metadata.num_rows, max(MOST_REPEATED_ROWS, size_bytes)
    if rows > most:
        raise ManifestError(
            f"{path}: expected at most {most:,} rows in a file of {size_bytes:,} bytes, found "
            f"{rows:,}; a manifest has a row for each clip, and an id or a path in it"
        )


def _excel(path: Path, file: Path, sheet: str | None) -> TextTable:
    """Read a sheet of an Excel file; columns without a name are left out, as those of CSV are."""
    data, header, lines, origins = read_sheet(file, sheet)
    _check_header(header, path)
    cells = list(zip(*lines, strict=True)) or [()] * len(header)
    columns = {name: list(column) for name, column in zip(header, cells, strict=True) if name}
    return TextTable(columns, origins, table_sha256(path, data))


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
