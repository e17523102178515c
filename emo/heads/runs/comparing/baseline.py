"""Test runs against one baseline on the same clips, with p values corrected for their number.

Source of the correction: Holm 1979 (Scandinavian Journal of Statistics 6, 65 to 70).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from emo.errors import FitError, OptionError
from emo.heads.metrics.measures import HEADLINES, title_of
from emo.heads.runs.comparing.paired_bootstrap import Difference, Paired, paired_bootstrap
from emo.heads.runs.comparing.scored_run import ScoredRun
from emo.heads.runs.files import shown_path
from emo.machine.table import fit_lines, format_table

CORRECTIONS = ("holm", "none")
"""Names of corrections of p values for the number of tests."""


@dataclass(frozen=True, eq=False)
class BaselineTest:
    """The test of one run against the baseline in the headline score."""

    run: ScoredRun
    """The run."""
    paired: Paired
    """Differences ``run - baseline`` in all scores."""
    corrected: float
    """p value of the headline score, corrected for the number of tests."""

    @property
    def difference(self) -> Difference:
        """Difference in the headline score."""
        return self.paired.differences[HEADLINES[self.run.target.task]]


@dataclass(frozen=True, eq=False)
class BaselineTests:
    """The tests of all runs against one."""

    baseline: ScoredRun
    """The run that the others are tested against."""
    tests: tuple[BaselineTest, ...]
    """A test for each other run, in the order of the ranking."""
    correction: str
    """How p values were corrected: ``holm`` or ``none``."""

    def test_of(self, run: ScoredRun) -> BaselineTest | None:
        """Return the test of a run; None: it is the baseline."""
        return next((test for test in self.tests if test.run.path == run.path), None)

    def table(self) -> str:
        """Return the differences, their intervals and p values, and what they were drawn over."""
        title = title_of(HEADLINES[self.baseline.target.task])
        rows = [
            {
                "run": shown_path(test.run.path),
                f"difference of {title}": f"{_change(test.difference):+.3f}",
                "95 % interval": "{:+.3f} – {:+.3f}".format(*test.difference.interval),
                "p": shown_p(test.difference.p),
                **({"p (Holm)": shown_p(test.corrected)} if self.correction == "holm" else {}),
            }
            for test in self.tests
        ]
        drawn = " or ".join(dict.fromkeys(test.paired.drawn for test in self.tests))
        notes = dict.fromkeys(note for test in self.tests for note in test.paired.notes)
        how = "p corrected by Holm's method" if self.correction == "holm" else "p not corrected"
        return "\n".join(
            [
                f"against the baseline {shown_path(self.baseline.path)}, "
                f"on {self.baseline.target.name}",
                "",
                format_table(rows),
                fit_lines(f"paired bootstrap over {drawn}, means over seeds; {how} for "
                          f"{len(self.tests)} tests"),
                *(fit_lines(f"- {note}") for note in notes),
            ]
        )  # fmt: skip


def against_baseline(
    baseline: ScoredRun,
    others: Sequence[ScoredRun],
    *,
    correction: str = "holm",
    seed: int = 0,
    over: str = "",
) -> BaselineTests:
    """Test each run against the baseline by a paired bootstrap.

    Args:
        baseline: the run whose scores are subtracted.
        others: the runs; the baseline itself is left out.
        correction: one of ``CORRECTIONS``.
        seed: seed of the resamples.
        over: what is resampled, see
            :func:`emo.heads.runs.comparing.paired_bootstrap.paired_bootstrap`.

    Raises:
        OptionError: an unknown correction.
        FitError: no other run, or runs that share no target, clip or labels.
    """
    if correction not in CORRECTIONS:
        raise OptionError(f"correction: expected {' or '.join(CORRECTIONS)}, got {correction!r}")
    runs = [run for run in others if run.path.absolute() != baseline.path.absolute()]
    if not runs:
        raise FitError(
            f"{shown_path(baseline.path)}: no other run to test against this baseline; name some"
        )
    found = [paired_bootstrap(baseline, run, seed=seed, over=over) for run in runs]
    headline = HEADLINES[baseline.target.task]
    raw = [paired.differences[headline].p for paired in found]
    corrected = holm(raw) if correction == "holm" else raw
    tests = tuple(map(BaselineTest, runs, found, corrected))
    return BaselineTests(baseline, tests, correction)


def holm(values: Sequence[float]) -> list[float]:
    """Return p values corrected by Holm's step-down method, in the same order.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    found, least = [math.nan] * len(values), 0.0
    known = sorted((value, k) for k, value in enumerate(values) if not math.isnan(value))
    for rank, (value, k) in enumerate(known):
        least = max(least, min(1.0, value * (len(known) - rank)))
        found[k] = least
    return found


def shown_p(value: float) -> str:
    """Return a p value as text.

    >>> shown_p(0.002), shown_p(0.0001), shown_p(float("nan"))
    ('0.002', '<0.001', 'undefined')
    """
    if math.isnan(value):
        return "undefined"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _change(found: Difference) -> float:
    """Return the score of the run less that of the baseline."""
    return found.second - found.first
