"""What came of a fit: scores of every split, predictions, and the table for people."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emo.heads.data.data import Data
from emo.heads.data.targets import Target
from emo.heads.metrics.measures import HEADLINES, TITLES
from emo.heads.metrics.scores import Scores
from emo.heads.options import FitOptions
from emo.heads.presets import find_preset
from emo.heads.runs.clips_file import Known
from emo.heads.runs.predictions import prediction_frame
from emo.heads.runs.test_ledger import Earlier
from emo.heads.training.outcome import Outcome
from emo.manifest import Manifest
from emo.store.backend.location import Location
from emo.table import format_table, with_spread

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class FitResult:
    """One run: what was asked, the heads of all seeds, and how they did."""

    options: FitOptions
    head_options: Mapping[str, Any]
    """The head's options, defaults included."""
    data: Data
    manifest: Manifest
    features: tuple[Location, ...]
    outcomes: tuple[Outcome, ...]
    """One a seed."""
    all_scores: dict[str, dict[str, Scores]]
    """By target, then by split in the order train, val, test."""
    missing: dict[str, dict[str, dict[str, Scores]]]
    """By target, by variant (``without classic/audio`` …), by split val and test."""
    seconds: float
    """Of the whole fit, reading included."""
    out: Path | None
    question: str = ""
    """A name of all that was asked, see :func:`emo.heads.training.fingerprint.name_of_run`."""
    earlier: Earlier = field(default_factory=Earlier)
    """Looks at any of the same test clips before, under other settings."""
    inherited: Mapping[Path, Known] = field(default_factory=dict)
    """What the runs of ``--init`` knew."""

    @property
    def scores(self) -> dict[str, Scores]:
        """Of the first target, by split."""
        return self.all_scores[self.data.target]

    @property
    def headline(self) -> str:
        """What rounds were chosen by: ``weighted_f1`` …; ``score``: a mean over targets."""
        tasks = [target.task for target in self.data.targets]
        return HEADLINES[tasks[0]] if len(tasks) == 1 and tasks[0] != "regress" else "score"

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of the probabilities."""
        return self.data.classes

    @property
    def best(self) -> Outcome:
        """The head that the run keeps: the best on ``val``, then the lowest loss there."""
        return max(self.outcomes, key=lambda o: (o.best.val_score, -o.best.val_loss))

    @functools.cached_property
    def metrics(self) -> dict[str, Any]:
        """Of the first target, by split; see :meth:`emo.heads.metrics.scores.Scores.to_json`."""
        found: dict[str, Any] = self.all_metrics[self.data.target]
        return found

    @functools.cached_property
    def all_metrics(self) -> dict[str, dict[str, Any]]:
        """The same by target."""
        return {
            target: {split: scores.to_json() for split, scores in found.items()}
            for target, found in self.all_scores.items()
        }

    @functools.cached_property
    def predictions(self) -> "pd.DataFrame":
        """Of the first target, see :func:`emo.heads.runs.predictions.prediction_frame`."""
        return prediction_frame(self.data.targets[0], self.scores, self.data.splits)

    @functools.cached_property
    def missing_metrics(self) -> dict[str, Any]:
        """As :attr:`all_metrics`, by target and variant."""
        return {
            target: {
                variant: {split: scores.to_json() for split, scores in found.items()}
                for variant, found in variants.items()
            }
            for target, variants in self.missing.items()
            if variants
        }

    def table(self) -> str:
        """Scores by target and split, the classes of the last split, what to know about them."""
        parts = [line for target in self.data.targets for line in self._target_lines(target)]
        return "\n".join(
            [
                *parts,
                *(["", *(f"- {note}" for note in self._notes())] if self._notes() else []),
                "",
                f"{self.seconds:.1f} s" + (f"; run written to {self.out}" if self.out else ""),
            ]
        )

    @property
    def notes(self) -> list[str]:
        """What a reader of the scores must know."""
        return [*self.data.notes, *([self.earlier.note()] if self.earlier.settings else [])]

    def _notes(self) -> list[str]:
        name = self.options.preset
        return [*([f"preset {name}: {find_preset(name).source}"] if name else []), *self.notes]

    def _target_lines(self, target: Target) -> list[str]:
        found = self.all_metrics[target.name]
        last = list(found)[-1]
        streams = ", ".join(self.data.dims)
        lines = ["", ""] if target.name != self.data.target else []
        lines += [
            f"{self.options.head} on {streams} -> {target.name}",
            "",
            format_table(
                [row for split in found for row in self._rows(split, found[split])], keys=3
            ),
            self._legend(),
        ]
        if self.missing[target.name]:
            lines += ["", f"on {last} with streams taken away:", self._missing_table(target, last)]
        if target.classes:
            rows = _class_rows(found[last]["classes"])
            lines += ["", f"classes on {last} (means over seeds):", format_table(rows)]
        return lines

    def _missing_table(self, target: Target, split: str) -> str:
        whole = {"": {split: self.all_metrics[target.name][split]}}
        seeds = len(self.outcomes)
        return format_table(
            [
                {"streams": name or "all", **{
                    TITLES[score]: with_spread(value, found[split]["std"][score], seeds)
                    for score, value in found[split]["mean"].items()
                }}
                for name, found in (whole | self.missing_metrics[target.name]).items()
            ]
        )  # fmt: skip

    def _rows(self, split: str, found: Mapping[str, Any]) -> list[dict[str, object]]:
        """The head's scores, their interval if there is one, and the majority class."""
        names = found["mean"]
        seeds = len(self.outcomes)
        head = {n: with_spread(found["mean"][n], found["std"][n], seeds) for n in names}
        interval = {
            name: "{:.3f} – {:.3f}".format(*ends) for name, ends in found["interval"].items()
        }
        baseline = {name: f"{found['majority'][name]:.3f}" for name in names}
        lines = [_line(split, f"{found['clips']:,}", "head", head)]
        if interval:
            lines.append(_line("", "", "  95 % interval", interval))
        return [*lines, _line("", "", "majority class" if found["classes"] else "mean", baseline)]

    def _legend(self) -> str:
        """How to read the numbers."""
        seeds = len(self.outcomes)
        same = " (an exact solution: every seed gives the same)" if self.best.is_exact else ""
        what = "dialogues" if next(iter(self.scores.values())).groups is not None else "clips"
        interval = f", interval: bootstrap over {what}" if self._has_interval() else ""
        of = f"mean ± std over {seeds} seeds" if seeds > 1 else "one seed"
        return f"{of}{same}{interval}"

    def _has_interval(self) -> bool:
        return any(found["interval"] for found in self.metrics.values())


def titles(targets: Sequence[Target]) -> str:
    """What the loop's score on val is called."""
    tasks = [target.task for target in targets]
    name = TITLES[HEADLINES[tasks[0]]] if len(tasks) == 1 else "score"
    return f"-{name}" if tasks == ["regress"] else name


def _class_rows(classes: Mapping[str, Mapping[str, float]]) -> list[dict[str, object]]:
    return [
        {
            "class": label, "clips": int(row["clips"]), "predicted": _whole(row["predicted"]),
            "precision": row["precision"], "recall": row["recall"], "F1": row["f1"],
        }
        for label, row in classes.items()
    ]  # fmt: skip


def _whole(mean: float) -> float:
    """A mean of counts, rounded; below 1, where that would say none, as it is.

    >>> _whole(1543.6), _whole(0.0), _whole(0.5)
    (1544, 0, 0.5)
    """
    return mean if 0 < mean < 1 else round(mean)


def _line(split: str, clips: str, what: str, values: Mapping[str, str]) -> dict[str, object]:
    scores = {TITLES[name]: value for name, value in values.items()}
    return {"split": split, "clips": clips, "of": what, **scores}
