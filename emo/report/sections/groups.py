"""Results by the values of a column, such as speaker, with intervals that small groups can bear."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emo.heads.metrics.by_column import MOST_VALUE_ROWS, NO_VALUE, rows_by_value
from emo.report.context import Context
from emo.report.rows import RunRows

FEW = 10
"""Number of rows below which a group has no interval."""
MOST_LARGE = 15
"""Largest number of groups that are shown at once."""
_Z = 1.959964
"""Quantile of the normal distribution for a 95 % interval."""


@dataclass(frozen=True)
class GroupRow:
    """The rows with one value of a column."""

    value: str
    """The value."""
    rows: int
    """Number of rows."""
    score: float
    """Accuracy, or mean absolute error of a number, as the mean over seeds."""
    interval: tuple[float, float] | None
    """95 % interval of Wilson; None: fewer than ``FEW`` rows, or a number."""
    expected: float | None
    """Accuracy that the recalls of the classes give for this group's labels; None: not known."""


@dataclass(frozen=True)
class GroupTable:
    """Results by the values of one column."""

    column: str
    """Name of the column."""
    measure: str
    """``accuracy`` or ``MAE``."""
    rows: tuple[GroupRow, ...]
    """A row for each of the commonest values."""
    left_out: int
    """Number of values that the table leaves out."""

    @property
    def large(self) -> tuple[GroupRow, ...]:
        """The groups that are shown at once: those of ``FEW`` rows, and at most ``MOST_LARGE``."""
        return self.rows[: max(1, min(MOST_LARGE, sum(row.rows >= FEW for row in self.rows)))]

    @property
    def small(self) -> tuple[GroupRow, ...]:
        """Smaller groups, which open on demand."""
        return self.rows[len(self.large) :]


def group_tables(rows: RunRows, context: Context) -> tuple[GroupTable, ...]:
    """Return a table for each column that was asked for, or for speaker."""
    columns = context.options.by or ("speaker",)
    clips = context.manifests.clips(rows.run.document)
    found = []
    for column in dict.fromkeys(columns) if clips else ():
        value = context.manifests.value
        values = [value(rows.run.document, each, column) for each in rows.ids]
        if not any(values):
            if context.options.by:
                context.manifests.note(f"no scored clip has a value of column {column}")
            continue
        found.append(_table(rows, column, values, context))
    return tuple(found)


def _table(rows: RunRows, column: str, values: Sequence[str], context: Context) -> GroupTable:
    """Return the results by the values of one column."""
    every = rows_by_value(values)
    is_number = rows.task == "regress"
    right = rows.errors if is_number else rows.is_right.mean(0)
    expected = None if is_number else _expected(rows)
    found = []
    for value, own in list(every.items())[:MOST_VALUE_ROWS]:
        score = float(right[own].mean())
        has_interval = not is_number and len(own) >= FEW
        found.append(GroupRow(
            context.names.of(column, value) or NO_VALUE, len(own), score,
            wilson(score, len(own)) if has_interval else None,
            None if expected is None else float(expected[own].mean()),
        ))  # fmt: skip
    return GroupTable(
        column, "MAE" if is_number else "accuracy", tuple(found),
        max(0, len(every) - MOST_VALUE_ROWS),
    )  # fmt: skip


def _expected(rows: RunRows) -> np.ndarray | None:
    """Return float64 (N,): recall of each row's label over all rows; None: several labels."""
    if rows.task not in ("classify", "pairs"):
        return None
    counts = rows.confusion
    recalls = np.diagonal(counts) / np.maximum(counts.sum(1), 1)
    return np.asarray(recalls[rows.labels])


def wilson(share: float, count: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share of some rows.

    A bootstrap of rows that are all right would have no width. Source: Wilson 1927.

    >>> low, high = wilson(1.0, 13)
    >>> round(low, 2), high
    (0.77, 1.0)
    """
    middle = share + _Z**2 / (2 * count)
    half = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    below = 1 + _Z**2 / count
    return max(0.0, (middle - half) / below), min(1.0, (middle + half) / below)
