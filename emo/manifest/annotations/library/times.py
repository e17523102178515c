"""Read a table of times: CSV, TSV, JSONL, Parquet or Excel with a start and an end in each row."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from emo.errors import ManifestError
from emo.manifest.annotations.format import AnnotationFormat, Annotations, Stretch, milliseconds
from emo.manifest.cells import seconds
from emo.manifest.rows import read_rows

_NAMES: Mapping[str, Sequence[str]] = {
    "start": (
        "start_seconds", "start", "onset", "begin", "from", "start_time", "tmin", "xmin",
        "start_ms", "onset_ms", "begin_ms",
    ),
    "end": (
        "end_seconds", "end", "offset", "stop", "to", "end_time", "tmax", "xmax", "end_ms",
        "offset_ms",
    ),
    "duration": ("duration_seconds", "duration", "dur", "duration_ms"),
    "value": ("label", "emotion", "class", "annotation", "value", "tag"),
    "text": ("text", "transcript", "transcription", "utterance", "words"),
    "speaker": ("speaker", "participant", "who", "name"),
    "tier": ("tier", "layer", "track"),
    "recording": ("file", "file_name", "filename", "video", "audio", "recording", "media"),
}  # fmt: skip
"""What a column can be -> names by which it is found, without case, tried in this order."""


class Times(AnnotationFormat):
    """A table with columns such as start, end (or duration), label, text, speaker, tier, file."""

    extensions: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".jsonl", ".parquet", ".xlsx")
    is_told_by_extension: ClassVar[bool] = False

    @classmethod
    def read(cls, path: Path) -> Annotations:
        """Read the rows; times are seconds, ``00:00:01,500``, or ``…_ms`` in milliseconds."""
        table = read_rows(path)
        lower = {name.lower(): name for name in reversed(table.columns)}
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
        return Annotations(stretches)


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
        if column.lower().endswith("_ms"):
            return milliseconds(repr(float(cell) / 1000), where)
        return round(seconds(cell, column) * 1000)
    except ValueError as error:
        raise ManifestError(f"{where}: {column}: {error}") from error
