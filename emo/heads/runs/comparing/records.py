"""Ranked runs as records of numbers: what JSON, CSV, LaTeX and Markdown are written from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emo.heads.metrics.measures import HEADLINES
from emo.heads.runs.comparing.ablated import ablated_streams, marks_of
from emo.heads.runs.comparing.compare import Comparison
from emo.heads.runs.comparing.scored_run import ScoredRun
from emo.heads.runs.files import known_number, shown_path


@dataclass(frozen=True, eq=False)
class RankedTable:
    """The runs of one target and task, the best first."""

    target: str
    """Name of the target."""
    headline: str
    """Name of the score that ranks."""
    is_lower_better: bool
    """Whether the headline is an error, as of numbers."""
    runs: tuple[ScoredRun, ...]
    """The runs."""
    records: tuple[dict[str, Any], ...]
    """One record a run: ``run``, ``head``, streams, ``scored_on``, ``clips``, ``seeds``, scores by
    name, ``std``, ``low``, ``high``; ``transductive`` where any run is so; with a baseline also
    ``difference``, ``difference_low``, ``difference_high``, ``p``, ``p_corrected``."""
    streams: tuple[str, ...]
    """Streams of an ablation, each a column of ``CHECK`` marks; empty: the records have one column
    ``streams``."""

    @property
    def scores(self) -> list[str]:
        """Names of all scores, the headline first."""
        names = list(self.runs[0].metrics["mean"])
        return [self.headline, *(name for name in names if name != self.headline)]

    @property
    def best(self) -> set[int]:
        """Rows with the best headline score, as it is shown with three digits."""
        values = [round(record[self.headline], 3) for record in self.records]
        best = min(values) if self.is_lower_better else max(values)
        return {row for row, value in enumerate(values) if value == best}


def tables_of(comparison: Comparison) -> list[RankedTable]:
    """Return a table of records for each target and task of a comparison."""
    groups: dict[tuple[str, str], list[ScoredRun]] = {}
    for run in comparison.runs:
        groups.setdefault((run.target.name, run.target.task), []).append(run)
    return [_table(comparison, runs) for runs in groups.values()]


def _table(comparison: Comparison, runs: Sequence[ScoredRun]) -> RankedTable:
    """Return the table of the runs of one target and task."""
    task = runs[0].target.task
    streams = ablated_streams(runs)
    records = tuple(_record(comparison, run, streams) for run in runs)
    return RankedTable(
        runs[0].target.name, HEADLINES[task], task == "regress", tuple(runs), records, streams
    )


def _record(comparison: Comparison, run: ScoredRun, streams: tuple[str, ...]) -> dict[str, Any]:
    """Return the record of one run."""
    over, own = comparison.interval_over, list(run.document["streams"])
    headline = HEADLINES[run.target.task]
    low, high = run.interval(over)
    mean = {name: known_number(value) for name, value in run.metrics["mean"].items()}
    shown = (
        marks_of(run, streams)
        if streams else {"streams": " + ".join(own)}
    )  # fmt: skip
    row = run.row(over)
    record = {
        "run": shown_path(run.path), "target": run.target.name, "head": row["head"], **shown,
        "scored_on": row["scored on"], "clips": row["clips"], "seeds": row["seeds"],
        headline: mean.pop(headline), "std": known_number(run.metrics["std"][headline]),
        "low": known_number(low), "high": known_number(high), **mean,
    }  # fmt: skip
    if any(other.is_transductive for other in comparison.runs):
        record["transductive"] = run.is_transductive
    if comparison.baseline is None:
        return record
    test = comparison.baseline.test_of(run)
    ends = test.difference.interval if test else (None, None)
    return record | {
        "difference": test and test.difference.second - test.difference.first,
        "difference_low": ends[0], "difference_high": ends[1],
        "p": test and test.difference.p, "p_corrected": test and test.corrected,
    }  # fmt: skip
