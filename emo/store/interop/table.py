"""table: a wide table (CSV, TSV, ARFF, Parquet) with a column for each number of a feature."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from emo.errors import StoreError
from emo.machine.untrusted.budget import Budget
from emo.machine.untrusted.documents import short_repr
from emo.plugins import unknown
from emo.ragged import Ragged, offsets_of
from emo.store.exchange.contents import Contents, StreamTokens, spec_of
from emo.store.exchange.format import Format
from emo.store.exchange.labels import TIME_NAMES, cell_text, is_label_name
from emo.store.exchange.named_arrays import ID_NAMES, ROW, ids_as_text
from emo.store.exchange.tables.columns import ColumnOptions, choose_columns, matching
from emo.store.exchange.tables.file import TableFile, open_table
from emo.store.exchange.tables.spool import Spool

_IDS = (
    *ID_NAMES, "file", "filename", "file_name", "clip_id", "utterance_id", "utt_id", "segment_id",
    "video_id", "segment",
)  # fmt: skip
_PART = re.compile(r"\{([^{}]+)\}")
_TIME = re.compile(r"(\d+) days (\d+):(\d\d):(\d\d(?:\.\d+)?)")
_TEXT_BYTES = 64


@dataclass(frozen=True)
class TableReadOptions(ColumnOptions):
    """Options for reading a wide table."""

    id: str | None = field(
        default=None,
        metadata={
            "help": "The column of ids, a pattern such as dia{Dialogue_ID}_utt{Utterance_ID}, or "
            "#row to number the rows from 0; default: id, name, file …"
        },
    )
    labels: str | None = field(
        default=None,
        metadata={"help": "Columns of labels, for --manifest; default: text, and known names."},
    )
    rows: Literal["clips", "tokens"] = field(
        default="clips",
        metadata={"help": "tokens: rows of one id, one after another, are tokens of that clip."},
    )
    stream: str = field(default="features", metadata={"help": "Name of the stream."})
    dtype: Literal["auto", "float16", "float32", "float64"] = field(
        default="auto",
        metadata={"help": "Type to store; auto: float32 for text, for Parquet the file's own."},
    )


class Table(Format):
    """A row for each clip, or for each token; a column of ids, and a column for each number."""

    extension = ".csv"
    keeps_all = False
    ReadOptions = TableReadOptions

    @contextmanager
    def read(self, path: Path, options: TableReadOptions) -> Iterator[Contents]:
        """Read all rows once; their numbers wait in a temporary file, memory stays bounded."""
        budget = self.budget(path)
        with Spool() as spool, open_table(path, options, budget) as table:
            reading = _Reading(table, path, options, budget, spool)
            yield reading.contents()

    def write(self, contents: Contents, path: Path, options: Any) -> None:
        """Write a CSV with a row for each token: id, cells of the manifest, and the numbers.

        Names of labels are in quotes in the first row, so that numbers among them stay labels when
        the table comes back.
        """
        labels = list(dict.fromkeys(n for row in contents.cells.values() for n in row))
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            (name, rows), *others = contents.streams.items()
            if others:
                raise StoreError(
                    f"a table holds one stream; choose --stream {name} or --stream {others[0][0]}"
                )
            numbers = [f"{name}_{k}" for k in range(rows.spec.dim)]
            if clash := {"id", *labels} & {*numbers}:
                raise StoreError(f"stream {name!r}: the manifest has a column {min(clash)!r}")
            quoted = ['"' + label.replace('"', '""') + '"' for label in ("id", *labels)]
            file.write(",".join([*quoted, *numbers]) + "\r\n")  # quotes: names_of_labels
            for first, ragged in rows.blocks():
                for row, tokens in enumerate(ragged, start=first):
                    if tokens.dtype == np.float16:  # its own digits are another number in float32
                        tokens = tokens.astype(np.float32)
                    clip_id = contents.ids[row]
                    cells = contents.cells.get(clip_id, {})
                    start = [clip_id, *(cells.get(label, "") for label in labels)]
                    writer.writerows([*start, *map(str, each)] for each in tokens)


class _Reading:
    """One pass over a table."""

    def __init__(
        self,
        table: TableFile,
        path: Path,
        options: TableReadOptions,
        budget: Budget,
        spool: Spool,
    ) -> None:
        self._table, self._path, self._options = table, path, options
        self._budget, self._spool = budget, spool
        self._id_columns, self._id_line = _id_columns(table, path, options)
        listed = matching(table.names, options.labels) if options.labels else []
        if options.labels and not listed:
            raise StoreError(f"{path}: {unknown('column', options.labels, table.names)}")
        taken = [*self._id_columns, *listed]
        self._numbers = choose_columns(table, str(path), options, options.stream, taken)
        self._listed = listed
        is_pattern = bool(_PART.search(options.id or ""))
        self._own_ids = () if is_pattern else self._id_columns  # parts of a pattern stay labels
        self._ids: list[str] = []
        self._starts: list[int] = []
        self._rows: dict[str, int] = {}
        self._cells: list[dict[str, str]] = []
        self._varying: set[str] = set()
        self._dtype = np.dtype(table.dtype if options.dtype == "auto" else options.dtype)

    def contents(self) -> Contents:
        """Read all rows and return the clips."""
        for batch in self._table.batches:
            first = self._numbers.row
            block = self._numbers.block(batch)
            with np.errstate(over="ignore"):
                stored = block.astype(self._dtype)
            self._budget.take(stored.nbytes, "the table")
            self._spool.add(stored)
            self._add_ids(batch, first)
        streams = self._numbers.features()
        values = self._spool.rows(len(self._numbers.candidates), self._dtype)
        if not self._ids:
            raise StoreError(f"{self._path}: has no rows")
        starts = np.array([*self._starts, len(values)], np.int64)
        return self._made(values, starts, streams)

    def _add_ids(self, batch: pa.RecordBatch, first: int) -> None:
        """Add the clips that begin in a block of rows, with their labels."""
        names = self._label_columns()
        columns = [batch.column(name).to_pylist() for name in names]
        for position, clip_id in enumerate(self._ids_of(batch, first)):
            if self._options.rows == "tokens" and self._ids and self._ids[-1] == clip_id:
                first_cells = self._cells[-1]
                self._varying |= {
                    name
                    for name, column in zip(names, columns, strict=True)
                    if first_cells.get(name) != cell_text(column[position])
                }
                continue
            if clip_id in self._rows:
                raise StoreError(self._twice(clip_id, first + position))
            self._rows[clip_id] = first + position
            self._ids.append(clip_id)
            self._starts.append(first + position)
            cells = [cell_text(column[position]) for column in columns]
            self._budget.take(sum(map(len, [clip_id, *cells])) + _TEXT_BYTES, "ids and labels")
            self._cells.append(dict(zip(names, cells, strict=True)))

    def _ids_of(self, batch: pa.RecordBatch, first: int) -> Iterator[str]:
        """Iterate over the id of each row of a block."""
        if not self._id_columns:
            yield from map(str, range(first, first + batch.num_rows))
            return
        lists = [batch.column(name).to_pylist() for name in self._id_columns]
        pattern = self._options.id if _PART.search(self._options.id or "") else None
        for position, cells in enumerate(zip(*lists, strict=True)):
            row = self._table.first_row + first + position
            where = f"{self._path}: row {row}, column {self._id_columns[0]}"
            try:
                words = [_bare(each.strip()) for each in ids_as_text(map(_whole, cells))]
            except ValueError:
                raise StoreError(f"{where}: no id; expected text or a whole number") from None
            if "" in words:
                raise StoreError(f"{where}: the id is empty")
            found = dict(zip(self._id_columns, words, strict=True))
            yield _PART.sub(lambda part: found[part[1]], pattern) if pattern else words[0]  # noqa: B023

    def _label_columns(self) -> list[str]:
        """Return the columns whose cells go to a manifest: those of text, or of a label's name."""
        if self._options.labels:
            return self._listed
        features = {n for n in self._numbers.candidates if self._numbers.are_numbers.get(n, True)}
        return [
            name
            for name in self._table.names
            if name not in features and name not in self._own_ids
            and self._table.kinds.get(name) != "list"
            and (name in self._id_columns
                 or self._numbers.are_numbers.get(name) is False or is_label_name(name)
                 or name.lower() in ("start", "end", "text")
                 or (self._table.kinds.get(name) == "text" and name.lower() not in TIME_NAMES))
        ]  # fmt: skip

    def _twice(self, clip_id: str, row: int) -> str:
        """Return the message about an id that stands in two positions."""
        start = self._table.first_row
        return (
            f"{self._path}: id {short_repr(clip_id)} is in row {start + self._rows[clip_id]} and "
            f"in row {start + row}; "
            + ("the rows of a clip must follow each other" if self._options.rows == "tokens" else
               "-o id='{COLUMN}_{COLUMN}' joins columns, and -o rows=tokens takes rows of one id "
               "as tokens of one clip")
        )  # fmt: skip

    def _made(
        self, values: np.ndarray, starts: np.ndarray, streams: Mapping[str, Sequence[str]]
    ) -> Contents:
        """Return the clips; those with a cell that is no finite number are failures."""
        positions = {name: k for k, name in enumerate(self._numbers.candidates)}
        chosen = {name: [positions[n] for n in columns] for name, columns in streams.items()}
        used = sorted(k for columns in chosen.values() for k in columns)
        failures = self._failures(values, starts, used)
        kept = np.array([i for i, clip_id in enumerate(self._ids) if clip_id not in failures], int)
        lengths = np.diff(starts)[kept]
        cells = {clip_id: row for clip_id, row in zip(self._ids, self._cells, strict=True) if row}
        level = "clip" if self._options.rows == "clips" else "frame"
        level = level if lengths.max(initial=1) > 1 or level == "clip" else "clip"
        document = {"streams": {name: {"level": level} for name in streams}}
        specs = {
            name: spec_of(document, name, len(columns), self._dtype.name)
            for name, columns in chosen.items()
        }
        read = partial(_read, values, starts[kept], lengths)
        return Contents(
            [self._ids[k] for k in kept],
            {
                name: StreamTokens(specs[name], lengths, partial(read, columns))
                for name, columns in chosen.items()
            },
            failures=failures,
            cells={key: _with_seconds(row) for key, row in cells.items()},
            facts={"columns": {name: list(columns) for name, columns in streams.items()}},
            lines=(self._id_line, *self._numbers.lines(), *self._varying_line()),
        )

    def _varying_line(self) -> list[str]:
        """Return a line about labels that differ between the tokens of a clip, if there are any."""
        names = ", ".join(sorted(self._varying))
        return [f"differ between the rows of a clip, the first row's taken: {names}"] * bool(names)

    def _failures(
        self, values: np.ndarray, starts: np.ndarray, used: Sequence[int]
    ) -> dict[str, str]:
        """Return id of a clip with a cell that is no finite number -> row and column of it."""
        failures: dict[str, str] = {}
        step = max(1, 2**24 // max(1, values.shape[1]))
        for first in range(0, len(values), step):
            is_finite = np.isfinite(values[first : first + step][:, used])
            for row in np.flatnonzero(~is_finite.all(axis=1)).tolist():
                clip_id = self._ids[int(np.searchsorted(starts, first + row, side="right")) - 1]
                column = self._numbers.candidates[used[int(is_finite[row].argmin())]]
                failures.setdefault(
                    clip_id,
                    f"{self._path.name}: row {self._table.first_row + first + row}, column "
                    f"{column}: empty, or no finite number as {self._dtype.name}",
                )
        return failures


def _read(
    values: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    columns: Sequence[int],
    first: int,
    last: int,
) -> Ragged:
    """Return the tokens of some clips from the mapped numbers (rows, columns of the table)."""
    offsets = offsets_of(lengths[first:last])
    rows = np.repeat(starts[first:last] - offsets[:-1], lengths[first:last])
    rows += np.arange(len(rows))
    is_all = len(columns) == values.shape[1]
    found = values[rows] if is_all else values[rows][:, columns]
    return Ragged(np.ascontiguousarray(found), offsets)


def _id_columns(table: TableFile, path: Path, options: TableReadOptions) -> tuple[list[str], str]:
    """Return the columns of which ids are made, none for row numbers, and a line that says so."""
    if options.id == ROW:
        return [], "ids: the numbers of the rows, from 0 (-o id=#row)"
    if options.id and options.id not in table.names:
        parts = list(dict.fromkeys(_PART.findall(options.id)))
        for name in parts or [options.id]:
            if name not in table.names:
                raise StoreError(f"{path}: {unknown('column', name, table.names)}")
        return parts, f"ids: {options.id}"
    if options.id:
        return [options.id], f"ids: column {options.id}"
    lower = {name.lower(): name for name in reversed(table.names)}
    found = next((lower[name] for name in _IDS if name in lower), None)
    if found is None:
        raise StoreError(
            f"{path}: no column of clip ids; it has {', '.join(table.names[:12])}. Name one with "
            "-o id=COLUMN, or number the rows with -o id=#row"
        )
    return [found], f"ids: column {found} (-o id=COLUMN names another)"


def _whole(cell: object) -> object:
    """Return a cell of an id; whole numbers that pandas made floats become whole again."""
    return int(cell) if isinstance(cell, float) and cell.is_integer() else cell


def _bare(word: str) -> str:
    """Return an id without the quotes of openSMILE's csvSink, whose CSV has 'a.wav' for a.wav."""
    return word[1:-1] if len(word) > 2 and word[0] == word[-1] == "'" else word


def _with_seconds(cells: Mapping[str, str]) -> dict[str, str]:
    """Return cells in which audformat's ``start`` and ``end`` are seconds of a manifest.

    >>> _with_seconds({"start": "0 days 00:00:01.500000", "label": "joy"})
    {'start_seconds': '1.5', 'label': 'joy'}

    An end that is empty or ``NaT`` beside such a start is the end of the file.
    """
    found = {}
    times = {name: _TIME.fullmatch(cells.get(name, "")) for name in ("start", "end")}
    for name, cell in cells.items():
        time = times.get(name)
        if time is None:
            if name in times and cell in ("", "NaT") and any(times.values()):
                found[f"{name}_seconds"] = ""
            else:
                found[name] = cell
            continue
        days, hours, minutes, seconds = (float(part) for part in time.groups())
        total = days * 86400 + hours * 3600 + minutes * 60 + seconds
        found[f"{name}_seconds"] = f"{total:.9f}".rstrip("0").rstrip(".")
    return found
