"""Run the parts of a job folder one after the other, with a journal of the clips in progress.

While the models are at the last clips of a part, the threads begin with the next part. A part
whose journal records deaths of workers is done in small groups, and no other part beside it, so
that no clip of another part is suspected.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from emo.extract.job.folder import JobFolder
from emo.extract.job.journal import ClipGroup, Journal
from emo.extract.job.logs import TaskLog
from emo.extract.job.plan import PartPlan
from emo.extract.models.device import BrokenDevice
from emo.extract.worker.metrics import JobMetrics
from emo.extract.worker.part_worker import TakePart
from emo.extract.worker.reports import PartDone, PartReport
from emo.extract.worker.worker import ClipDone, StartedPart, Worker


def run_each_part(
    worker: Worker,
    folder: JobFolder,
    take: TakePart,
    log: TaskLog,
    *,
    is_stopping: Callable[[], bool],
    on_clip: Callable[[bool], None],
) -> Iterator[PartReport | PartDone]:
    """Do what the store still lacks of one part after the other.

    Args:
        worker: holds the models and the decoding threads.
        folder: the job.
        take: returns the number of the next part.
        log: receives a line for every clip and every commit.
        is_stopping: called between batches; True commits what is complete and ends.
        on_clip: called after each clip; the argument tells whether it failed in any recipe.

    Yields:
        A report after each commit, and a PartDone after the last commit of each part.

    Raises:
        StoreError: the store or the job folder cannot be written.
        BrokenDevice: the device can do no more work; the journal names the clips in progress.
    """
    runner = _PartRunner(worker, folder, take, log, is_stopping, on_clip)
    try:
        while runner.take_next():
            yield from runner.run_current()
    except BrokenDevice:
        runner.give_back(is_death=True)
        raise
    finally:
        runner.give_back()


@dataclass
class _TakenPart:
    """A part that this worker has taken."""

    number: int
    started: StartedPart | None = None
    """The part in the worker's queue; None: the part's clips are not queued."""
    is_in_journal: bool = False
    """Whether the part's journal lists clips as in progress."""


