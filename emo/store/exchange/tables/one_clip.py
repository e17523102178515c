"""Read tables that hold the tokens of one clip each: a row for each token."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import pyarrow.compute as pc

from emo.errors import StoreError
from emo.machine.untrusted.budget import Budget
from emo.store.exchange.labels import cell_text, is_label_name
from emo.store.exchange.tables.columns import ColumnOptions, choose_columns
from emo.store.exchange.tables.file import open_table

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")
Keep = Callable[[Mapping[str, np.ndarray]], np.ndarray]
"""Function from columns of facts, float64 (rows,) each, to bool (rows,): which rows are tokens."""


@dataclass(frozen=True)
class TokenTable:
    """The tokens of one clip."""

    streams: Mapping[str, np.ndarray]
    """Stream -> float32 (T, D)."""
    facts: Mapping[str, np.ndarray]
    """Column that is no feature -> float64 (rows,)."""
    cells: Mapping[str, str]
    """Column that is called as labels are -> its cell, where all rows have the same."""


class UnfitClip(StoreError):
    """The table of one clip has no rows, or lacks a number; other clips may be read."""

    def __init__(self, message: str, cells: Mapping[str, str] = MappingProxyType({})) -> None:
        """Take the message, and the labels of the clip: column -> cell."""
        super().__init__(message)
        self.cells = dict(cells)


class UndecidedClip(StoreError):
    """A table with an empty column, when no table told yet whether that column holds numbers."""


class TokenTables:
    """Reads tables whose columns must agree."""

    def __init__(
        self,
        options: ColumnOptions,
        budget: Budget,
        *,
        stream: str,
        facts: Sequence[str] = (),
        keep: Keep | None = None,
    ) -> None:
        """Take what all tables have in common.

        Args:
            options: the columns to take.
            budget: bytes that may be taken.
            stream: name of the stream of columns that no other stream is named for.
            facts: columns that are no features and are returned beside them.
            keep: which rows are tokens; None: all.
        """
        self._options, self._budget, self._stream = options, budget, stream
        self._facts, self._keep = facts, keep
        self._first: Path | None = None
        self.columns: Mapping[str, list[str]] = {}
        """Stream -> its columns."""
        self.lines: list[str] = []
        """Lines for people about columns that are no features."""
        self.varying: set[str] = set()
        """Columns of labels whose cells differ between the rows of a clip."""
        self._is_decided = False

    def read_each(
        self, items: Sequence[_Item], read: Callable[[_Item], _Found]
    ) -> Iterator[tuple[_Item, _Found | UnfitClip]]:
        """Yield each item with what ``read`` returns, or with why its clip cannot be read.

        Tables with an empty column come last as long as no other table tells the columns.

        Args:
            items: clips, or their files.
            read: reads one of them, with :meth:`read` if it is a table.
        """
        late = []
        for item in items:
            try:
                yield item, read(item)
            except UndecidedClip:
                late.append(item)
            except UnfitClip as error:
                yield item, error
        self._is_decided = True
        for item in late:
            try:
                yield item, read(item)
            except UnfitClip as error:
                yield item, error

    def read(self, file: Path) -> TokenTable:
        """Read one table.

        Raises:
            UnfitClip: there are no rows, or a number of a token is missing or not finite.
            UndecidedClip: a column is empty in the first table.
            StoreError: no table, or other columns than in the first one.
        """
        where = str(file)
        with open_table(file, self._options, self._budget) as table:
            named = [name for name in self._facts if name in table.names]
            numbers = choose_columns(table, where, self._options, self._stream, named)
            beside = (
                choose_columns(table, where, ColumnOptions(columns=",".join(named)), "", ())
                if named else None
            )  # fmt: skip
            blocks, facts = [], []
            seen: dict[str, set[str]] = {n: set() for n in numbers.skipped if is_label_name(n)}
            for batch in table.batches:
                facts.append(beside.block(batch) if beside else np.zeros((batch.num_rows, 0)))
                with np.errstate(over="ignore"):
                    blocks.append(numbers.block(batch).astype(np.float32))
                self._budget.take(blocks[-1].nbytes, where)
                for name, words in seen.items():
                    words |= set(map(cell_text, pc.unique(batch.column(name))[:2].to_pylist()))
            if not blocks or not sum(map(len, blocks)):
                raise UnfitClip(f"{file}: has no rows")
            columns = numbers.features()
        cells = {name: next(iter(words)) for name, words in seen.items() if len(words) == 1}
        empty = [name for name in numbers.candidates if name not in numbers.are_numbers]
        self._check(file, columns, empty, cells)
        self.varying |= {name for name, words in seen.items() if len(words) > 1}
        self.lines = self.lines or numbers.lines()
        found = dict(zip(named, np.concatenate(facts).T, strict=True))
        values: np.ndarray = np.concatenate(blocks)
        try:
            keep = np.ones(len(values), bool) if self._keep is None else self._keep(found)
        except StoreError as error:
            raise StoreError(f"{file}: {error}") from error
        positions = {name: position for position, name in enumerate(numbers.candidates)}
        streams = {}
        for stream, names in columns.items():
            tokens = values[:, [positions[name] for name in names]]
            wrong = np.argwhere(~np.isfinite(tokens) & keep[:, None])
            if len(wrong):
                row, column = wrong[0].tolist()
                raise UnfitClip(
                    f"{file}: row {table.first_row + row}, column {names[column]}: empty, or no "
                    "finite number as float32",
                    cells,
                )
            streams[stream] = tokens[keep]
        return TokenTable(streams, found, cells)

    def _check(
        self,
        file: Path,
        columns: Mapping[str, list[str]],
        empty: Sequence[str],
        cells: Mapping[str, str],
    ) -> None:
        """Raise StoreError unless the columns are those of the first table that was read.

        Args:
            file: the table.
            columns: stream -> its columns of numbers.
            empty: columns without any number.
            cells: labels of the clip.
        """
        if self._first is None and empty and not self._is_decided:
            raise UndecidedClip(f"{file}: column {empty[0]}: empty")
        if self._first is None:
            self._first, self.columns = file, columns
            return
        for stream, names in self.columns.items():
            other = columns[stream]
            if lost := [name for name in names if name in empty]:
                raise UnfitClip(f"{file}: column {lost[0]}: empty", cells)
            if other != names:
                differ = [n for n in names if n not in other] or [
                    n for n in other if n not in names
                ]
                what = f"column {differ[0]!r} is in one alone" if differ else "in another order"
                raise StoreError(f"{file}: other columns than {self._first}: {what}")
