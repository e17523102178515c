"""Make the rows of a manifest from a folder, with what the names of files and folders say."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from emo.errors import ManifestError, listed
from emo.manifest.cells import SPLIT_WORDS
from emo.manifest.folder import folder_rows
from emo.manifest.naming.by_pattern import read_by_pattern
from emo.manifest.naming.facts import SHOWN_VALUES, fact, unfilled
from emo.manifest.naming.parts import Paths, parts_of
from emo.manifest.naming.readings import Reading, pattern_of, readings_of
from emo.manifest.tables.text_table import TextTable

_SHOWN_READINGS = 4
_COLUMNS = ("split", "label", "speaker")


@dataclass(frozen=True, eq=False)
class NamedFolder:
    """The clips of a folder, and what was read from the names of their files."""

    rows: TextTable
    """Columns ``video``, ``audio``, and those found in the names; paths relative to the folder."""
    folders: list[str]
    """Sub-folder of each row."""
    facts: list[dict[str, object]]
    """Table rows for people: column, where it was found, and its values."""
    notes: list[str]
    """Lines for people."""
    unfit: list[str]
    """Media files that a pattern does not fit; they are no clips."""


def named_folder(
    folder: Path, pattern: str | None = None, *, told: Collection[str] = ()
) -> NamedFolder:
    """List the clips below a folder, with split, label and speaker where names tell them.

    The column ``folder`` holds the sub-folder where it says more than these.

    Args:
        folder: the folder of media.
        pattern: which columns the paths hold, such as ``{split}/{label}/{speaker}_{take}``; None:
            they are found.
        told: columns that a table gives; where names can be read in several ways, these columns
            are not taken from them.

    Raises:
        ManifestError: no such folder, no media in it, a pattern that fits no file, or several
            readings that fit the names equally well.
    """
    rows = folder_rows(folder)
    folders = rows.columns.get("folder", [""] * len(rows.origins))
    media = {name: cells for name, cells in rows.columns.items() if name != "folder"}
    paths = parts_of(rows.origins)
    if pattern is not None:
        kept, columns, facts, notes = read_by_pattern(pattern, rows.origins, paths)
    else:
        reading = _one_reading(folder, paths, told)
        kept, columns = list(range(len(rows.origins))), _columns(reading)
        facts, notes = _facts(paths, reading), _notes(paths, reading, columns, rows.origins, told)
        if any(len(p.distinct) > 1 and not reading.column_of(p) for p in paths.folders):
            columns["folder"] = folders
    table = {**{name: [cells[k] for k in kept] for name, cells in media.items()}, **columns}
    filled = {name: cells for name, cells in table.items() if any(cells)}
    origins = [rows.origins[k] for k in kept]
    unfit = sorted({*rows.origins} - {*origins})
    return NamedFolder(TextTable(filled, origins), [folders[k] for k in kept], facts, notes, unfit)


def _column_hint(told: Collection[str]) -> str:
    """Return what names a column of the table for what it does not tell yet; empty: nothing."""
    theirs = [name for name in told if name not in _COLUMNS]
    ours = [name for name in ("label", "speaker") if name not in told]
    if not (ours and theirs):
        return ""
    return f", with --column {ours[0]}=COLUMN for one of {listed(theirs)}"


def _one_reading(folder: Path, paths: Paths, told: Collection[str]) -> Reading:
    """Return the reading that fits.

    Raises:
        ManifestError: several fit.
    """
    readings = readings_of(paths)
    if len(readings) > 1 and told:
        without: dict[str, None] = dict.fromkeys({*_COLUMNS} & {*told})
        readings = list(dict.fromkeys(replace(each, **without) for each in readings))
    if len(readings) == 1:
        return readings[0]
    lines = []
    for reading in readings[:_SHOWN_READINGS]:
        columns = {"label": reading.label, "speaker": reading.speaker}
        shown = [
            f"{name} {', '.join(sorted(part.distinct)[:SHOWN_VALUES])}"
            for name, part in columns.items()
            if part is not None
        ]
        lines.append(f"--pattern '{pattern_of(paths, reading)}' ({'; '.join(shown)})")
    more = len(readings) - _SHOWN_READINGS
    raise ManifestError(
        f"{folder}: the names can be read in several ways; choose one: {', or '.join(lines)}"
        + (f", or {more} more" if more > 0 else "")
        + ", or take nothing from the names: --pattern '{_}'"
        + _column_hint(told)
    )


def _columns(reading: Reading) -> dict[str, list[str]]:
    """Return the columns of a reading; a folder beside splits that is none gives an empty cell."""
    columns = {}
    if reading.split is not None:
        words = [name.lower() for name in reading.split.values]
        columns["split"] = [SPLIT_WORDS.get(word, "") for word in words]
    for name, part in (("label", reading.label), ("speaker", reading.speaker)):
        if part is not None:
            columns[name] = list(part.values)
    return columns


def _facts(paths: Paths, reading: Reading) -> list[dict[str, object]]:
    """Return a table row for each part of the paths; parts of one value and no column are out."""
    return [
        fact(reading.column_of(part), part.title, part.values)
        for part in (*paths.folders, *paths.names)
        if reading.column_of(part) or len(part.distinct) > 1
    ]


def _notes(
    paths: Paths,
    reading: Reading,
    columns: dict[str, list[str]],
    origins: Sequence[str],
    told: Collection[str],
) -> list[str]:
    """Return lines on what was found and what was not."""
    pattern = pattern_of(paths, reading)
    notes = [f"as a pattern: {pattern}"] if columns and paths.depth is not None else []
    may_hold_one = any(len(part.distinct) > 1 for part in (*paths.folders, *paths.names[:-1]))
    if reading.label is None and "label" not in told and told:
        notes.append(
            "no label in the names; if a column of the table holds it, name it: --column "
            f"label=COLUMN, and speaker=COLUMN; its columns: {', '.join(told)}"
        )
    elif reading.label is None and "label" not in told and may_hold_one:
        guess = pattern.replace("{_}", "{label}", 1)
        notes.append(f"no label in the names; if they hold one, say where: --pattern '{guess}'")
    return [*notes, *unfilled(columns, origins)]
