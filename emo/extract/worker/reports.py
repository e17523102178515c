"""What a worker reports of its parts, for executors that load no model library themselves."""

from dataclasses import dataclass, field

from emo.extract.job.timings import WorkTotals


@dataclass(frozen=True)
class PartReport:
    """Result of one part: counts, failures and times."""

    clips: int
    """Number of clips of the part that are done, including failed ones."""
    failures: dict[str, dict[str, str]]
    """Recipe name -> id of a failed clip -> reason."""
    is_stopped: bool
    """Whether a stop request left clips of the part undone."""
    wall_seconds: float
    """Seconds from the part's first batch to its commit."""
    written_bytes: int = 0
    """Bytes of the files that were committed."""
    work: WorkTotals = field(default_factory=WorkTotals)
    """Time of each stage since the worker's previous report."""


@dataclass(frozen=True)
class PartDone:
    """Message that a worker has finished a part, of which no clip is in progress any more."""

    part: int
    """Number of the part."""
