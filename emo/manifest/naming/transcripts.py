"""Join a table of transcripts (or any other columns) to the files of a folder, by file name."""

import os
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from emo import plugins
from emo.errors import ManifestError, plural
from emo.machine.untrusted.documents import short_repr
from emo.manifest.cells import SPLIT_WORDS
from emo.manifest.naming.facts import first_files
from emo.manifest.naming.file_index import FileIndex
from emo.manifest.rows import read_rows
from emo.manifest.spelling import plain
from emo.manifest.tables.text_table import TextTable, rename

_TEXTS = (
    "text", "transcript", "transcription", "transcripts", "utterance", "sentence", "words",
    "caption",
)  # fmt: skip
_FILES = (
    "file_name", "filename", "file", "stem", "clip", "path", "name", "video", "audio", "id",
)  # fmt: skip
_NUMBERS_NAME_FILES = frozenset(_FILES) - {"clip", "name", "id"}
"""Names of columns in which 1 is ``001.mp4``, as Excel drops zeros; elsewhere it may be a row."""
_KINDS_OF_NAMES = ("stem", "name", "path")
"""What --on may say where no column has this name: the column is then found by its cells."""


def join_transcripts(
    rows: TextTable,
    table_path: Path,
    folder: Path,
    *,
    on: str | None = None,
    columns: Mapping[str, str] = MappingProxyType({}),
    winners: Collection[str] = (),
) -> tuple[TextTable, list[str]]:
    """Add the columns of a table to the rows of a folder's files.

    Args:
        rows: the clips; their origins are paths of files, relative to ``folder``.
        table_path: the table, with one row a file.
        folder: folder of the files.
        on: the table's column that names the files; None: the one whose cells name most of them.
        columns: columns under other names: our name -> the table's.
        winners: columns that are the table's where names say otherwise.

    Returns:
        The clips with all columns, and lines for people: what was joined and what was not.

    Raises:
        ManifestError: no column names files, a cell names several files, two rows name one file,
            or a cell contradicts the names of folders.
    """
    below = os.path.relpath(table_path.parent, folder).replace(os.sep, "/")
    base = "" if below == "." or below.startswith("..") else below
    table = rename(read_rows(table_path), columns, table_path)
    return join_table(rows, table, table_path, base=base, on=on, winners=winners)


