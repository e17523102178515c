"""Paired bootstrap of two runs of `emo retrieve`: differences in R@K, MedR and MeanR."""

from typing import TYPE_CHECKING

import numpy as np

from emo.errors import FitError
from emo.heads.data.interval_groups import CLIP
from emo.heads.metrics.classes import interval_of
from emo.heads.metrics.measures import drawn_words
from emo.heads.metrics.retrieval import rank_draws
from emo.heads.runs.comparing.paired_bootstrap import Difference, Paired, p_value
from emo.heads.runs.files import shown_path
from emo.heads.runs.ranks import has_ranks, read_ranks

if TYPE_CHECKING:
    from emo.heads.runs.comparing.scored_run import ScoredRun

TIES_NOTE = (
    "items that tie with the right one share their ranks, as in emo score --metric retrieval"
)
"""Note under the differences."""


def are_ranked(*runs: "ScoredRun") -> bool:
    """Return whether all runs are of `emo retrieve`, so that their ranks can be compared."""
    return all(has_ranks(run.path) for run in runs)


def paired_ranks(
    first: "ScoredRun", second: "ScoredRun", *, seed: int = 0, over: str = ""
) -> Paired:
    """Compute the differences of two retrievals and their 95 % intervals.

    Whole items are resampled with their queries; in each resample both runs are scored on the same
    queries.

    Args:
        first: the run whose scores are subtracted.
        second: the run from whose scores they are subtracted.
        seed: seed of the resamples.
        over: ``clip`` or a column of the captions that is resampled; empty: the right items.

    Raises:
        FitError: the runs share no query, or a query has another right item.
    """
    names = (shown_path(first.path), shown_path(second.path))
    tables = [read_ranks(run.path) for run in (first, second)]
    rows_of_queries = [{query: k for k, query in enumerate(table.queries)} for table in tables]
    common = sorted(rows_of_queries[0].keys() & rows_of_queries[1].keys())
    if not common:
        raise FitError(f"{names[0]} and {names[1]} ranked no query in common")
    ours, theirs = (
        table.select([rows_of_query[query] for query in common])
        for table, rows_of_query in zip(tables, rows_of_queries, strict=True)
    )
    for query, one, other in zip(common, ours.truths, theirs.truths, strict=True):
        if one != other:
            raise FitError(
                f"query {query!r} has the right item {one!r} in {names[0]}, and {other!r} in "
                f"{names[1]}; rank both by the same captions"
            )
    notes = [TIES_NOTE]
    if len(common) < max(len(tables[0].queries), len(tables[1].queries)):
        notes.append(
            f"{names[0]} ranked {len(tables[0].queries):,} queries, {names[1]} "
            f"{len(tables[1].queries):,}; the difference is on the {len(common):,} of both"
        )
    groups, drawn = ours.groups, "item"
    if over:
        rows = first.predictions().set_index("id", drop=False).loc[common]
        found, drawn = first.groups(rows, over), over
        groups = np.arange(len(common)) if found is None else found
    points = [table.counts.scores() for table in (ours, theirs)]
    draws = [rank_draws(table.counts, groups, seed=seed) for table in (ours, theirs)]
    differences = {
        name: Difference(
            points[0][name],
            points[1][name],
            interval_of(draws[1][name] - draws[0][name]),
            p_value(draws[1][name] - draws[0][name]),
        )
        for name in points[0]
    }
    words = "queries" if drawn == CLIP else drawn_words(drawn, len(common), groups)
    return Paired(names, first.target, len(common), words, differences, tuple(notes), "r@1")
