"""Contract of what does the parts of a job in one process: extraction, or what makes files.

Executors call, in each process that works::

    with open_worker(folder, device="cpu", threads=1) as worker:
        for done in worker.run_each_part(take, log, is_stopping=..., on_clip=...):
            ...
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Self

from emo.extract.job.folder import JobFolder
from emo.extract.job.logs import TaskLog
from emo.extract.worker.reports import PartDone, PartReport

TakePart = Callable[[bool], int | None]
"""Function that returns the number of the next part; None: there is none. Its argument is True when
the worker has a part in progress; then None may also mean that other workers need the rest."""


class PartWorker(ABC):
    """Does one part of a job after the other; doing a part twice is harmless."""

    @abstractmethod
    def __init__(self, folder: JobFolder, device: str, threads: int) -> None:
        """Load what all parts need.

        Args:
            folder: the job.
            device: device of the models.
            threads: number of threads that may work.
        """

    def __enter__(self) -> Self:
        """Return this worker."""
        return self

    def __exit__(self, *_: object) -> None:
        """Call :meth:`close`."""
        self.close()

    @abstractmethod
    def close(self) -> None:
        """End its threads."""

    @abstractmethod
    def run_each_part(
        self,
        take: TakePart,
        log: TaskLog,
        *,
        is_stopping: Callable[[], bool],
        on_clip: Callable[[bool], None],
    ) -> Iterator[PartReport | PartDone]:
        """Do what is missing of one part after the other.

        Args:
            take: returns the number of the next part.
            log: receives a line for every commit.
            is_stopping: True: commit what is complete, and end.
            on_clip: called after each clip; the argument tells whether it failed.

        Yields:
            A report after each commit, and a PartDone after the last commit of each part.

        Raises:
            EmoError: the job's input cannot be read, or its results cannot be written.
            BrokenDevice: the device can do no more work; the journal names the clips in progress.
        """
