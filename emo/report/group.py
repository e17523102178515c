"""Runs of one target that were scored on the same rows with the same labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emo.heads.data.targets import Target
from emo.heads.runs.comparing.scored_run import ScoredRun
from emo.report.rows import RunRows


@dataclass(frozen=True, eq=False)
class Group:
    """Runs of one target that were scored on the same rows with the same labels."""

    runs: tuple[ScoredRun, ...]
    """The runs in the order in which they were named."""
    rows: Mapping[Path, RunRows]
    """Predictions of each run."""

    @property
    def ranked(self) -> tuple[ScoredRun, ...]:
        """The runs, the best first."""
        return tuple(sorted(self.runs, key=lambda run: run.rank))

    @property
    def target(self) -> Target:
        """Target of the first run."""
        return self.runs[0].target


def groups_of(rows: Sequence[RunRows]) -> list[Group]:
    """Return runs grouped by target, task, split, rows and labels, in the order of the runs."""
    found: dict[Any, list[RunRows]] = {}
    for own in rows:
        labels = own.run.predictions()
        labels = labels[labels["seed"] == own.seeds[0]]
        keys = [name for name in ("id", "cause_id", "label") if name in labels]
        same = frozenset(labels[keys].itertuples(index=False, name=None))
        key = own.run.target.name, own.run.target.task, own.run.split, same
        found.setdefault(key, []).append(own)
    return [
        Group(tuple(own.run for own in group), {own.run.path: own for own in group})
        for group in found.values()
    ]


def by_split(run: ScoredRun) -> Mapping[str, Any]:
    """Return the scores of a run's target by split, as in its ``run.json``."""
    found: Mapping[str, Any] = (
        run.document["metrics"]
        if run.target.name == run.document["target"]
        else run.document["metrics_of_others"][run.target.name]
    )
    return found
