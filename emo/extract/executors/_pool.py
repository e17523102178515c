"""A crew of workers that take part after part; one that dies gives its part back.

Who the workers are, processes of this machine or actors of a cluster, is the staff's business.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from emo.errors import EmoError
from emo.extract.executor import JobReport, Progress
from emo.extract.job.folder import JobFolder
from emo.extract.job.paths import typed
from emo.extract.worker.part_runner import PartDone
from emo.extract.worker.worker import PartReport

RETRIES = 16
"""Deaths in one part that are borne when nobody says: enough to find two killers among 256."""
BARE_DEATHS = 2
"""Deaths before the first clip of a part: no clip is to blame, another worker fares no better."""


@dataclass(frozen=True)
class WorkerReady:
    """The worker wants a part."""

    by: str
    """How it signs in journals."""
    is_ahead: bool = False
    """It has one in hand still; it gets another only where there is enough for all."""


@dataclass(frozen=True)
class WorkerDied:
    """The worker is no more."""

    how: str | None
    """``SIGSEGV``; None: unknown."""


Message = WorkerReady | WorkerDied | PartReport | PartDone | EmoError | bool
"""A bool is a clip, true when it failed."""


class WorkerPool(ABC):
    """Workers somewhere, each known by a key."""

    @abstractmethod
    def slots(self) -> int:
        """How many workers there is room for now; may change while the job runs."""

    @abstractmethod
    def start(self) -> Hashable:
        """Start a worker; it says that it is ready when it is."""

    @abstractmethod
    def give(self, key: Hashable, part: int | None) -> None:
        """Hand a part to a worker that wants one; None sends it home, if it has nothing in hand."""

    @abstractmethod
    def hear(self, seconds: float) -> list[tuple[Hashable, Message]]:
        """What workers said, waiting at most so long."""

    @abstractmethod
    def stop(self) -> None:
        """Ask all to finish their batch, commit and end."""

    @abstractmethod
    def close(self) -> None:
        """End whoever is left, at once."""


@dataclass
class _Member:
    by: str = ""
    parts: list[int] = field(default_factory=list)
    """In hand, in the order in which they are done."""


@dataclass
class Supervisor:
    """The side that hands out the parts of one job."""

    folder: JobFolder
    pool: WorkerPool
    progress: Progress
    is_stopping: Callable[[], bool]
    retries: int = RETRIES
    report: JobReport = field(default_factory=JobReport)
    _waiting: list[int] = field(default_factory=list)
    _members: dict[Hashable, _Member] = field(default_factory=dict)
    _deaths: dict[int, int] = field(default_factory=dict)
    _bare: dict[int | None, int] = field(default_factory=dict)
    _error: EmoError | None = None

    def run(self, parts: Sequence[int]) -> JobReport:
        """Serve until nothing is waiting and nobody works.

        Raises:
            EmoError: what a worker raised, such as a full disk.
        """
        self._waiting = list(reversed(parts))
        is_told = False
        try:
            while True:
                if (self.is_stopping() or self._error) and not is_told:
                    is_told = True
                    self.report.is_stopped |= self._error is None
                    self._waiting.clear()
                    self.pool.stop()
                self._start()
                if not self._waiting and not self._has_work():
                    break
                for key, message in self.pool.hear(0.2):
                    self._hear(key, message)
        finally:
            self.pool.close()
        if self._error:
            raise self._error
        return self.report

    def _has_work(self) -> bool:
        return any(member.parts for member in self._members.values())

    def _start(self) -> None:
        idle = sum(not member.parts for member in self._members.values())
        room = self.pool.slots() - len(self._members)
        for _ in range(min(room, len(self._waiting) - idle)):
            self._members[self.pool.start()] = _Member()

    def _hear(self, key: Hashable, message: Message) -> None:
        member = self._members.get(key)
        if member is None:
            return
        if isinstance(message, bool):
            self.progress.on_clip(message)
        elif isinstance(message, EmoError):
            self._error = message
            del self._members[key]  # its last word
        elif isinstance(message, PartReport):
            self.report.add(message.clips, message.failures, message.work)
            self.report.is_stopped |= message.is_stopped
        elif isinstance(message, WorkerReady):
            member.by = message.by
            part = self._next(is_ahead=message.is_ahead)
            if part is not None:
                member.parts.append(part)
            elif not message.is_ahead:
                del self._members[key]  # sent home; it may never be heard of again
            self.pool.give(key, part)
        elif isinstance(message, PartDone):
            member.parts.remove(message.part)
        else:
            del self._members[key]
            self._on_death(member, message.how)

    def _next(self, *, is_ahead: bool) -> int | None:
        """Ahead of time only while one is left for every other worker."""
        if len(self._waiting) < (self.pool.slots() if is_ahead else 1):
            return None
        return self._waiting.pop()

    def _on_death(self, member: _Member, how: str | None) -> None:
        """A worker died; where all were told to stop, that is how they end."""
        if self.is_stopping() or self._error or (member.by and not member.parts):
            return
        if not member.parts:
            self._die_before_work(how)
            return
        involved = [part for part in member.parts if self.folder.journal(part).died(member.by, how)]
        for part in reversed(member.parts):  # the first is taken first again
            if part in involved or (part == member.parts[0] and not involved):
                self._count_death(part, how, is_bare=not involved)
            else:
                self._waiting.append(part)

    def _count_death(self, part: int, how: str | None, *, is_bare: bool) -> None:
        """One death more in a part, which is done again unless there were too many."""
        self._deaths[part] = self._deaths.get(part, 0) + 1
        self._bare[part] = self._bare.get(part, 0) + is_bare
        if self._deaths[part] <= self.retries and self._bare[part] < BARE_DEATHS:
            self._waiting.append(part)
        else:
            self.report.lost.append(_lost(self.folder, part, self._deaths[part], how))

    def _die_before_work(self, how: str | None) -> None:
        self._bare[None] = self._bare.get(None, 0) + 1
        if self._bare[None] >= BARE_DEATHS and self._waiting and not self._has_work():
            self.report.lost.append(
                f"workers die as they start ({how or 'nobody saw how'}); "
                f"{len(self._waiting)} parts are undone; {self.folder.logs} may tell more"
            )
            self._waiting.clear()


def _lost(folder: JobFolder, part: int, deaths: int, how: str | None) -> str:
    clips = folder.part(part).clips
    return (
        f"{deaths} workers died (the last: {how or 'nobody saw how'}) in part {part} of "
        f"{len(clips)} clips that begins with {clips[0].id!r}; what they had not committed is "
        f"undone. emo job resume {typed(folder.path)} goes on"
    )
