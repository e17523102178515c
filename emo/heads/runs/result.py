"""The result of a fit: scores of each split, predictions, and the table that is printed."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emo.heads.data.data import Data
from emo.heads.data.targets import Target
from emo.heads.head import TEMPERATURE
from emo.heads.metrics.by_column import cut_line, table_rows
from emo.heads.metrics.measures import HEADLINES, title_of
from emo.heads.metrics.ranked import MANY_CLASSES, MOST_PROBABLE
from emo.heads.metrics.scores import Scores
from emo.heads.options import FitOptions
from emo.heads.presets import find_preset
from emo.heads.runs.figures.class_names import class_names
from emo.heads.runs.files import MOST_PICTURED, known_number
from emo.heads.runs.predictions import prediction_frame
from emo.heads.runs.test_ledger import EarlierScorings
from emo.heads.training.outcome import Outcome
from emo.machine.table import format_table, with_spread
from emo.manifest import Manifest
from emo.store.adapted import ClipIds
from emo.store.backend.location import Location

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class FitResult:
    """One run: its options, the heads of all seeds, and their scores."""

    options: FitOptions
    """Options of the fit."""
    head_options: Mapping[str, Any]
    """The head's own options, defaults included."""
    data: Data
    """Clips of the fit."""
    manifest: Manifest
    """Manifest of the clips."""
    features: tuple[Location, ...]
    """Locations of the stores."""
    outcomes: tuple[Outcome, ...]
    """Outcomes of all seeds."""
    all_scores: dict[str, dict[str, Scores]]
    """Scores by target, then by split in the order train, val, test."""
    missing: dict[str, dict[str, dict[str, Scores]]]
    """Scores without some streams: by target, by variant (``without classic/audio`` …), by split
    (val and test)."""
    seconds: float
    """Duration of the whole fit, reading included."""
    out: Path | None
    """Folder of the run; None: it was not written."""
    question: str = ""
    """Hash of options and clips, see :func:`emo.heads.training.fingerprint.hash_of_run`."""
    earlier: EarlierScorings = field(default_factory=EarlierScorings)
    """Runs with other settings that were scored on some of the same test clips before."""
    before_search: Mapping[str, Any] = field(default_factory=dict)
    """Entries ``head`` and ``options`` of ``run.json`` as they were before ``--search`` changed
    them; empty: there was no search."""
    inherited: Mapping[Path, ClipIds] = field(default_factory=dict)
    """Clips of each run of ``--init``."""

    @property
    def scores(self) -> dict[str, Scores]:
        """Scores of the first target by split."""
        return self.all_scores[self.data.target]

    @property
    def headline(self) -> str:
        """Name of the score that chose the rounds; ``score``: the mean over targets, or -MAE."""
        if self.options.loop.choose_by and len(self.data.targets) == 1:
            return self.options.loop.choose_by
        tasks = [target.task for target in self.data.targets]
        return HEADLINES[tasks[0]] if len(tasks) == 1 and tasks[0] != "regress" else "score"

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the first target's classes, in the order of the probabilities."""
        return self.data.classes

    @property
    def best(self) -> Outcome:
        """Outcome of the seed that the run keeps: best score on ``val``, then lowest loss."""
        return max(self.outcomes, key=lambda o: (o.best.val_score, -o.best.val_loss))

    @property
    def written_outcomes(self) -> tuple[Outcome, ...]:
        """Outcomes that the files hold: of an exact head the first, because all seeds give it."""
        return self.outcomes[:1] if self.best.is_exact else self.outcomes

    def written_scores(self, scores: Scores) -> Scores:
        """Return the scores of the seeds of :attr:`written_outcomes` alone."""
        return scores.select([outcome.seed for outcome in self.written_outcomes])

    @functools.cached_property
    def metrics(self) -> dict[str, Any]:
        """Scores of the first target by split, as numbers for ``run.json``.

        See :meth:`emo.heads.metrics.scores.Scores.to_json`.
        """
        found: dict[str, Any] = self.all_metrics[self.data.target]
        return found

    @functools.cached_property
    def all_metrics(self) -> dict[str, dict[str, Any]]:
        """Scores by target and split, as numbers for ``run.json``."""
        return {
            target: {split: scores.to_json() for split, scores in found.items()}
            for target, found in self.all_scores.items()
        }

    @functools.cached_property
    def predictions(self) -> "pd.DataFrame":
        """Predictions of the first target, see
        :func:`emo.heads.runs.predictions.prediction_columns`.
        """
        written = {split: self.written_scores(scores) for split, scores in self.scores.items()}
        return prediction_frame(
            self.data.targets[0], written, self.data.splits,
            all_classes=self.options.all_probabilities,
        )  # fmt: skip

    @functools.cached_property
    def missing_metrics(self) -> dict[str, Any]:
        """Scores without some streams by target, variant and split, as numbers for ``run.json``."""
        return {
            target: {
                variant: {split: scores.to_json() for split, scores in found.items()}
                for variant, found in variants.items()
            }
            for target, variants in self.missing.items()
            if variants
        }

    def table(self) -> str:
        """Return scores by target and split, classes of the last split, and notes, as text."""
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
        earlier = [self.earlier.note()] if self.earlier.settings else []
        return [*self.data.notes, *self._notes_on_temperatures(), *earlier]

    def _notes_on_temperatures(self) -> list[str]:
        """Return a note on each temperature other than 1 that the kept head fitted on val."""
        found = self.best.kept.get(TEMPERATURE)
        values = [] if found is None else found.tolist()
        return [
            f"{target.name}: the fused probabilities have temperature {value:.2f}, fitted on val"
            for target, value in zip(self.data.targets, values, strict=False)
            if value != 1
        ]

    def _notes(self) -> list[str]:
        """Return the notes, after one on the preset if there is one."""
        name = self.options.preset
        first = [f"preset {name}: {find_preset(name).source}"] if name else []
        return [*first, *self.notes, *self._notes_on_pictures()]

    def _notes_on_pictures(self) -> list[str]:
        """Return a note on each picture of confusion whose classes are numbered on this machine.

        ``run.json`` does not hold them, because another machine has other fonts.
        """
        names = {
            target.name: class_names(target.classes).note
            for target in self.data.targets
            if self.out and target.task in ("classify", "pairs")
            and len(target.classes) <= MOST_PICTURED
        }  # fmt: skip
        return [
            f"picture of the confusion of {name}: {note}" for name, note in names.items() if note
        ]

    def _target_lines(self, target: Target) -> list[str]:
        """Return the lines of the table that are about one target."""
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
            self._legend(found),
        ]
        for column, by_value in found[last].get("by", {}).items():
            rows = table_rows(column, by_value, title_of)
            more = cut_line(column, by_value)
            lines += ["", f"on {last} by {column}:", format_table(rows), *([more] if more else [])]
        if self.missing[target.name]:
            lines += ["", f"on {last} with streams taken away:", self._missing_table(target, last)]
        if len(target.classes) > MOST_PICTURED:
            lines += ["", _many_classes(target, all_classes=self.options.all_probabilities)]
        elif target.classes:
            rows = _class_rows(found[last]["classes"])
            lines += ["", f"classes on {last} (means over seeds):", format_table(rows)]
        return lines

    def _missing_table(self, target: Target, split: str) -> str:
        """Return the scores of a split with all streams and without some, as text."""
        whole = {"": {split: self.all_metrics[target.name][split]}}
        seeds = len(self.outcomes)
        return format_table(
            [
                {"streams": name or "all", **{
                    title_of(score): _spread(found[split], score, seeds)
                    for score in found[split]["mean"]
                }}
                for name, found in (whole | self.missing_metrics[target.name]).items()
            ]
        )  # fmt: skip

    def _rows(self, split: str, found: Mapping[str, Any]) -> list[dict[str, object]]:
        """Return a split's rows: the head's scores, their interval if any, and the baseline."""
        names = found["mean"]
        seeds = len(self.outcomes)
        head = {name: _spread(found, name, seeds) for name in names}
        interval = {
            name: "undefined" if None in ends else "{:.3f} – {:.3f}".format(*ends)
            for name, ends in found["interval"].items()
        }
        baseline = {
            name: with_spread(known_number(found["majority"][name]), 0, 1) for name in names
        }
        lines = [_line(split, f"{found['clips']:,}", "head", head)]
        if interval:
            lines.append(_line("", "", "  95 % interval", interval))
        return [*lines, _line("", "", "majority class" if found["classes"] else "mean", baseline)]

    def _legend(self, found: Mapping[str, Any]) -> str:
        """Return a line that explains the numbers of a target's table, given scores by split."""
        seeds = len(self.outcomes)
        same = " (an exact solution: every seed gives the same)" if self.best.is_exact else ""
        drawn = {split: each["drawn"] for split, each in found.items() if each["interval"]}
        what = " and ".join(f"{words} of {split}" for split, words in drawn.items())
        if all(words.endswith(" clips") for words in drawn.values()):
            what = "clips"
        interval = f", interval: bootstrap over {what}" if drawn else ""
        of = f"mean ± std over {seeds} seeds" if seeds > 1 else "one seed"
        is_undefined = any(
            value is None
            for each in found.values()
            for values in (each["mean"], each["majority"])
            for value in values.values()
        )
        undefined = "; undefined: Pearson where all numbers are equal" if is_undefined else ""
        return f"{of}{same}{interval}{undefined}"


