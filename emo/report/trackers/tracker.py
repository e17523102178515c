"""Contract of a tracker: what it is told about a run, and what it must do with it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Fact = str | int | float | bool
"""Value of an option or of another fact about a run."""


@dataclass(frozen=True)
class CurveStep:
    """One round of training."""

    round: int
    """Number of the round, from 1."""
    values: Mapping[str, float]
    """Losses and the score on val, by name."""


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker learns about one seed or fold of a run.

    It holds no id of a clip, no value of a column, no path, and no name of a user or machine.
    """

    id: str
    """16 hexadecimal digits; the same whenever the same run is logged."""
    group: str
    """Name of the whole run, which all its seeds or folds share."""
    part: str
    """``seed-0`` …, or ``fold-1`` … in the order of the run's table."""
    facts: Mapping[str, Fact]
    """Options, versions and fingerprints by name."""
    scores: Mapping[str, float]
    """Scores of this part, such as ``test/weighted_f1``; and of the whole run the mean over its
    parts and the ends of its interval, such as ``test/weighted_f1.mean``."""
    steps: tuple[CurveStep, ...]
    """Rounds of training, in order."""
    written_seconds: float
    """When the run was written, in seconds since 1970."""


class Tracker(ABC):
    """Writes runs where a tracker of experiments finds them.

    A subclass imports its library at the top of its file; :func:`emo.plugins.load` says which extra
    installs it if it is missing.
    """

    @abstractmethod
    def write(self, project: str, runs: Sequence[TrackedRun]) -> str:
        """Write runs, and return where they are, as the end of a sentence.

        A run that was written before, which its ``id`` tells, is replaced.

        Args:
            project: name under which the tracker gathers runs.
            runs: the runs; those of one group follow each other.
        """
