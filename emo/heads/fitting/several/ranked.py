"""The heads that were tried on the same clips: their runs, ranked by val, or why there is none."""

import csv
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from emo.errors import FitError, plural
from emo.heads.metrics.measures import HEADLINES, title_of
from emo.heads.runs.comparing.compare import scored_run
from emo.heads.runs.files import known_number
from emo.machine.table import fit_lines, format_table

FitStatus = Literal["fitted", "skipped", "failed"]


@dataclass(frozen=True)
class Tried:
    """One head, and how its fit ended."""

    head: str
    """Name of the head."""
    run: Path
    """Folder of its run, whether it was written or not."""
    status: FitStatus = "skipped"
    """``skipped``: it does not suit the clips or takes too long; ``failed``: its fit did not end
    with a run."""
    reason: str = ""
    """Why it was skipped or failed, as a sentence."""
    notes: tuple[str, ...] = ()
    """What was done differently for this head."""

    def ended(self, status: FitStatus, reason: str = "") -> Self:
        """Return a copy that says how the fit ended."""
        return dataclasses.replace(self, status=status, reason=reason)


@dataclass(frozen=True, eq=False)
class HeadRuns:
    """The heads that were tried on the same clips."""

    tried: tuple[Tried, ...]
    """All heads, in the order in which they were tried."""

    @property
    def ranked(self) -> list[Tried]:
        """Heads that have a run, the best on val first."""
        fitted = [found for found in self.tried if found.status == "fitted"]
        return sorted(fitted, key=lambda found: -val_score(found.run)[1])

    @property
    def exit_code(self) -> int:
        """Exit code of the command: 3 if a fit failed, else 0."""
        return 3 if any(found.status == "failed" for found in self.tried) else 0

    @property
    def looks(self) -> int:
        """How many settings were scored on these test clips, those of earlier runs included.

        0: there is no test split.
        """
        runs = [scored_run(found.run, None) for found in self.ranked]
        before = [run.document["settings_before"] for run in runs if run.split == "test"]
        return 1 + max(before) if before else 0

    def reasons(self) -> list[str]:
        """Return a sentence on each head that has no run, and on what was done differently."""
        lost = [each for each in self.tried if each.status != "fitted"]
        return [
            *(f"{each.head}: {each.status}: {each.reason}" for each in lost),
            *(f"{each.head}: {note}" for each in self.ranked for note in each.notes),
        ]

    def records(self) -> list[dict[str, object]]:
        """Return a record for each head: scores as numbers where it has a run, else the reason."""
        records: list[dict[str, object]] = []
        for found in self.ranked:
            run = scored_run(found.run, None)
            headline = HEADLINES[run.target.task]
            low, high = run.interval(str(run.document.get("drawn", "")))
            records.append(
                {"head": found.head, "status": "fitted", "val": val_score(found.run)[1],
                 "is_chosen": not records, "scored_on": run.split,
                 headline: known_number(run.metrics["mean"][headline]), "low": low, "high": high,
                 "seconds": run.document["seconds"], "run": str(found.run), "reason": ""}
            )  # fmt: skip
        lost = [each for each in self.tried if each.status != "fitted"]
        empty = dict.fromkeys(records[0], None) if records else {}
        return records + [
            {**empty, "head": each.head, "status": each.status, "is_chosen": False,
             "reason": each.reason}
            for each in lost
        ]  # fmt: skip

    def rows(self) -> list[dict[str, object]]:
        """Return a row for each run, the best on val first, with its scores on test."""
        rows: list[dict[str, object]] = []
        for found in self.ranked:
            run = scored_run(found.run, None)
            name, score = val_score(found.run)
            title = title_of(HEADLINES[run.target.task])
            own = run.row(str(run.document.get("drawn", "")))
            row: dict[str, object] = {"head": found.head, f"val {title_of(name)}": score}
            if run.split == "test":
                row |= {f"test {title}": own[title], "95 % interval": own["95 % interval"]}
            rows.append(
                {**row, "seconds": f"{run.document['seconds']:.1f}", "run": str(found.run),
                 "": "" if rows else "← val's choice"}
            )  # fmt: skip
        return rows

    def table(self) -> str:
        """Return the table of the runs, what val chose, and why other heads have no run."""
        best = self.ranked[0].head
        told = f"val chooses {best}"
        if self.looks:
            told += (
                f"; test was looked at under {plural(self.looks, 'setting')}: report the test "
                "score of val's choice, and how many were tried"
            )
        if any(scored_run(found.run, None).is_transductive for found in self.ranked):
            told += (
                "; transductive: scaled by speaker, with the scored clips too, but no label of them"
            )
        notes = [fit_lines(f"- {line}") for line in self.reasons()]
        parts = [format_table(self.rows()), fit_lines(told), "\n".join(notes)]
        return "\n\n".join(filter(None, parts))


def val_score(run: Path) -> tuple[str, float]:
    """Return the name of the score by which val chose a run's rounds, and its mean over seeds.

    Higher is better.

    Raises:
        FitError: the run has no readable ``history.csv``.
    """
    path = run / "history.csv"
    best: dict[str, float] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            column = next(
                name for name in reader.fieldnames or ()
                if name.startswith("val_") and name != "val_loss"
            )  # fmt: skip
            for row in reader:
                if row["is_best"] == "True":
                    best[row["seed"]] = float(row[column])
        return column.removeprefix("val_"), sum(best.values()) / len(best)
    except (OSError, StopIteration, KeyError, ValueError, ZeroDivisionError) as error:
        raise FitError(f"{path}: cannot be read: {error}; fit the run again") from error
