"""The supervisor of a pool of workers: hands out parts, and hands them out again after a death.

What the workers are, processes of this machine or actors of a cluster, is up to the
:class:`WorkerPool`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from emo.errors import EmoError, plural
from emo.extract.executor import JobReport, Progress
from emo.extract.executors._parts import PartsToDo
from emo.extract.job.folder import JobFolder
from emo.extract.job.paths import typed
from emo.extract.worker.reports import PartDone, PartReport

RETRIES = 16
"""Default number of worker deaths in one part before it is given up: enough to isolate two clips
that kill their worker among 256."""
MOST_EARLY_DEATHS = 2
"""Worker deaths before the first clip of a part after which the part is given up: no clip is to
blame, and another worker would die, too."""


@dataclass(frozen=True)
class WorkerReady:
    """Message of a worker: it can take a part."""

    by: str
    """Name by which the worker signs in journals, see :func:`emo.extract.job.journal.me`."""
    is_ahead: bool = False
    """Whether it still has a part in progress; then it gets another only if enough are left."""


@dataclass(frozen=True)
class WorkerDied:
    """Message about a worker: it has ended without finishing its parts."""

    how: str | None
    """Signal or reason, such as ``SIGSEGV``; None: unknown."""


Message = WorkerReady | WorkerDied | PartReport | PartDone | EmoError | bool
"""What a worker sends. A bool reports one clip (True: failed); an EmoError is its last message."""


class WorkerPool(ABC):
    """Contract of a set of workers, each identified by a key."""

    @abstractmethod
    def slots(self) -> int:
        """Return how many workers can run now; the number may change while the job runs."""

    @abstractmethod
    def start(self) -> Hashable:
        """Start a worker and return its key; the worker sends WorkerReady when it is ready."""

    @abstractmethod
    def give(self, key: Hashable, part: int | None) -> None:
        """Answer a WorkerReady with a part.

        None means that there is none: the worker ends, unless it has a part in progress.
        """

    @abstractmethod
    def hear(self, seconds: float) -> list[tuple[Hashable, Message]]:
        """Return new messages with the keys of their workers; wait at most ``seconds`` for one."""

    @abstractmethod
    def stop(self) -> None:
        """Ask all workers to finish their batch, commit and end."""

    @abstractmethod
    def close(self) -> None:
        """Kill the workers that are left."""


@dataclass
class _WorkerState:
    """What the supervisor knows of a worker."""

    by: str = ""
    """Name in journals; empty until its first WorkerReady."""
    parts: list[int] = field(default_factory=list)
    """Parts in progress, in the order in which they will be finished."""


@dataclass
class Supervisor:
    """Runs the parts of one job on a pool of workers."""

    folder: JobFolder
    pool: WorkerPool
    progress: Progress
    is_stopping: Callable[[], bool]
    """Returns whether a stop was requested."""
    retries: int = RETRIES
    """Worker deaths in one part before it is given up."""
    report: JobReport = field(default_factory=JobReport)
    _waiting: PartsToDo = field(default_factory=lambda: PartsToDo(()))
    """Parts that no worker has."""
    _workers: dict[Hashable, _WorkerState] = field(default_factory=dict)
    """Workers that are running, by key."""
    _deaths: dict[int, int] = field(default_factory=dict)
    """Part -> number of workers that died in it."""
    _early_deaths: dict[int | None, int] = field(default_factory=dict)
    """Part -> number of workers that died before its first clip; None: before any part."""
    _error: EmoError | None = None
    """Error of a worker, which ends the job."""

    def run(self, parts: Sequence[int] | PartsToDo) -> JobReport:
        """Run parts until none is waiting or in progress.

        Args:
            parts: their numbers, or what hands them out.

        Raises:
            EmoError: an error that a worker raised, such as a full disk.
        """
        self._waiting = parts if isinstance(parts, PartsToDo) else PartsToDo(parts)
        is_stop_sent = False
        try:
            while True:
                if (self.is_stopping() or self._error) and not is_stop_sent:
                    is_stop_sent = True
                    self.report.is_stopped |= self._error is None
                    self._waiting.clear()
                    self.pool.stop()
                self._start_workers()
                if self._waiting.is_over() and not self._has_work():
                    break
                for key, message in self.pool.hear(0.2):
                    self._handle(key, message)
        finally:
            self.pool.close()
        if self._error:
            raise self._error
        return self.report

    def _has_work(self) -> bool:
        """Return whether any worker has a part in progress."""
        return any(worker.parts for worker in self._workers.values())

    def _start_workers(self) -> None:
        """Start workers for the waiting parts, as many as the pool has slots for."""
        idle = sum(not worker.parts for worker in self._workers.values())
        free_slots = self.pool.slots() - len(self._workers)
        for _ in range(min(free_slots, len(self._waiting) - idle)):
            self._workers[self.pool.start()] = _WorkerState()

    def _handle(self, key: Hashable, message: Message) -> None:
        """React to a message of a worker; messages of workers that have ended are ignored."""
        worker = self._workers.get(key)
        if worker is None:
            return
        if isinstance(message, bool):
            self.progress.on_clip(message)
        elif isinstance(message, EmoError):
            self._error = message
            del self._workers[key]
        elif isinstance(message, PartReport):
            self.report.add(message.clips, message.failures, message.work)
            self.report.is_stopped |= message.is_stopped
        elif isinstance(message, WorkerReady):
            worker.by = message.by
            part = self._next_part(is_ahead=message.is_ahead)
            if part is not None:
                worker.parts.append(part)
            elif not message.is_ahead:
                del self._workers[key]  # it ends now, perhaps without another message
            self.pool.give(key, part)
        elif isinstance(message, PartDone):
            worker.parts.remove(message.part)
            if not self.report.is_stopped:
                self._waiting.finished(message.part)
        else:
            del self._workers[key]
            self._on_death(worker, message.how)

    def _next_part(self, *, is_ahead: bool) -> int | None:
        """Return the next waiting part; ahead of time only if one is left for every slot."""
        if len(self._waiting) < (self.pool.slots() if is_ahead else 1):
            return None
        return self._waiting.take()

    def _on_death(self, worker: _WorkerState, how: str | None) -> None:
        """Record a death in the journals of the worker's parts and hand the parts out again.

        A death after a stop request or an error does not count: workers end then.
        """
        if self.is_stopping() or self._error or (worker.by and not worker.parts):
            return
        if not worker.parts:
            self._count_start_failure(how)
            return
        involved = [part for part in worker.parts if self.folder.journal(part).died(worker.by, how)]
        for part in reversed(worker.parts):  # so that the first one is handed out first again
            if part in involved or (part == worker.parts[0] and not involved):
                self._count_death(part, how, is_early=not involved)
            else:
                self._waiting.put_back(part)

    def _count_death(self, part: int, how: str | None, *, is_early: bool) -> None:
        """Count a death in a part and hand the part out again, unless there were too many.

        Args:
            part: the part.
            how: signal or reason; None: unknown.
            is_early: whether the worker died before its first clip.
        """
        self._deaths[part] = self._deaths.get(part, 0) + 1
        self._early_deaths[part] = self._early_deaths.get(part, 0) + is_early
        if self._deaths[part] <= self.retries and self._early_deaths[part] < MOST_EARLY_DEATHS:
            self._waiting.put_back(part)
        else:
            self._waiting.finished(part)
            self.report.lost.append(_lost_line(self.folder, part, self._deaths[part], how))

    def _count_start_failure(self, how: str | None) -> None:
        """Count a worker that died before it took a part; give up after two if none works."""
        self._early_deaths[None] = self._early_deaths.get(None, 0) + 1
        is_given_up = self._early_deaths[None] >= MOST_EARLY_DEATHS
        if is_given_up and self._waiting and not self._has_work():
            self.report.lost.append(
                f"workers die while they start ({how or 'unknown cause'}); {len(self._waiting)} "
                f"parts are not done; see the logs in {self.folder.logs}"
            )
            self._waiting.clear()


def _lost_line(folder: JobFolder, part: int, deaths: int, how: str | None) -> str:
    """Describe a part that was given up, for ``JobReport.lost``."""
    clips = folder.part(part).clips
    return (
        f"part {part} ({plural(len(clips), 'clip')}, the first is {clips[0].id!r}) was given up: "
        f"{plural(deaths, 'worker')} died in it, the last by {how or 'an unknown cause'}. Its "
        "clips that were not committed are not done. To continue: emo job resume "
        f"{typed(folder.path)}"
    )
