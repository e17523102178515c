"""Paired bootstrap: whether the difference of two runs' scores may come from the choice of clips.

Both runs are scored on the same resampled clips. Source: Berg-Kirkpatrick et al. 2012 (EMNLP).
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emo.errors import FitError
from emo.heads.data.targets import Target
from emo.heads.metrics.classes import interval_of
from emo.heads.metrics.measures import HEADLINES, drawn_words, measure, resampled, title_of
from emo.heads.runs.comparing.scored_rows import (
    has_dialogues,
    numbers_of,
    rows_by_seed,
    with_others,
)
from emo.heads.runs.files import shown_path
from emo.machine.table import format_table

if TYPE_CHECKING:
    import pandas as pd

    from emo.heads.runs.comparing.scored_run import ScoredRun


@dataclass(frozen=True)
class Difference:
    """The difference of two runs in one score, averaged over seeds."""

    first: float
    """Score of the first run."""
    second: float
    """Score of the second run."""
    interval: tuple[float, float]
    """95 % interval of ``second - first`` over resampled clips."""
    p: float = math.nan
    """Two-sided p value: twice the share of resamples whose difference is not on the side of the
    observed one, the observed one counted in; NaN: not computed."""

    @property
    def contains_zero(self) -> bool:
        """Whether the interval contains 0, so that the clips do not tell which run is better."""
        return self.interval[0] <= 0 <= self.interval[1]


@dataclass(frozen=True)
class Paired:
    """The comparison of two runs on the clips that both were scored on."""

    names: tuple[str, str]
    """Folders of the first and of the second run."""
    target: Target
    """Target that is compared."""
    rows: int
    """Number of clips (or pairs of turns) that both runs scored."""
    drawn: str
    """What was resampled, such as ``20 dialogues`` or ``120 clips``."""
    differences: dict[str, Difference]
    """Difference in each score."""
    notes: tuple[str, ...] = ()
    """What a reader of the differences must know."""
    headline: str = ""
    """Name of the score that the last sentence is about; empty: the usual one of the task."""

    def table(self) -> str:
        """Return the scores, their differences, and a sentence on the headline score."""
        rows = [
            {
                "score": title_of(name),
                self.names[0]: found.first,
                f"{self.names[1]} ": found.second,  # a run with itself has two columns, too
                "difference": _signed(found.second - found.first),
                "95 % interval": _signed(*found.interval),
                "": "contains 0" if found.contains_zero else "",
            }
            for name, found in self.differences.items()
        ]
        first, second = self.names
        return "\n".join(
            [
                f"{second} − {first} on {self.target.name}: {self.rows:,} rows that both scored",
                "",
                format_table(rows),
                f"paired bootstrap over {self.drawn}, means over seeds",
                "",
                self._verdict(),
                *(f"- {note}" for note in self.notes),
            ]
        )

    def _verdict(self) -> str:
        """Return a sentence on which run has the better headline score, if the clips tell it."""
        name = self.headline or HEADLINES[self.target.task]
        found = self.differences[name]
        if found.contains_zero:
            return f"{title_of(name)}: the interval contains 0; no difference is shown."
        is_second = (found.second > found.first) != (self.target.task == "regress")
        better = self.names[1] if is_second else self.names[0]
        return f"{title_of(name)}: the interval does not contain 0; {better} is better."


def paired_bootstrap(
    first: "ScoredRun", second: "ScoredRun", *, seed: int = 0, over: str = ""
) -> Paired:
    """Compute the differences of two runs' scores and their 95 % intervals.

    Clips are resampled, or whole dialogues where the manifest has them; in each resample both runs
    are scored on the same clips. The interval does not cover the choice of seeds.

    Args:
        first: the run whose scores are subtracted.
        second: the run from whose scores they are subtracted.
        seed: seed of the resamples.
        over: ``clip``, ``dialogue`` or a column of the manifest that is resampled; empty: dialogues
            if one of the runs has any, else clips.

    Raises:
        FitError: the runs predict different targets, share no clip, or differ in a label.
    """
    names = (shown_path(first.path), shown_path(second.path))
    if (first.target.name, first.target.task) != (second.target.name, second.target.task):
        raise FitError(
            f"{names[0]} predicts {first.target.name} ({first.target.task}), {names[1]} "
            f"{second.target.name} ({second.target.task}); choose one with --target"
        )
    tables = [rows_by_seed(run.predictions()) for run in (first, second)]
    ours, theirs = (next(iter(table.values())) for table in tables)
    common = sorted(set(ours.index) & set(theirs.index))
    if not common:
        raise FitError(f"{names[0]} and {names[1]} were tested on no clip in common")
    _expect_same_labels(names, ours.loc[common], theirs.loc[common])
    notes = []
    if first.split != second.split:
        notes.append(
            f"{names[0]} scored these clips as {first.split}, {names[1]} as {second.split}: what "
            "is chosen on val scores too well there"
        )
    if len(common) < max(len(ours), len(theirs)):
        notes.append(
            f"{names[0]} scored {len(ours):,} rows, {names[1]} {len(theirs):,}; "
            f"the difference is on the {len(common):,} of both"
        )
    classes = list(dict.fromkeys([*first.target.classes, *second.target.classes]))
    if first.has_others or second.has_others:
        every = [rows.loc[common, "prediction"] for table in tables for rows in table.values()]
        classes = with_others(classes, ours.loc[common, "label"], *every)
    target = first.target
    scale = target.scale if target.scale == second.target.scale else "any"
    gold = numbers_of(target, classes, ours.loc[common, "label"])
    predicted = [
        np.stack([numbers_of(target, classes, table.loc[common, "prediction"])
                  for table in seeds.values()])
        for seeds in tables
    ]  # fmt: skip
    knowing, rows = first, ours.loc[common]
    if not over and not has_dialogues(rows) and has_dialogues(theirs.loc[common]):
        knowing, rows = second, theirs.loc[common]
    groups = knowing.groups(rows, over)
    drawn = drawn_words(knowing.drawn_over(over), len(common), groups)
    width = len(classes)
    points = [measure(target.task, gold, p, classes=width, scale=scale) for p in predicted]
    draws = [
        resampled(target.task, gold, p, classes=width, scale=scale, groups=groups, seed=seed)
        for p in predicted
    ]
    differences = {
        name: Difference(
            float(points[0][name].mean()),
            float(points[1][name].mean()),
            interval_of(draws[1][name] - draws[0][name]),
            p_value(draws[1][name] - draws[0][name]),
        )
        for name in points[0]
    }
    return Paired(names, target, len(common), drawn, differences, tuple(notes))


def p_value(differences: np.ndarray) -> float:
    """Return the two-sided p value of differences on resampled clips, (resamples,).

    >>> p_value(np.array([0.1, 0.2, 0.1])), p_value(np.array([-1.0, 1.0, 1.0]))
    (0.5, 1.0)
    """
    if np.isnan(differences).any():
        return math.nan
    least = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return min(1.0, 2 * (1 + least) / (1 + len(differences)))


def _signed(*numbers: float) -> str:
    """Return numbers with their signs, or that they are undefined."""
    if any(map(math.isnan, numbers)):
        return "undefined"
    return " – ".join(f"{number:+.3f}" for number in numbers)


def _expect_same_labels(
    names: tuple[str, str], ours: "pd.DataFrame", theirs: "pd.DataFrame"
) -> None:
    """Raise if a clip has different labels in the two runs."""
    differ = np.flatnonzero((ours["label"] != theirs["label"]).to_numpy())
    if len(differ):
        row = int(differ[0])
        raise FitError(
            f"{len(differ)} clips have other labels in {names[1]} than in {names[0]}, "
            f"{ours['id'].iloc[row]!r}: {theirs['label'].iloc[row]!r}, not "
            f"{ours['label'].iloc[row]!r}; fit both on the same manifest"
        )