def score_title(targets: Sequence[Target], choose_by: str = "") -> str:
    """Return the name of the score on val by which rounds are chosen, for the progress bar."""
    tasks = [target.task for target in targets]
    name = title_of(choose_by or HEADLINES[tasks[0]]) if len(tasks) == 1 else "score"
    return f"-{name}" if tasks == ["regress"] else name


def _class_rows(classes: Mapping[str, Mapping[str, float]]) -> list[dict[str, object]]:
    """Return a row of the table for each class."""
    return [
        {
            "class": label, "clips": int(row["clips"]), "predicted": _whole(row["predicted"]),
            "precision": row["precision"], "recall": row["recall"], "F1": row["f1"],
        }
        for label, row in classes.items()
    ]  # fmt: skip


def _spread(found: Mapping[str, Any], score: str, seeds: int) -> str:
    """Return the mean of a score with its standard deviation over seeds, as text."""
    mean, std = (known_number(found[name][score]) for name in ("mean", "std"))
    return with_spread(mean, std, seeds)


def _many_classes(target: Target, *, all_classes: bool) -> str:
    """Return a line on what is not shown of a target with many classes, and where it is."""
    count = len(target.classes)
    shortened = (
        f"; files of predictions hold the {MOST_PROBABLE} most probable classes of each row "
        "(--all-probabilities: all)"
    )
    is_shortened = count > MANY_CLASSES and not all_classes
    return (
        f"{count:,} classes: their scores are in run.json, and there is no picture above "
        f"{MOST_PICTURED} classes{shortened if is_shortened else ''}"
    )


def _whole(mean: float) -> float:
    """Round a mean of counts, but return a mean between 0 and 1 as it is.

    >>> _whole(1543.6), _whole(0.0), _whole(0.5)
    (1544, 0, 0.5)
    """
    return mean if 0 < mean < 1 else round(mean)


def _line(split: str, clips: str, what: str, values: Mapping[str, str]) -> dict[str, object]:
    """Return one row of the table of scores."""
    scores = {title_of(name): value for name, value in values.items()}
    return {"split": split, "clips": clips, "of": what, **scores}
