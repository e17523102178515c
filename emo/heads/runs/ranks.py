"""The table of ranks in a run of `emo retrieve`: one row for each query."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emo.errors import FitError
from emo.heads.metrics.retrieval import RankCounts
from emo.heads.runs.files import write_table
from emo.manifest.rows import read_rows

RANKS_FILE = "ranks.csv"
"""File of a run of `emo retrieve` with the rank of each query."""


@dataclass(frozen=True, eq=False)
class QueryRanks:
    """The ranks of the right items of some queries."""

    queries: Sequence[str]
    """The Q queries."""
    truths: Sequence[str]
    """The right item of each query."""
    counts: RankCounts
    """Items above and beside the right one of each query."""

    def select(self, kept: Sequence[int]) -> "QueryRanks":
        """Return the ranks of some queries, by their indices."""
        own = RankCounts(*(each[[*kept]] for each in (
            self.counts.greater, self.counts.equal, self.counts.own)))  # fmt: skip
        return QueryRanks([self.queries[k] for k in kept], [self.truths[k] for k in kept], own)

    @property
    def groups(self) -> np.ndarray:
        """int64 (Q,): number of each query's right item, over which intervals are drawn."""
        return np.asarray(np.unique([*self.truths], return_inverse=True)[1], np.int64)


def has_ranks(run: Path) -> bool:
    """Return whether a folder is a run of `emo retrieve`."""
    return (run / RANKS_FILE).is_file()


def write_ranks(folder: Path, ranks: QueryRanks) -> None:
    """Write ``ranks.csv``: query, right item, mean rank over the orders of ties, tied items."""
    write_table(
        folder / RANKS_FILE,
        {"query": [*ranks.queries], "truth": [*ranks.truths], "rank": ranks.counts.ranks,
         "ties": ranks.counts.equal},
    )  # fmt: skip


def read_ranks(run: Path) -> QueryRanks:
    """Read the ranks of a run of `emo retrieve`.

    Raises:
        EmoError: no such table, a column is missing, a query occurs twice or a cell is no rank.
    """
    file = run / RANKS_FILE
    rows = read_rows(file)
    try:
        queries, truths, ranks, ties = (
            rows.columns[key] for key in ("query", "truth", "rank", "ties")
        )
    except KeyError as error:
        raise FitError(f"{file}: expected a column {error.args[0]}") from error
    if len(set(queries)) < len(queries):
        twice = next(each for each in queries if queries.count(each) > 1)
        raise FitError(f"{file}: query {twice!r} occurs twice; rank them again")
    rank, equal = _numbers(ranks, file), _numbers(ties, file)
    greater = rank - 1 - equal / 2
    bad = np.flatnonzero((greater < 0) | (greater % 1 != 0) | (equal < 0) | (equal % 1 != 0))
    if len(bad):
        row = int(bad[0])
        raise FitError(
            f"{file}: {rows.origins[row]}: rank {ranks[row]} does not go with {ties[row]} ties; "
            "rank them again"
        )
    ones = np.ones(len(rank), np.int64)
    counts = RankCounts(greater.astype(np.int64), equal.astype(np.int64), ones)
    return QueryRanks(queries, truths, counts)


def _numbers(cells: Sequence[str], file: Path) -> np.ndarray:
    """Return float64 (Q,), the numbers in the cells of a column.

    Raises:
        FitError: a cell holds none.
    """
    found = np.full(len(cells), np.nan)
    for row, cell in enumerate(cells):
        try:
            found[row] = float(cell)
        except ValueError:
            break
    if not np.isfinite(found).all():
        odd = cells[int(np.flatnonzero(~np.isfinite(found))[0])]
        raise FitError(f"{file}: expected a number, got {odd!r}")
    return found
