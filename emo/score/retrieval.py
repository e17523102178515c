"""`emo score --metric retrieval`: rank the items of a file of scores, or read a run's ranks."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from emo.errors import ScoreError
from emo.heads.metrics.retrieval import RankCounts, rank_intervals, ranks_of_matrix
from emo.heads.runs.ranks import RANKS_FILE, has_ranks, read_ranks
from emo.manifest.tables.text_table import TextTable
from emo.score.readers.answers import ALL, IDS, find_column, read_table, split_of
from emo.score.readers.gold import chosen_split
from emo.score.readers.matrices import ScoreMatrix, read_matrix
from emo.score.report import Scored

TRUTH_COLUMNS = ("clip", "item", "video_id", "video", "truth", "gold")
"""Names by which the column of right items is found in gold, tried in this order."""
DIRECTIONS = {"own": "video_to_text", "grouped": "grouped"}
"""Value of ``--video-to-text`` -> direction, see
:func:`emo.heads.metrics.retrieval.ranks_of_matrix`."""


def truth_of(
    path: Path, columns: Mapping[str, str], split: str | None
) -> tuple[dict[str, str], str]:
    """Return query -> its right item, and the split that they are of.

    Args:
        path: the file of captions.
        columns: names of columns that the user gives: ``gold_id`` and ``label``.
        split: the split to score; None: test if there is one, else all.

    Raises:
        ScoreError: the file cannot be read, or no query has a right item.
    """
    rows = read_table(path)
    split = chosen_split(rows, path, split)
    if split != ALL and "split" in rows.columns:
        kept = [k for k, cell in enumerate(rows.columns["split"]) if split_of(cell) == split]
        names = {name: [cells[k] for k in kept] for name, cells in rows.columns.items()}
        rows = TextTable(names, [rows.origins[k] for k in kept])
    truth = _truth(path, rows, columns)
    if not truth:
        raise ScoreError(f"{path}: no query has a right item in split {split}")
    return truth, split


def score_ranks(
    path: Path, name: str, truth: Mapping[str, str], gold: Path, columns: Mapping[str, str],
    video_to_text: str,
) -> Scored:  # fmt: skip
    """Score a file of scores, or a run of `emo retrieve`.

    Args:
        path: the file; or the folder of the run, or the file of ranks in it.
        name: its name in the report.
        truth: query -> its right item.
        gold: the file of captions, for errors.
        columns: names of columns that the user gives.
        video_to_text: ``own`` or ``grouped``: the rule for items with several queries.

    Raises:
        ScoreError: it cannot be scored.
    """
    if video_to_text not in DIRECTIONS:
        raise ScoreError(
            f"--video-to-text {video_to_text}: expected one of {', '.join(DIRECTIONS)}"
        )
    if path.name == RANKS_FILE and path.is_file():
        path = path.parent
    if has_ranks(path):
        return _score_run(path, name, truth, gold)
    return _score_matrix(read_matrix(path, columns), name, truth, path, gold, video_to_text)


def _score_run(path: Path, name: str, truth: Mapping[str, str], gold: Path) -> Scored:
    """Score the ranks that a run of `emo retrieve` holds."""
    found = read_ranks(path)
    kept = [k for k, query in enumerate(found.queries) if truth.get(query) == found.truths[k]]
    if not kept:
        raise ScoreError(f"{path / RANKS_FILE}: no query of {gold} with its right item is in it")
    found = found.select(kept)
    counts = found.counts
    notes = [f"queries: {len(kept):,}; queries whose right item ties with a wrong one: "
             f"{counts.tied:,}"]  # fmt: skip
    if len(kept) < len(truth):
        notes.append(
            f"{len(truth) - len(kept):,} of {len(truth):,} queries in {gold} have no rank, and "
            "are left out"
        )
    intervals = rank_intervals(counts, found.groups)
    return Scored(name, counts.scores(), notes=tuple(notes), intervals=intervals)


def _score_matrix(
    matrix: ScoreMatrix, name: str, truth: Mapping[str, str], path: Path, gold: Path,
    video_to_text: str,
) -> Scored:  # fmt: skip
    """Rank the items for each query, and the queries for each item.

    The scores of the items as queries have ``v2t_`` before their names.

    Args:
        matrix: the scores.
        name: name of the file in the report.
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
    right = np.array([position[truth[matrix.queries[k]]] for k in rows])
    table = matrix.scores[rows]
    counts = ranks_of_matrix(table, right, "text_to_video")
    back = ranks_of_matrix(table, right, DIRECTIONS[video_to_text])
    mark = "v2t_" if video_to_text == "own" else "v2t_grouped_"
    scores = counts.scores() | {mark + key: value for key, value in back.scores().items()}
    notes = _notes(matrix, truth, gold, counts, len(set(right.tolist())))
    groups = np.array([matrix.items[k] for k in right.tolist()])  # as for a run with these ranks
    return Scored(name, scores, notes=notes, intervals=rank_intervals(counts, groups))


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


def _truth(path: Path, rows: TextTable, columns: Mapping[str, str]) -> dict[str, str]:
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
