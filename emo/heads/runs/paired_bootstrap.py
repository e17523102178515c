"""Paired bootstrap: whether the difference of two runs' scores may come from the choice of clips.

Both runs are scored on the same resampled clips. Source: Berg-Kirkpatrick et al. 2012 (EMNLP).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emo.errors import FitError
from emo.heads.data.targets import Target
from emo.heads.metrics.classes import interval_of
from emo.heads.metrics.measures import HEADLINES, measure, resampled, title_of
from emo.manifest.tasks import parts
from emo.table import format_table

if TYPE_CHECKING:
    import pandas as pd

    from emo.heads.runs.scored_run import ScoredRun


@dataclass(frozen=True)
class Difference:
    """The difference of two runs in one score, averaged over seeds."""

    first: float
    """Score of the first run."""
    second: float
    """Score of the second run."""
    interval: tuple[float, float]
    """95 % interval of ``second - first`` over resampled clips."""

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

    def table(self) -> str:
        """Return the scores, their differences, and a sentence on the headline score."""
        rows = [
            {
                "score": title_of(name),
                self.names[0]: found.first,
                f"{self.names[1]} ": found.second,  # a run with itself has two columns, too
                "difference": f"{found.second - found.first:+.3f}",
                "95 % interval": "{:+.3f} – {:+.3f}".format(*found.interval),
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
        name = HEADLINES[self.target.task]
        found = self.differences[name]
        if found.contains_zero:
            return f"{title_of(name)}: the interval contains 0; no difference is shown."
        is_second = (found.second > found.first) != (self.target.task == "regress")
        better = self.names[1] if is_second else self.names[0]
        return f"{title_of(name)}: the interval does not contain 0; {better} is better."


def paired_bootstrap(first: "ScoredRun", second: "ScoredRun", *, seed: int = 0) -> Paired:
    """Compute the differences of two runs' scores and their 95 % intervals.

    Clips are resampled, or whole dialogues where the manifest has them; in each resample both runs
    are scored on the same clips. The interval does not cover the choice of seeds.

    Args:
        first: the run whose scores are subtracted.
        second: the run from whose scores they are subtracted.
        seed: seed of the resamples.

    Raises:
        FitError: the runs predict different targets, share no clip, or differ in a label.
    """
    names = (str(first.path), str(second.path))
    if (first.target.name, first.target.task) != (second.target.name, second.target.task):
        raise FitError(
            f"{names[0]} predicts {first.target.name} ({first.target.task}), {names[1]} "
            f"{second.target.name} ({second.target.task}); choose one with --target"
        )
    tables = [_by_seed(run.predictions()) for run in (first, second)]
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
    target = first.target
    scale = target.scale if target.scale == second.target.scale else "any"
    gold = _numbers(target, classes, ours.loc[common, "label"])
    predicted = [
        np.stack([_numbers(target, classes, table.loc[common, "prediction"])
                  for table in seeds.values()])
        for seeds in tables
    ]  # fmt: skip
    groups, drawn = _groups(ours.loc[common], theirs.loc[common])
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
        )
        for name in points[0]
    }
    return Paired(names, target, len(common), drawn, differences, tuple(notes))


def _by_seed(table: "pd.DataFrame") -> dict[str, "pd.DataFrame"]:
    """Return the rows of each seed, indexed by clip (or pair of clips)."""
    keys = table["id"] + "\t" + table["cause_id"] if "cause_id" in table else table["id"]
    table = table.set_index(keys)
    return {str(seed): rows for seed, rows in table.groupby("seed", sort=False)}


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


def _groups(ours: "pd.DataFrame", theirs: "pd.DataFrame") -> tuple[np.ndarray | None, str]:
    """Return the dialogue of each row, int64 (rows,), and what is resampled, in words.

    The dialogues are None if neither run has any; then clips are resampled.
    """
    for table in (ours, theirs):
        if "dialogue" in table:
            own = "clip\t" + table["id"]
            names = table["dialogue"].where(table["dialogue"] != "", own).to_numpy(str)
            _, groups = np.unique(names, return_inverse=True)
            return groups, f"{len(set(groups)):,} dialogues"
    return None, f"{len(ours):,} clips"


def _numbers(target: Target, classes: list[str], cells: "pd.Series[str]") -> np.ndarray:
    """Return cells as numbers that :func:`emo.heads.metrics.measures.measure` reads.

    Returns:
        float64 (rows,) numbers, int64 (rows, C) of 0 and 1 for several labels, or int64 (rows,)
        classes.
    """
    if target.task == "regress":
        return cells.to_numpy(np.float64)
    if target.task == "multilabel":
        return np.array([[name in parts(cell) for name in classes] for cell in cells], np.int64)
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers[cell] for cell in cells], dtype=np.int64)
