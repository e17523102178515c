"""Runs the parts of a job folder that a worker is given, in pieces where a journal tells of deaths.

While the model is at the last clips of a part, the threads begin with the next one. A part whose
journal tells of dead workers is done alone, so that no clip of another part comes under suspicion.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from emo.extract.job.folder import JobFolder
from emo.extract.job.journal import ClipGroup, Journal
from emo.extract.job.logs import TaskLog
from emo.extract.job.plan import PartPlan
from emo.extract.models.device import BrokenDevice
from emo.extract.worker.worker import ClipDone, PartReport, Started, Worker

Take = Callable[[bool], int | None]
"""The number of the next part; None: there is none. True asks while another is in hand still, and
None may then mean that it is needed elsewhere."""


@dataclass(frozen=True)
class PartDone:
    """A worker has nothing of this part in hand any more."""

    part: int


def run_each_part(
    worker: Worker,
    folder: JobFolder,
    take: Take,
    log: TaskLog,
    *,
    is_stopping: Callable[[], bool],
    on_clip: Callable[[bool], None],
) -> Iterator[PartReport | PartDone]:
    """Do what the store still lacks of part after part; yields a report for each commit.

    Args:
        worker: holds the models.
        folder: the job.
        take: gives the parts.
        log: told of every clip and commit, and of where the time went.
        is_stopping: asked between batches; True commits what is finished and ends.
        on_clip: told after each clip whether any recipe failed on it.

    Raises:
        StoreError: store or job folder cannot be written.
        BrokenDevice: the worker can do no more clips; the journal tells which it was at.
    """
    desk = _Desk(worker, folder, take, log, is_stopping, on_clip)
    try:
        while desk.take_next():
            yield from desk.run()
    except BrokenDevice:
        desk.clear(is_death=True)
        raise
    finally:
        desk.clear()


@dataclass
class _Begun:
    """A part in hand."""

    number: int
    started: Started | None = None
    """None: its clips are not under way."""
    is_in_journal: bool = False
    """Its clips are in hand, as its journal tells."""


class _Desk:
    """The part that is being done, and the one that is begun behind it."""

    def __init__(
        self, worker: Worker, folder: JobFolder, take: Take, log: TaskLog,
        is_stopping: Callable[[], bool], on_clip: Callable[[bool], None],
    ) -> None:  # fmt: skip
        self._worker, self._folder, self._take, self._log = worker, folder, take, log
        self._is_stopping, self._on_clip = is_stopping, on_clip
        self._now: _Begun | None = None
        self._ahead: _Begun | None = None
        self._may_ask = True

    def take_next(self) -> bool:
        """Whether there is a part to do."""
        self._now, self._ahead = self._ahead, None
        if self._now is None and not self._is_stopping():
            number = self._take(False)
            self._now = None if number is None else _Begun(number)
        return self._now is not None and not self._is_stopping()

    def run(self) -> Iterator[PartReport | PartDone]:
        """The part that was taken."""
        assert self._now is not None
        number, journal = self._now.number, self._folder.journal(self._now.number)
        if self._now.started or not journal.path.exists():
            yield self._run_at_once(self._now, journal)
        else:
            yield from self._run_in_pieces(number, journal)
        yield PartDone(number)
        self._now = None

    def clear(self, *, is_death: bool = False) -> None:
        """Give back what was begun and not finished; an exception is no death, a device's end is.

        After a death the journal of the part in hand stays open, as a vanished worker's would.
        """
        for begun in (self._now, self._ahead):
            if begun and begun.started:
                self._worker.drop(begun.started)
            if begun and begun.is_in_journal and not (is_death and begun is self._now):
                self._folder.journal(begun.number).end()
        self._now = self._ahead = None

    def _run_at_once(self, begun: _Begun, journal: Journal) -> PartReport:
        with self._worker.meter.working():
            if begun.started is None:
                self._start(begun)
            assert begun.started is not None
            self._may_ask = True
            report = self._worker.finish(
                begun.started, is_stopping=self._is_stopping,
                on_clip=lambda done: self._tell(begun.number, done), more=self._begin_ahead,
            )  # fmt: skip
        journal.end()
        begun.started, begun.is_in_journal = None, False
        return self._committed(begun.number, report)

    def _start(self, begun: _Begun) -> None:
        part, journal = self._folder.part(begun.number), self._folder.journal(begun.number)

        def on_loaded() -> None:
            journal.begin(clip.id for clip in part.clips)
            begun.is_in_journal = True

        begun.started = self._worker.start(part, on_loaded=on_loaded)

    def _begin_ahead(self) -> None:
        """Let the threads go on with another part, when there is one; asked for once."""
        if self._ahead or not self._may_ask or self._is_stopping():
            return
        self._may_ask = False
        number = self._take(True)
        if number is None:
            return
        self._ahead = _Begun(number)
        if not self._folder.journal(number).path.exists():
            self._start(self._ahead)

    def _run_in_pieces(self, number: int, journal: Journal) -> Iterator[PartReport]:
        part = self._folder.part(number)
        for group in self._groups(part, journal):
            piece = part.only(set(group.clips))
            if group.give_up_reason:
                report = self._worker.record(piece, group.give_up_reason)
                failures = dict.fromkeys(report.failures, group.give_up_reason)
                for clip_id in group.clips:
                    self._tell(number, ClipDone(clip_id, failures, {}))
            else:
                report = self._run_piece(number, piece, journal)
            yield self._committed(number, report)
            if report.is_stopped:
                return

    def _run_piece(self, number: int, piece: PartPlan, journal: Journal) -> PartReport:
        """Only a worker that vanished, or whose device broke, leaves the journal open."""
        is_death = False
        try:
            return self._worker.run_part(
                piece,
                is_stopping=self._is_stopping,
                on_clip=lambda done: self._tell(number, done),
                on_loaded=lambda: journal.begin(clip.id for clip in piece.clips),
            )
        except BrokenDevice:
            is_death = True
            raise
        finally:
            if not is_death:
                journal.end()

    def _groups(self, part: PartPlan, journal: Journal) -> list[ClipGroup]:
        missing = {clip_id for ids in self._worker.missing(part).values() for clip_id in ids}
        return journal.groups([clip.id for clip in part.clips if clip.id in missing])

    def _tell(self, number: int, done: ClipDone) -> None:
        self._log.write(
            "clip", part=number, clip=done.clip_id, seconds=done.seconds,
            **({"failed": done.failures} if done.failures else {}),
        )  # fmt: skip
        self._on_clip(bool(done.failures))

    def _committed(self, number: int, report: PartReport) -> PartReport:
        work = self._worker.meter.take()
        self._log.write(
            "commit", part=number, clips=report.clips, wall_seconds=round(report.wall_seconds, 4),
            is_stopped=report.is_stopped, work=work.to_json(),
        )  # fmt: skip
        return replace(report, work=work)
