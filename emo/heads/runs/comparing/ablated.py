"""An ablation as a table: one column a stream, with a mark where a run reads it."""

from collections.abc import Sequence

from emo.heads.runs.comparing.scored_run import ScoredRun

CHECK = "✓"
"""Mark of a stream that a run reads."""


def ablated_streams(runs: Sequence[ScoredRun]) -> tuple[str, ...]:
    """Return all streams of runs of one head that differ in their streams; else nothing."""
    sets = {tuple(run.document["streams"]) for run in runs}
    heads = {str(run.document["head"]["name"]) for run in runs}
    every = tuple(dict.fromkeys(name for found in sets for name in sorted(found)))
    return tuple(sorted(every)) if len(sets) > 1 and len(heads) == 1 else ()


def marks_of(run: ScoredRun, streams: Sequence[str]) -> dict[str, str]:
    """Return a mark for each stream that a run reads, and an empty cell for each other."""
    return {name: CHECK if name in run.document["streams"] else "" for name in streams}
