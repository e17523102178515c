"""Read a table of times: CSV, TSV, JSONL, Parquet or Excel with a start and an end in each row."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from emo.errors import ManifestError
from emo.manifest.annotations.format import AnnotationFormat, Annotations, Stretch, milliseconds
from emo.manifest.cells import seconds
from emo.manifest.rows import read_rows
from emo.manifest.tables.text_table import TextTable

_NAMES: Mapping[str, Sequence[str]] = {
    "start": (
        "start_seconds", "start", "onset", "begin", "from", "start_time", "begin_time", "tmin",
        "xmin", "start_ms", "onset_ms", "begin_ms", "start_time_ms", "begin_time_ms",
    ),
    "end": (
        "end_seconds", "end", "offset", "stop", "to", "end_time", "tmax", "xmax", "end_ms",
        "offset_ms", "end_time_ms",
    ),
    "duration": ("duration_seconds", "duration", "dur", "duration_ms"),
    "value": ("label", "emotion", "class", "annotation", "value", "tag"),
    "text": ("text", "transcript", "transcription", "utterance", "words"),
    "speaker": ("speaker", "participant", "who", "name"),
    "tier": ("tier", "layer", "track"),
    "recording": ("file", "file_name", "filename", "video", "audio", "recording", "media"),
}  # fmt: skip
"""What a column can be -> names by which it is found, without case, tried in this order."""
_UNITS = (
    (re.compile(r"_(hh_mm_ss_ms|ss_msec|sec|secs|seconds|s)$"), ""),
    (re.compile(r"_(msec|milliseconds)$"), "_ms"),
)
"""Units at the end of a column's name, some of them as ELAN writes them -> what is put instead."""
_LONG = 100
"""Whole numbers whose middle duration is at least this many are likely milliseconds."""


class Times(AnnotationFormat):
    """A table with columns such as start, end (or duration), label, text, speaker, tier, file."""

    extensions: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".jsonl", ".parquet", ".xlsx")
    is_told_by_extension: ClassVar[bool] = False

    @classmethod
    def read(cls, path: Path) -> Annotations:
        """Read the rows; times are seconds, ``00:00:01,500``, or ``…_ms`` in milliseconds.

        ``Start Time``, ``start-time`` and ``Start Time (s)`` are the same as ``start_time``.
        """
        table = read_rows(path)
        lower = {_plain(name): name for name in reversed(table.columns)}
        lower |= {name.lower(): name for name in reversed(table.columns)}
        names = {
            what: next((lower[each] for each in known if each in lower), None)
            for what, known in _NAMES.items()
        }
        if names["start"] is None or (names["end"] is None and names["duration"] is None):
            found = ", ".join(map(repr, table.columns)) or "none"
            raise ManifestError(
                f"{path}: expected columns such as start and end (or duration); found {found}"
            )
        stretches = []
        for number, origin in enumerate(table.origins):
            row = {
                what: table.columns[name][number].strip() for what, name in names.items() if name
            }
            stretches.append(_stretch(row, names, f"{path}: {origin}"))
        times = [name for what in ("start", "end", "duration") if (name := names[what])]
        return Annotations(stretches, notes=_notes(path, table, times, stretches))


def _plain(name: str) -> str:
    """Return a column's name in lower case, with ``_`` between words, without seconds as unit.

    >>> _plain("Start Time (s)"), _plain("End Time [ms]"), _plain("Begin Time - msec")
    ('start_time', 'end_time_ms', 'begin_time_ms')
    """
    words = re.sub(r"[\W_]+", "_", name.lower()).strip("_")
    for pattern, unit in _UNITS:
        words = pattern.sub(unit, words)
    return words


def _notes(
    path: Path, table: TextTable, times: Sequence[str], stretches: Sequence[Stretch]
) -> list[str]:
    """Return a line where times that were read as seconds look like milliseconds."""
    cells = [cell.strip() for name in times for cell in table.columns[name]]
    is_named = any(_plain(name).endswith("_ms") for name in times)
    if is_named or not stretches or not all(cell.isdecimal() for cell in cells):
        return []
    middle = sorted(each.end_ms - each.start_ms for each in stretches)[len(stretches) // 2] // 1000
    if middle < _LONG:
        return []
    return [
        f"warning: {path}: {' and '.join(map(repr, times))} were read as seconds, and a usual "
        f"annotation takes {middle:,} s; if they are milliseconds, call them start_ms and end_ms"
    ]


def _stretch(row: Mapping[str, str], names: Mapping[str, str | None], where: str) -> Stretch:
    """Return the stretch of one row."""
    start = _time(row["start"], names["start"] or "", where)
    if names["end"] is not None:
        end = _time(row["end"], names["end"], where)
    else:
        end = start + _time(row["duration"], names["duration"] or "", where)
    texts = {what: row.get(what, "") for what in ("value", "tier", "speaker", "text", "recording")}
    return Stretch(start, end, **texts)


def _time(cell: str, column: str, where: str) -> int:
    """Return a time in milliseconds."""
    try:
        if _plain(column).endswith("_ms"):
            return milliseconds(repr(float(cell) / 1000), where)
        return round(seconds(cell, column) * 1000)
    except ValueError as error:
        raise ManifestError(f"{where}: {column}: {error}") from error