class _PartRunner:
    """Runs the current part, and starts the next one ahead of time."""

    def __init__(
        self, worker: Worker, folder: JobFolder, take: TakePart, log: TaskLog,
        is_stopping: Callable[[], bool], on_clip: Callable[[bool], None],
    ) -> None:  # fmt: skip
        self._worker, self._folder, self._take, self._log = worker, folder, take, log
        self._is_stopping, self._on_clip = is_stopping, on_clip
        names = [request.name for request in folder.job.requests]
        self._metrics = JobMetrics(folder.path, names, folder.clips)
        self._current: _TakenPart | None = None
        self._next: _TakenPart | None = None
        self._may_take_ahead = True
        """Whether the next part may be requested while the current one runs: once for each current
        part."""

    def take_next(self) -> bool:
        """Make the next part the current one; return whether there is a part to run."""
        self._current, self._next = self._next, None
        if self._current is None and not self._is_stopping():
            number = self._take(False)
            self._current = None if number is None else _TakenPart(number)
        return self._current is not None and not self._is_stopping()

    def run_current(self) -> Iterator[PartReport | PartDone]:
        """Run the current part: whole, or in groups of clips if the part's journal has deaths."""
        assert self._current is not None
        number, journal = self._current.number, self._folder.journal(self._current.number)
        if self._current.started or not journal.exists():
            yield self._run_whole(self._current, journal)
        else:
            yield from self._run_in_groups(number, journal)
        yield PartDone(number)
        self._current = None

    def give_back(self, *, is_death: bool = False) -> None:
        """Drop parts that were started and are not finished.

        Their clips leave the journal, because an exception is no death of the worker. After
        ``is_death`` (a broken device) those of the current part stay in it.
        """
        for taken in (self._current, self._next):
            if taken and taken.started:
                self._worker.drop(taken.started)
            if taken and taken.is_in_journal and not (is_death and taken is self._current):
                self._folder.journal(taken.number).end()
        self._current = self._next = None

    def _run_whole(self, taken: _TakenPart, journal: Journal) -> PartReport:
        """Run a part with a single commit; the next part may be started meanwhile."""
        with self._worker.meter.working():
            if taken.started is None:
                self._start(taken)
            assert taken.started is not None
            self._may_take_ahead = True
            report = self._worker.finish(
                taken.started, is_stopping=self._is_stopping,
                on_clip=lambda done: self._report_clip(taken.number, done),
                on_room=self._start_next,
            )  # fmt: skip
        journal.end()
        taken.started, taken.is_in_journal = None, False
        return self._committed(taken.number, report)

    def _start(self, taken: _TakenPart) -> None:
        """Queue the clips of a part, and list them in the part's journal once the models are
        loaded."""
        part, journal = self._folder.part(taken.number), self._folder.journal(taken.number)

        def on_loaded() -> None:
            journal.begin(clip.id for clip in part.clips)
            taken.is_in_journal = True

        taken.started = self._worker.start(part, on_loaded=on_loaded)

    def _start_next(self) -> None:
        """Take the next part ahead of time and queue it, unless its journal records deaths."""
        if self._next or not self._may_take_ahead or self._is_stopping():
            return
        self._may_take_ahead = False
        number = self._take(True)
        if number is None:
            return
        self._next = _TakenPart(number)
        if not self._folder.journal(number).exists():
            self._start(self._next)

    def _run_in_groups(self, number: int, journal: Journal) -> Iterator[PartReport]:
        """Run a part whose journal records deaths, group by group, each with its own commit."""
        part = self._folder.part(number)
        for group in self._groups(part, journal):
            group_part = part.only(set(group.clips))
            if group.give_up_reason:
                report = self._worker.record(group_part, group.give_up_reason)
                failures = dict.fromkeys(report.failures, group.give_up_reason)
                for clip_id in group.clips:
                    self._report_clip(number, ClipDone(clip_id, failures, {}))
            else:
                report = self._run_group(number, group_part, journal)
            yield self._committed(number, report)
            if report.is_stopped:
                return

    def _run_group(self, number: int, group_part: PartPlan, journal: Journal) -> PartReport:
        """Run and commit one group.

        Its clips leave the journal afterwards, except if the device broke or the process died.
        """
        is_death = False
        try:
            return self._worker.run_part(
                group_part,
                is_stopping=self._is_stopping,
                on_clip=lambda done: self._report_clip(number, done),
                on_loaded=lambda: journal.begin(clip.id for clip in group_part.clips),
            )
        except BrokenDevice:
            is_death = True
            raise
        finally:
            if not is_death:
                journal.end()

    def _groups(self, part: PartPlan, journal: Journal) -> list[ClipGroup]:
        """Divide the missing clips of a part into groups, the least suspected first."""
        missing = {clip_id for ids in self._worker.missing(part).values() for clip_id in ids}
        return journal.groups([clip.id for clip in part.clips if clip.id in missing])

    def _report_clip(self, number: int, done: ClipDone) -> None:
        """Log that a clip is done, and call the caller's function for it."""
        self._log.write(
            "clip", part=number, clip=done.clip_id, seconds=done.seconds,
            **({"failed": done.failures} if done.failures else {}),
            **({"fetched": done.fetched} if any(done.fetched) else {}),
        )  # fmt: skip
        self._metrics.count_clip(done.failures, done.fetched)
        self._on_clip(bool(done.failures))

    def _committed(self, number: int, report: PartReport) -> PartReport:
        """Log a commit, and write the metrics; return the report with the time of each stage."""
        work = self._worker.meter.take()
        self._log.write(
            "commit", part=number, clips=report.clips, wall_seconds=round(report.wall_seconds, 4),
            is_stopped=report.is_stopped, work=work.to_json(),
        )  # fmt: skip
        self._metrics.commit(work, report.written_bytes)
        return replace(report, work=work)