def columns_told(table_path: Path, columns: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """Return the columns of a table besides texts and names of files, under our names."""
    names = rename(read_rows(table_path), columns, table_path).columns
    return [name for name in names if name.lower() not in (*_TEXTS, *_FILES)]


def join_table(
    rows: TextTable,
    table: TextTable,
    table_path: Path,
    *,
    base: str = "",
    on: str | None = None,
    winners: Collection[str] = (),
) -> tuple[TextTable, list[str]]:
    """Add the columns of a table that was read to the rows of files, see :func:`join_transcripts`.

    Args:
        rows: the clips; their origins are paths of files.
        table: the table, with one row a file.
        table_path: its path, for messages.
        base: folder that the names in the table may be relative to.
        on: the table's column that names the files; None: it is found by its cells.
        winners: columns that are the table's where names say otherwise.
    """
    index = FileIndex(rows.origins)
    key = _key(table, index, base, on, table_path, rows.origins)
    table = _with_text(table, key)
    matches = [index.find(cell, base) if cell.strip() else [] for cell in table.columns[key]]
    row_of = _rows_of(matches, table, key, rows.origins, table_path)
    joined = dict(rows.columns)
    new = [name for name in table.columns if name != key and name not in ("video", "audio")]
    told: list[str] = []
    for name in new:
        cells = [
            table.columns[name][row_of[k]].strip() if k in row_of else ""
            for k in range(len(rows.origins))
        ]
        differ = _contradictions(name, joined.get(name), cells, rows.origins)
        if differ and name in winners:
            told.append(
                f"{name}: as {table_path} says; {plural(len(differ), 'name')} of files say "
                f"otherwise: {first_files(differ)}"
            )
        elif differ:
            raise ManifestError(
                f"{table_path}: column {name!r} contradicts the names of "
                f"{plural(len(differ), 'file')}: {first_files(differ)}. Keep both: --column "
                f"other={name}; say by --pattern what the names hold; or take nothing from the "
                "names: --pattern '{_}'"
            )
        ours = joined.get(name, cells)
        joined[name] = cells if differ else [a or b for a, b in zip(ours, cells, strict=True)]
    notes = [f"{plural(len(row_of), 'file')} joined with {table_path} by {key!r}: {', '.join(new)}"]
    lost = [
        f"{table.origins[k]} {short_repr(table.columns[key][k])}"
        for k, found in enumerate(matches)
        if not found
    ]
    bare = [origin for k, origin in enumerate(rows.origins) if k not in row_of]
    notes += [*told, *_without_partner(lost, bare, table_path)]
    return TextTable({name: c for name, c in joined.items() if any(c)}, rows.origins), notes


def _without_partner(rows: Sequence[str], files: Sequence[str], path: Path) -> list[str]:
    """Return lines on the rows of a table without a file, and on files without a row."""
    lines = []
    if rows:
        lines.append(f"{plural(len(rows), 'row')} of {path} without a file: {first_files(rows)}")
    if files:
        lines.append(f"{plural(len(files), 'file')} without a row in {path}: {first_files(files)}")
    return lines


def _with_text(table: TextTable, key: str) -> TextTable:
    """Return a table whose column of transcripts is called ``text``, if there is one."""
    if "text" in table.columns:
        return table
    names = {name.lower(): name for name in table.columns if name != key}
    found = next((names[name] for name in _TEXTS if name in names), None)
    renamed = {"text" if name == found else name: c for name, c in table.columns.items()}
    return TextTable(renamed, table.origins, table.sha256)


def _key(
    table: TextTable,
    index: FileIndex,
    base: str,
    on: str | None,
    path: Path,
    files: Sequence[str],
) -> str:
    """Return the name of the column that names files.

    Raises:
        ManifestError: no column does, or two name the files differently (one may number rows).
    """
    if on is not None and on in table.columns:
        return on
    if on is not None and on not in _KINDS_OF_NAMES:
        raise ManifestError(plugins.unknown(f"column of {path} for --on", on, table.columns))
    counts = {}
    named: dict[str, dict[int, int]] = {}
    for name, cells in table.columns.items():
        is_enough = on is not None or name.lower() in _NUMBERS_NAME_FILES
        found = [
            index.find(cell, base, is_number_enough=is_enough) for cell in cells if cell.strip()
        ]
        alone = {each[0] for each in found if len(each) == 1}
        counts[name] = (len(alone), sum(map(bool, found)), name.lower() in _FILES)
        rows = [row for row, cell in enumerate(cells) if cell.strip()]
        named[name] = {
            row: each[0] for row, each in zip(rows, found, strict=True) if len(each) == 1
        }
    best = max(counts, key=lambda name: counts[name], default="")
    if not best or not counts[best][1]:
        shown = ", ".join(
            f"{name} ({short_repr(cells[0])})" for name, cells in table.columns.items() if cells
        )
        raise ManifestError(
            f"{path}: no column names the files of the folder; found {shown or 'no rows'}. "
            "Expected names such as anna_1 or happy/anna_1.mp4 (1 may be the number of a row, and "
            "is not taken for 001.mp4); name the column: --on COLUMN"
        )
    rivals = [
        name
        for name, found in named.items()
        if len(found) * 2 >= len(named[best]) and _differ(found, named[best])
    ]
    return _exact_one([best, *rivals], table, named, files, path) if rivals else best


def _differ(ours: Mapping[int, int], theirs: Mapping[int, int]) -> bool:
    """Return whether two columns name different files in a row."""
    return any(ours[row] != theirs[row] for row in ours.keys() & theirs.keys())


def _exact_one(
    names: Sequence[str],
    table: TextTable,
    named: Mapping[str, Mapping[int, int]],
    files: Sequence[str],
    path: Path,
) -> str:
    """Return the only one of some columns whose cells are whole names of files, ``7.flac`` not 7.

    Raises:
        ManifestError: none or several are.
    """

    def last(name: str) -> str:
        return unicodedata.normalize("NFC", name.replace("\\", "/").rpartition("/")[2].strip())

    exact = [
        name
        for name in names
        if all(last(table.columns[name][row]) == last(files[k]) for row, k in named[name].items())
    ]
    if len(exact) == 1:
        return exact[0]
    first = table.columns[names[0]], table.columns[names[1]]
    cells = [short_repr(each[0]) for each in first]
    raise ManifestError(
        f"{path}: the columns {names[0]!r} ({cells[0]}) and {names[1]!r} ({cells[1]}) name the "
        "files differently, and one of them may number rows; say which names files: --on COLUMN"
    )


def _rows_of(
    matches: Sequence[list[int]], table: TextTable, key: str, files: Sequence[str], path: Path
) -> dict[int, int]:
    """Return index of a file -> index of its row.

    Raises:
        ManifestError: a cell names several files, two rows name one file, or none names one.
    """
    row_of: dict[int, int] = {}
    for row, found in enumerate(matches):
        cell = table.columns[key][row]
        if len(found) > 1:
            names = first_files([files[k] for k in found])
            raise ManifestError(
                f"{path}: {table.origins[row]}: {key} {short_repr(cell)} is the name of "
                f"{plural(len(found), 'file')} ({names}); write their paths in the table"
            )
        for k in found:
            if k in row_of:
                raise ManifestError(
                    f"{path}: {table.origins[row_of[k]]} and {table.origins[row]} both name the "
                    f"file {files[k]}; keep one"
                )
            row_of[k] = row
    if not row_of:
        raise ManifestError(
            f"{path}: no cell of {key!r} names a file of the folder, such as {files[0]}; found "
            f"{first_files([repr(cell) for cell in table.columns[key]])}"
        )
    return row_of


def _contradictions(
    name: str, ours: list[str] | None, theirs: list[str], files: Sequence[str]
) -> list[str]:
    """Return the files of which the name says another value of a column than the table."""
    return [
        f"{file} ({old!r}, in the table {short_repr(new)})"
        for file, old, new in zip(files, ours or [""] * len(files), theirs, strict=True)
        if old and new and _value(name, old) != _value(name, new)
    ]


def _value(name: str, cell: str) -> str:
    """Return a cell in the form in which it is compared."""
    return SPLIT_WORDS.get(cell.lower(), cell) if name == "split" else plain(cell)
