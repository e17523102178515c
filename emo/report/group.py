"""Runs of one target that were scored on the same rows with the same labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emo.heads.data.targets import Target
from emo.heads.metrics.measures import drawn_words
from emo.heads.runs.comparing.scored_rows import rows_by_seed
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
    def over(self) -> str:
        """What intervals are drawn over where all runs agree; empty: dialogues or clips."""
        found = {str(run.document.get("drawn", "")) for run in self.runs}
        return found.pop() if len(found) == 1 else ""

    def units(self, run: ScoredRun) -> np.ndarray | None:
        """Return int64 (rows,), the dialogue, speaker … of each row that intervals are drawn over.

        Returns:
            None where single rows are drawn.

        Raises:
            FitError: the run's manifest, which has the column, cannot be read.
        """
        return run.groups(next(iter(rows_by_seed(run.predictions()).values())), self.over)

    def drawn(self, run: ScoredRun) -> str:
        """Return what the interval of a run is drawn over, in words such as ``280 dialogues``."""
        over = run.drawn_over(self.over)
        if "drawn" in run.metrics and run.document.get("drawn") == over:
            return str(run.metrics["drawn"])
        return drawn_words(over, len(self.rows[run.path]), self.units(run))

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
