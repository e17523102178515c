"""`emo score --metric retrieval`: rank the items of one file of scores or several."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from emo.errors import ScoreError
from emo.heads.metrics.retrieval import RankCounts, rank_intervals
from emo.manifest.rows import TextTable
from emo.score.answers import ALL, is_number, read_table, split_of
from emo.score.gold import chosen_split
from emo.score.report import Scored
from emo.score.retrieval import DIRECTIONS, read_matrix, read_truth, score_matrix

RANKS_FILE = "ranks.csv"
"""File of a run of `emo retrieve` with the rank of each query."""


def is_ranks(path: Path) -> bool:
    """Return whether a path is a run of `emo retrieve`."""
    return (path / RANKS_FILE).is_file()


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
    truth = read_truth(path, rows, columns)
    if not truth:
        raise ScoreError(f"{path}: no query has a right item in split {split}")
    return truth, split


def score_ranks(
    path: Path, name: str, truth: Mapping[str, str], gold: Path, columns: Mapping[str, str],
    video_to_text: str,
) -> Scored:  # fmt: skip
    """Score a file of scores, or a run of `emo retrieve`.

    Args:
        path: the file, or the folder of the run.
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
    if is_ranks(path):
        return _score_run(path, name, truth, gold)
    found = score_matrix(read_matrix(path, columns), truth, path, gold, video_to_text)
    return Scored(name, found.scores, notes=found.notes, intervals=found.intervals)


def _score_run(path: Path, name: str, truth: Mapping[str, str], gold: Path) -> Scored:
    """Score the ranks that a run of `emo retrieve` holds."""
    file = path / RANKS_FILE
    rows = read_table(file)
    try:
        queries, truths, ranks, ties = (
            rows.columns[key] for key in ("query", "truth", "rank", "ties")
        )
    except KeyError as error:
        raise ScoreError(f"{file}: expected a column {error.args[0]}") from error
    kept = [k for k, query in enumerate(queries) if truth.get(query) == truths[k]]
    if not kept:
        raise ScoreError(f"{file}: no query of {gold} with its right item is in it")
    equal, rank = _numbers(ties, kept, file), _numbers(ranks, kept, file)
    greater = rank - 1 - equal / 2
    counts = RankCounts(greater.astype(np.int64), equal.astype(np.int64), np.ones(len(kept), int))
    groups = np.unique([truths[k] for k in kept], return_inverse=True)[1]
    notes = [f"queries: {len(kept):,}; queries whose right item ties with a wrong one: "
             f"{counts.tied:,}"]  # fmt: skip
    if len(kept) < len(truth):
        notes.append(
            f"{len(truth) - len(kept):,} of {len(truth):,} queries in {gold} have no rank, and "
            "are left out"
        )
    intervals = rank_intervals(counts, groups)
    return Scored(name, counts.scores(), notes=tuple(notes), intervals=intervals)


def _numbers(cells: Sequence[str], kept: Sequence[int], file: Path) -> np.ndarray:
    """Return float64 (n,), the numbers in some cells of a column.

    Raises:
        ScoreError: a cell holds none.
    """
    found = [cells[k] for k in kept]
    odd = [cell for cell in found if not is_number(cell)]
    if odd:
        raise ScoreError(f"{file}: expected a number, got {odd[0]!r}")
    return np.array(found, np.float64)
