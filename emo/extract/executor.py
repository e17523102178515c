"""The Executor contract: where the parts of a job run, and what is reported back."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

from tqdm import tqdm

from emo import plugins
from emo.errors import OptionError
from emo.extract.job.folder import JobFolder
from emo.extract.job.resources import Resources
from emo.extract.job.timings import WorkTotals

EXECUTORS = "emo.extract.executors"
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
    submitted: list[str] = field(default_factory=list)
    """Ids that a scheduler gave; the work is done in its own time."""
    queued: int = 0
    """Tasks with missing parts that the scheduler had in its queue already."""
    work: WorkTotals = field(default_factory=WorkTotals)
    """Where the workers' time went."""

    def add(self, clips: int, failures: Mapping[str, Mapping[str, str]], work: WorkTotals) -> None:
        """Count what a worker committed."""
        self.clips += clips
        self.work.add(work)
        for name, reasons in failures.items():
            self.failures.setdefault(name, {}).update(reasons)

    @property
    def exit_code(self) -> int:
        """0; 1 when parts were lost; 3 when clips failed; 75 when stopped by a signal."""
        if self.is_stopped:
            return EXIT_STOPPED
        if self.lost:
            return 1
        return EXIT_FAILED_CLIPS if any(self.failures.values()) else 0


class Executor(ABC):
    """Runs every part once, or says which it could not; two runs of one part are harmless."""

    uses: ClassVar[frozenset[str]] = frozenset()
    """The fields of :class:`Resources` that it heeds; any other is refused."""
    is_scheduler: ClassVar[bool] = False
    """It hands the job over and returns: a dry run writes all files and submits nothing."""

    @abstractmethod
    def __init__(self, workers: int | None, resources: Resources) -> None:
        """``workers``: how many parts may run at the same time; None: as many as fit."""

    @abstractmethod
    def run(
        self,
        folder: JobFolder,
        parts: Sequence[int],
        progress: Progress,
        *,
        is_dry_run: bool = False,
    ) -> JobReport:
        """Run the parts of a job; returns when all are committed, lost, or a stop was served.

        Args:
            folder: the job.
            parts: numbers of the parts to run.
            progress: told after every clip, where the executor hears of it.
            is_dry_run: of a scheduler: write what would be submitted, and submit nothing.
        """


def check_workers(workers: int | None) -> None:
    """Refuse a number that would never do anything.

    Raises:
        OptionError: it is below 1.
    """
    if workers is not None and workers < 1:
        raise OptionError(f"--workers: expected 1 or more, got {workers}")


def make_executor(name: str, workers: int | None, resources: Resources) -> Executor:
    """The executor of a file in ``emo/extract/executors/``, or ``module:Class``.

    Raises:
        PluginError: there is none of that name, or its library is missing.
        OptionError: something was asked for that it does not heed, or no workers at all.
    """
    check_workers(workers)
    kind = plugins.load(EXECUTORS, name, Executor)  # type: ignore[type-abstract]
    resources.check(name, kind.uses)
    return kind(workers, resources)


@contextmanager
def clip_bar(clips: int, shown: bool | None) -> Iterator[Progress]:
    """A bar of ``clips``; ``shown`` None: when stderr is a terminal."""
    failed = 0
    with tqdm(
        total=clips, unit="clip", desc="extract", disable=None if shown is None else not shown
    ) as bar:

        def on_clip(is_failed: bool) -> None:
            nonlocal failed
            failed += is_failed
            if is_failed:
                bar.set_postfix(failed=failed, refresh=False)
            bar.update()

        yield Progress(on_clip)
