"""The Executor contract: where the parts of a job run, and what is reported back."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from emo.extract.job import Job
from emo.extract.plan import PartPlan

EXIT_FAILED_CLIPS = 3
"""Finished, but some clips failed; `emo store failures` lists them."""
EXIT_STOPPED = 75
"""Stopped by a signal, what was finished is committed; the same command goes on (EX_TEMPFAIL)."""


@dataclass
class Progress:
    """What is known while a job runs; ``on_clip`` is called after every clip."""

    on_clip: Callable[[bool], None] = lambda failed: None


@dataclass
class JobReport:
    """How a job ended."""

    clips: int = 0
    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    """Recipe name -> clip id -> reason, of this run."""
    is_stopped: bool = False
    lost: list[str] = field(default_factory=list)
    """One line for each part whose worker died again and again; its clips are still undone."""


class Executor(ABC):
    """Runs every part once, or says which it could not; two runs of one part are harmless."""

    @abstractmethod
    def __init__(self, workers: int) -> None:
        """``workers``: how many parts may run at the same time."""

    @abstractmethod
    def run(self, job: Job, parts: Sequence[PartPlan], progress: Progress) -> JobReport:
        """Run the parts; returns when all are committed, lost, or a stop request was served."""
