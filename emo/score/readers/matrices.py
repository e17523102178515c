"""Read scores of queries by items: a table of pairs, ALPRO's results.json or an npz file."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emo.errors import ScoreError
from emo.machine.untrusted.npy import array_header
from emo.manifest.tables.text_table import TextTable
from emo.score.readers.answers import find_column, is_number, read_json, read_table

QUERY_COLUMNS = ("query", "query_id", "txt_id", "text_id")
"""Names by which the column of queries is found, tried in this order."""
ITEM_COLUMNS = ("item", "item_id", "vid_id", "video_id", "clip")
"""Names by which the column of items is found, tried in this order."""
MOST_SCORES = 2**30
"""Largest number of scores in a matrix that is read, 4 GiB as float32."""


@dataclass(frozen=True, eq=False)
class ScoreMatrix:
    """Scores of queries by items, as a file holds them."""

    queries: Sequence[str]
    """The Q queries."""
    items: Sequence[str]
    """The M items."""
    scores: np.ndarray
    """float (Q, M)."""


def read_matrix(path: Path, columns: Mapping[str, str]) -> ScoreMatrix:
    """Read a table ``query,item,score``, ALPRO's results.json, or an npz matrix.

    Args:
        path: the file.
        columns: names of columns that the user gives: ``id`` and ``prediction`` (the score).

    Raises:
        ScoreError: the file is none of them, or a pair of a query and an item is missing.
    """
    if path.suffix.lower() == ".npz":
        return _read_npz(path)
    if path.suffix.lower() == ".json":
        document = read_json(path)
        if isinstance(document, list) and all(isinstance(row, dict) for row in document):
            rows = _json_columns(document, path)
        else:
            raise ScoreError(f'{path}: expected [{{"vid_id": …, "txt_id": …, "score": …}}, …]')
    else:
        rows = read_table(path)
    query = find_column(rows, path, QUERY_COLUMNS, given=columns.get("id"), option="id")
    item = find_column(rows, path, ITEM_COLUMNS, given=None, option="item")
    score = find_column(rows, path, ("score", "sim"), given=columns.get("prediction"),
                        option="prediction")  # fmt: skip
    queries, items, cells = (rows.columns[name] for name in (query, item, score))
    return _matrix(path, queries, items, cells, rows.origins)


def _matrix(
    path: Path, queries: Sequence[str], items: Sequence[str], cells: Sequence[str],
    origins: Sequence[str],
) -> ScoreMatrix:  # fmt: skip
    """Build the matrix of a list of scores.

    Raises:
        ScoreError: a pair is missing or occurs twice, or a score is not a number.
    """
    rows, columns = ({name: k for k, name in enumerate(dict.fromkeys(each))}
                     for each in (queries, items))  # fmt: skip
    _check_cells_count(len(rows) * len(columns), path)
    if not len(cells):
        raise ScoreError(f"{path}: no scores")
    where = np.array([rows[q] * len(columns) + columns[i]
                      for q, i in zip(queries, items, strict=True)])  # fmt: skip
    times = np.bincount(where, minlength=len(rows) * len(columns))
    for count, words in ((times > 1, "has several scores"), (times == 0, "has no score")):
        if count.any():
            pair = int(np.flatnonzero(count)[0])
            query, item = [*rows][pair // len(columns)], [*columns][pair % len(columns)]
            raise ScoreError(
                f"{path}: query {query!r} {words} for item {item!r}; ranks need one score for "
                f"each of the {len(rows):,} × {len(columns):,} pairs"
            )
    try:
        values = np.array(cells, np.float64)
    except ValueError:
        bad = next(k for k, cell in enumerate(cells) if not is_number(cell))
        raise ScoreError(f"{path}: {origins[bad]}: score {cells[bad]!r} is no number") from None
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ScoreError(f"{path}: {origins[bad]}: score {cells[bad]!r} is not finite")
    scores = np.empty(len(times))
    scores[where] = values
    return ScoreMatrix([*rows], [*columns], scores.reshape(len(rows), len(columns)))


def _json_columns(document: Sequence[Mapping[str, Any]], path: Path) -> TextTable:
    """Return the entries of a JSON list as columns of text; numbers keep all their digits."""
    names = dict.fromkeys(name for row in document[:1] for name in row)
    if any(row.keys() < names.keys() for row in document):
        raise ScoreError(f"{path}: expected the keys {', '.join(names)} in each entry")
    columns = {
        name: [each if isinstance(each := row[name], str) else json.dumps(each) for row in document]
        for name in names
    }
    return TextTable(columns, [f"entry {k}" for k in range(1, len(document) + 1)])


def _read_npz(path: Path) -> ScoreMatrix:
    """Read the arrays ``scores``, ``queries`` and ``items`` of an npz file.

    Raises:
        ScoreError: an array is missing, or its shape does not fit.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    _check_cells_count(array_header(member, name)[0], path)
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in ("scores", "queries", "items")}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise ScoreError(
            f"{path}: expected an npz file with the arrays scores (Q, M), queries (Q,) and "
            f"items (M,): {error}"
        ) from error
    scores, queries, items = found["scores"], found["queries"], found["items"]
    if scores.shape != (queries.size, items.size) or not scores.size:
        raise ScoreError(
            f"{path}: expected scores of shape ({queries.size}, {items.size}), as queries and "
            f"items have, got {scores.shape}"
        )
    if scores.dtype.kind not in "fiu" or not np.isfinite(scores).all():
        raise ScoreError(f"{path}: scores: expected finite numbers")
    names = [[str(each) for each in array.ravel().tolist()] for array in (queries, items)]
    for kind, each in zip(("queries", "items"), names, strict=True):
        if len(set(each)) < len(each):
            raise ScoreError(f"{path}: {kind}: expected different ids")
    return ScoreMatrix(names[0], names[1], scores)


def _check_cells_count(count: int, path: Path) -> None:
    """Raise ScoreError when a matrix has more cells than are read."""
    if count > MOST_SCORES:
        raise ScoreError(f"{path}: more than {MOST_SCORES:,} scores; score parts of the queries")
