"""Score a table of queries by items, such as a model's scores of texts and videos, by its ranks."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emo.errors import ScoreError
from emo.heads.metrics.retrieval import RankCounts, rank_intervals, ranks_of_matrix
from emo.manifest.rows import TextTable
from emo.score.answers import IDS, find_column, is_number, read_json, read_table
from emo.untrusted.npy import array_header

QUERY_COLUMNS = ("query", "query_id", "txt_id", "text_id")
"""Names by which the column of queries is found, tried in this order."""
ITEM_COLUMNS = ("item", "item_id", "vid_id", "video_id", "clip")
"""Names by which the column of items is found, tried in this order."""
TRUTH_COLUMNS = ("clip", "item", "video_id", "video", "truth", "gold")
"""Names by which the column of right items is found in gold, tried in this order."""
DIRECTIONS = {"own": "video_to_text", "grouped": "grouped"}
"""Value of ``--video-to-text`` -> direction, see
:func:`emo.heads.metrics.retrieval.ranks_of_matrix`."""
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


@dataclass(frozen=True, eq=False)
class RetrievalScores:
    """Scores of a matrix, and what was left out."""

    scores: dict[str, float]
    """Name -> score: of the queries, then with ``v2t_`` of the items as queries."""
    intervals: dict[str, tuple[float, float]]
    """Name -> 95 % interval of the scores of the queries, drawn by item."""
    notes: tuple[str, ...]
    """Counts of queries, items and ties, and what was left out, as sentences."""
    counts: RankCounts
    """Ranks of the queries."""
    queries: tuple[str, ...]
    """The queries with a right item, in the order of ``counts``."""


def read_truth(path: Path, rows: TextTable, columns: Mapping[str, str]) -> dict[str, str]:
    """Return query -> its right item.

    Args:
        path: the file of captions, for errors.
        rows: its rows, with ids; those without a right item are left out.
        columns: names of columns that the user gives: ``gold_id`` and ``label``.

    Raises:
        ScoreError: a column is missing, or a query occurs twice.
    """
    ids = find_column(rows, path, IDS, given=columns.get("gold_id"), option="gold_id")
    column = find_column(
        rows, path, TRUTH_COLUMNS, given=columns.get("label"), option="label", but=(ids,)
    )
    truth: dict[str, str] = {}
    for query, item in zip(rows.columns[ids], rows.columns[column], strict=True):
        if query in truth:
            raise ScoreError(f"{path}: query {query!r} occurs twice; keep one")
        if item:
            truth[query] = item
    return truth


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


def score_matrix(
    matrix: ScoreMatrix, truth: Mapping[str, str], path: Path, gold: Path, video_to_text: str
) -> RetrievalScores:
    """Rank the items for each query, and the queries for each item.

    Args:
        matrix: the scores.
        truth: query -> its right item.
        path: the file of scores, for errors.
        gold: the file of captions, for errors.
        video_to_text: ``own`` or ``grouped``: the rule for items with several queries.

    Raises:
        ScoreError: no query of the file has its right item in it.
    """
    position = {item: k for k, item in enumerate(matrix.items)}
    rows = [k for k, query in enumerate(matrix.queries) if truth.get(query) in position]
    if not rows:
        raise ScoreError(
            f"{path}: no query of {gold} with its right item is in it; the file has queries such "
            f"as {matrix.queries[0]!r} and items such as {matrix.items[0]!r}"
        )
    queries = tuple(matrix.queries[k] for k in rows)
    right = np.array([position[truth[query]] for query in queries])
    table = matrix.scores[rows]
    counts = ranks_of_matrix(table, right, "text_to_video")
    back = ranks_of_matrix(table, right, DIRECTIONS[video_to_text])
    mark = "v2t_" if video_to_text == "own" else "v2t_grouped_"
    scores = counts.scores() | {mark + name: value for name, value in back.scores().items()}
    notes = _notes(matrix, truth, gold, counts, len(set(right.tolist())))
    return RetrievalScores(scores, rank_intervals(counts, right), notes, counts, queries)


def _notes(
    matrix: ScoreMatrix, truth: Mapping[str, str], gold: Path, counts: RankCounts, right: int
) -> tuple[str, ...]:
    """Return what was counted and what was left out, as sentences."""
    queries = len(counts.greater)
    found = [
        f"queries: {queries:,}; items: {len(matrix.items):,}, of which {right:,} are right ones; "
        f"queries whose right item ties with a wrong one: {counts.tied:,}"
    ]
    absent = len(truth) - queries
    if absent:
        found.append(
            f"{absent:,} of {len(truth):,} queries in {gold} have no score, or their right item "
            "has none, and are left out"
        )
    unknown = len(matrix.queries) - queries
    if unknown:
        found.append(f"{unknown:,} queries of the file are left out: no right item is known")
    return tuple(found)


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
