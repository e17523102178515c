"""Rows of a run's predictions as numbers, by seed, and the values of a column of its manifest."""

import functools
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emo.errors import EmoError, FitError
from emo.heads.data.interval_groups import DIALOGUE, value_of
from emo.heads.data.targets import Target
from emo.machine.untrusted.documents import shortened
from emo.machine.untrusted.files import read_regular
from emo.manifest import Clip, read_manifest
from emo.manifest.tables.spreadsheet import table_file
from emo.manifest.tasks import parts

if TYPE_CHECKING:
    import pandas as pd


MOST_PREDICTION_BYTES = 2**32
"""Largest table of predictions that is read, 4 GiB."""


def read_predictions(path: Path, target: Target, *, has_others: bool = False) -> "pd.DataFrame":
    """Read a run's table of predictions, with cells as text.

    Args:
        path: the table.
        target: target that it predicts.
        has_others: whether labels may be classes that the head did not learn (--top-classes).

    Raises:
        FitError: no such file, no such table, or a cell that is no answer to the target.
    """
    import pandas as pd  # a second to import

    try:
        data = read_regular(path, most_bytes=MOST_PREDICTION_BYTES, follow_links=True)
        table = pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False)
    except FileNotFoundError as error:
        raise FitError(f"{path}: no such file; fit the run again") from error
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no CSV, not UTF-8
        raise FitError(
            f"{path}: no table of predictions: {shortened(str(error))}; fit the run again"
        ) from error
    wanted = ["id", "split", "seed", "label", "prediction"]
    wanted += ["cause_id"] if target.task == "pairs" else []
    lacking = [name for name in wanted if name not in table]
    if lacking:
        raise FitError(f"{path}: expected a column {lacking[0]!r}, found none; fit the run again")
    for name in ("prediction",) if has_others else ("label", "prediction"):
        cells = table[name]  # with --top-classes, a row without tokens has no prediction
        if odd := _odd_cell(target, cells[cells != ""] if has_others else cells):
            raise FitError(
                f"{path}: column {name}: expected {_answers(target)}, got "
                f"{shortened(odd, 60)!r}; fit the run again"
            )
    return table


def _odd_cell(target: Target, cells: "pd.Series[str]") -> str | None:
    """Return a cell that is no answer to a target; None: all are."""
    found = cells.unique().tolist()
    if target.task == "regress":
        return next((cell for cell in found if not _is_number(cell)), None)
    if target.task == "multilabel":
        return None  # unknown labels count for no class
    known = set(target.classes)
    return next((cell for cell in found if cell not in known), None)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell == ""
    return True


def _answers(target: Target) -> str:
    """Return what a target's cells must be, in words."""
    return "numbers" if target.task == "regress" else f"a class of {target.name}"


def rows_by_seed(table: "pd.DataFrame") -> dict[str, "pd.DataFrame"]:
    """Return the rows of each seed, indexed by clip (or pair of clips)."""
    keys = table["id"] + "\t" + table["cause_id"] if "cause_id" in table else table["id"]
    table = table.set_index(keys)
    return {str(seed): rows for seed, rows in table.groupby("seed", sort=False)}


def has_dialogues(table: "pd.DataFrame") -> bool:
    """Return whether any row of a table of predictions has a dialogue."""
    return DIALOGUE in table and bool((table[DIALOGUE] != "").any())


def numbers_of(target: Target, classes: Sequence[str], cells: "pd.Series[str]") -> np.ndarray:
    """Return cells as numbers that :func:`emo.heads.metrics.measures.measure` reads.

    Args:
        target: the target that the cells are of.
        classes: names of the classes.
        cells: labels or predictions.

    Returns:
        float64 (rows,) numbers, int64 (rows, C) of 0 and 1 for several labels, or int64 (rows,)
        classes.
    """
    if target.task == "regress":
        return cells.to_numpy(np.float64)
    if target.task == "multilabel":
        return np.array([[name in parts(cell) for name in classes] for cell in cells], np.int64)
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers[cell] for cell in cells], dtype=np.int64)


def with_others(classes: Sequence[str], *cells: "pd.Series[str]") -> list[str]:
    """Return the classes, and behind them other cells, sorted.

    They are labels that the head did not learn, and ``""``, the prediction of a row without tokens.

    Args:
        classes: the classes that are learnt.
        cells: labels and predictions.
    """
    found = {cell for each in cells for cell in each.unique()}
    return list(dict.fromkeys([*classes, *sorted(found - set(classes))]))


def values_of_column(run: Path, document: Mapping[str, Any], column: str) -> dict[str, str]:
    """Return the value of a column for each clip, by id, from the manifest of a run.

    Args:
        run: folder of the run.
        document: contents of its ``run.json``.
        column: column of the manifest.

    Raises:
        FitError: the manifest cannot be read, or is not the one that the run was fitted on.
    """
    own = document["manifest"]
    columns = tuple(sorted(own.get("columns", {}).items()))
    hint = f"{run}: --interval-over {column} reads the manifest that the run was fitted on"
    try:
        path = Path(own["path"])
        sha256, clips = _read_clips(path, columns, table_file(path).stat().st_mtime_ns)
    except (EmoError, OSError) as error:
        raise FitError(f"{hint}: {error}") from error
    if sha256 != own["sha256"]:
        raise FitError(f"{hint}; {own['path']} has changed since. Fit the run again.")
    return {clip.id: value_of(clip, column) for clip in clips}


@functools.lru_cache(maxsize=4)
def _read_clips(
    path: Path, columns: tuple[tuple[str, str], ...], modified: int
) -> tuple[str, tuple[Clip, ...]]:
    """Read a manifest, once for all runs that were fitted on it.

    Args:
        path: path of the manifest.
        columns: renamed columns, see :attr:`emo.manifest.Manifest.columns`.
        modified: time of the last change, so that a changed file is read again.

    Returns:
        The hash of the file, and its clips.
    """
    manifest = read_manifest(path, columns=dict(columns))
    return manifest.sha256, manifest.clips
