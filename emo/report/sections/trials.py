"""The trials of a search, from ``search.csv`` of a run."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from emo.errors import FitError
from emo.machine.untrusted.files import UnfitFileError, read_regular

MOST_TRIALS = 10
"""Largest number of trials that are shown, the best ones."""
_MOST_BYTES = 2**26


def best_trials(run: Path) -> tuple[tuple[Mapping[str, str], ...], int]:
    """Return the best trials of a search, a mapping of column -> cell each, and their number.

    Args:
        run: folder of a run; one without a search has none.

    Raises:
        FitError: the table is damaged.
    """
    file = run / "search.csv"
    if not file.is_file():
        return (), 0
    try:
        data = read_regular(file, most_bytes=_MOST_BYTES, follow_links=True)
        rows = list(csv.DictReader(io.StringIO(data.decode())))
        found = [row for row in rows if row["val_score"]]
        found.sort(key=lambda row: (-float(row["val_score"]), int(row["number"])))
    except (OSError, UnfitFileError, csv.Error, ValueError, KeyError) as error:
        raise FitError(f"{file}: no table of trials: {error!r}; fit the run again") from error
    titles = {"number": "trial", "val_score": "score on val"}
    shown = [
        {
            titles.get(name, name): cell
            for name, cell in row.items()
            if isinstance(cell, str) and name
        }
        for row in found[:MOST_TRIALS]
    ]
    return tuple(shown), len(rows)
