"""Columns of numbers in a table: which they are, and their cells as numbers."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from emo.errors import StoreError
from emo.machine.untrusted.documents import short_repr
from emo.plugins import unknown
from emo.store.exchange.labels import ROW_NAMES, TIME_NAMES, is_label_name
from emo.store.exchange.tables.file import TableFile, TextOptions

_MISSING = ("", "?", "nan", "na", "n/a", "#n/a", "null", "none", "nan(ind)", "#num!", "-")
"""Words of a cell without a number, in lower case and without a sign before them."""
_STREAM = re.compile(r"([A-Za-z0-9][\w.-]*)=(.+)")


@dataclass(frozen=True)
class ColumnOptions(TextOptions):
    """Options that choose the columns of a table which are features."""

    columns: str = field(
        default="*",
        metadata={
            "help": "Columns of features: names or globs, separated by commas; !GLOB leaves out, "
            "STREAM=GLOB makes a stream of its own."
        },
    )
    decimal: Literal[".", ","] = field(
        default=".", metadata={"help": "What stands before the decimals."}
    )


@dataclass(eq=False)
class NumberColumns:
    """The columns of features of a table; cells decide which hold numbers, row by row."""

    table: TableFile
    where: str
    """The file, for messages."""
    options: ColumnOptions
    streams: dict[str, list[str]]
    """Stream -> columns that may be its features."""
    skipped: list[str]
    """Columns that are labels or times by their names, or text by the type that the file says."""
    are_numbers: dict[str, bool] = field(default_factory=dict)
    """Column -> whether its cells are numbers; columns without any cell are missing."""
    row: int = 0
    """Number of rows that were read."""
    commas: bool = False
    """Whether a column is no number because of a comma before its decimals."""

    @property
    def candidates(self) -> list[str]:
        """Columns that may be features, in the order of the streams."""
        return [name for names in self.streams.values() for name in names]

    def features(self) -> dict[str, list[str]]:
        """Return stream -> its columns of numbers, after all rows were read.

        Raises:
            StoreError: a stream has none.
        """
        found = {
            stream: [name for name in names if self.are_numbers.get(name)]
            for stream, names in self.streams.items()
        }
        for stream, names in found.items():
            if not names:
                raise StoreError(
                    f"{self.where}: stream {stream!r}: none of its columns holds numbers; the "
                    f"table has {', '.join(self.table.names[:12])}{self._hint()}"
                )
        return found

    def _hint(self) -> str:
        """Return what may help when no column holds numbers."""
        if not self.row:
            return "; it has no rows"
        if self.commas:
            return "; its cells have commas: -o decimal=, if these stand before the decimals"
        has_blanks = len(self.table.names) == 1 and " " in self.table.names[0].strip()
        return "; -o delimiter=' ' if blanks separate its cells" if has_blanks else ""

    def lines(self) -> list[str]:
        """Return lines for people about the columns that are no features."""
        empty = [n for n in self.candidates if n not in self.are_numbers]
        texts = [n for n in self.candidates if self.are_numbers.get(n) is False]
        declared = [n for n in self.skipped if self.table.kinds.get(n) == "text"]
        skipped = [n for n in self.skipped if n not in declared]
        features = [name for names in self.features().values() for name in names]
        groups = {
            f"features, {len(features):,} columns": features,
            "labels or text, as the file says": declared,
            "left out because of their names (times, labels, ids)": skipped,
            "no numbers, left out": texts, "empty, left out": empty,
        }  # fmt: skip
        return [f"{what}: {_few(names)}" for what, names in groups.items() if names]

    def block(self, batch: pa.RecordBatch) -> np.ndarray:
        """Return the next rows as float64 (rows, candidates); cells without a number are NaN.

        Raises:
            StoreError: a column of numbers has a word in a row.
        """
        names = self.candidates
        found = np.full((batch.num_rows, len(names)), np.nan)
        for position, name in enumerate(names):
            if self.are_numbers.get(name) is not False:
                found[:, position] = self._column(name, batch.column(name))
        self.row += batch.num_rows
        return found

    def _column(self, name: str, cells: pa.Array) -> np.ndarray:
        """Return float64 (rows,), the numbers of a column; NaN for all if it is of text."""
        if not pa.types.is_string(cells.type):
            if self.table.kinds.get(name) == "number":
                self.are_numbers[name] = True
                plain = cells.dictionary_decode() if pa.types.is_dictionary(cells.type) else cells
                return np.asarray(
                    plain.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64
                )
            self.are_numbers[name] = False
            return np.full(len(cells), np.nan)
        words = pc.utf8_trim_whitespace(cells)
        if self.options.decimal == ",":
            words = pc.replace_substring(words, ",", ".")
        bare = pc.utf8_ltrim(pc.utf8_lower(words), "+-")
        is_missing = pc.is_in(bare, value_set=pa.array(_MISSING))
        words = pc.if_else(is_missing, pa.scalar(None, pa.string()), words)
        if words.null_count == len(words):
            return np.full(len(cells), np.nan)
        try:
            numbers = pc.cast(words, pa.float64()).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            return self._slowly(name, words.to_pylist())
        self.are_numbers[name] = True
        return np.asarray(numbers, np.float64)

    def _slowly(self, name: str, words: Sequence[str | None]) -> np.ndarray:
        """Parse a column of which Arrow could not; find the first word that is no number."""
        numbers = np.full(len(words), np.nan)
        for position, word in enumerate(words):
            if word is None:
                continue
            try:
                numbers[position] = float("x" if "_" in word else word)
            except ValueError:
                if name not in self.are_numbers:
                    self.commas |= re.fullmatch(r"[+-]?\d*,\d+", word) is not None
                    self.are_numbers[name] = False
                    return np.full(len(words), np.nan)
                raise StoreError(
                    f"{self.where}: row {self.table.first_row + self.row + position}, column "
                    f"{short_repr(name)}: {short_repr(word)} is no number, and the rows before "
                    f"are; leave the column out with -o columns='*,!{name}'"
                ) from None
            self.are_numbers[name] = True
        return numbers


def choose_columns(
    table: TableFile, where: str, options: ColumnOptions, stream: str, taken: Sequence[str]
) -> NumberColumns:
    """Choose the columns of a table that may be features.

    Args:
        table: the table.
        where: the file, for messages.
        options: the globs.
        stream: name of the stream of columns that no other stream is named for.
        taken: columns that are ids or labels.

    Raises:
        StoreError: a glob matches no column, or two streams take one column.
    """
    streams: dict[str, list[str]] = {}
    left_out: set[str] = set()
    skipped: list[str] = []
    pool = [name for name in table.names if name not in taken]
    for word in filter(None, (word.strip() for word in options.columns.split(","))):
        named = _STREAM.fullmatch(word)
        owner, glob = (named[1], named[2]) if named and word not in table.names else (stream, word)
        is_out = glob.startswith("!")
        found = [name for name in pool if _matches(name, glob.removeprefix("!"))]
        if not found and not any(_matches(name, glob.removeprefix("!")) for name in table.names):
            raise StoreError(f"{where}: {unknown('column', glob.removeprefix('!'), table.names)}")
        if is_out:
            left_out |= set(found)
            continue
        if glob == "*":
            skipped = [name for name in found if _is_no_feature(name, table)]
            found = [name for name in found if name not in skipped]
            found = [name for name in found if table.kinds.get(name) != "list"]
        streams.setdefault(owner, []).extend(found)
    if not streams and left_out:
        skipped = [name for name in pool if _is_no_feature(name, table)]
        streams[stream] = [name for name in pool if name not in skipped]
    chosen = {
        owner: [name for name in dict.fromkeys(names) if name not in left_out]
        for owner, names in streams.items()
    }
    every = [name for names in chosen.values() for name in names]
    if twice := [name for name, count in Counter(every).items() if count > 1]:
        raise StoreError(f"{where}: column {twice[0]!r} is in two streams of -o columns")
    if not every:
        raise StoreError(f"{where}: no column of features; it has {', '.join(table.names[:12])}")
    return NumberColumns(table, where, options, chosen, skipped)


def matching(names: Sequence[str], globs: str) -> list[str]:
    """Return the names that match one of some globs, which commas separate."""
    return [n for n in names if any(_matches(n, glob.strip()) for glob in globs.split(","))]


def _matches(name: str, glob: str) -> bool:
    """Return whether a name matches a glob of ``*`` and ``?``; brackets stand for themselves.

    >>> _matches("mfcc[0]_mean", "mfcc[0]*"), _matches("AU01_r", "AU??_c")
    (True, False)
    """
    pattern = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in glob)
    return re.fullmatch(pattern, name, re.DOTALL) is not None


def _is_no_feature(name: str, table: TableFile) -> bool:
    """Return whether a column is a label, a time, an id or a row number by its name or type.

    Nominal attributes of ARFF are text, even if the words of their classes are numbers.
    """
    if table.kinds.get(name) == "text":
        return True
    bare = name.lower()
    words = (*TIME_NAMES, *ROW_NAMES)
    return bare in words or is_label_name(name) or bare.startswith(("__index_level_", "unnamed: "))


def _few(names: Sequence[Any]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(short_repr(str(name), 40).strip("'") for name in names[:8]) + more
