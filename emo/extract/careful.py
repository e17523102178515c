"""Runs one part of a job folder, in pieces where the part's journal tells of dead workers."""

from collections.abc import Callable, Iterator

from emo.extract.broken_device import BrokenDevice
from emo.extract.job_folder import JobFolder
from emo.extract.journal import Group, Journal
from emo.extract.plan import PartPlan
from emo.extract.task_log import TaskLog
from emo.extract.work import ClipDone, PartReport, Worker


def run_part(
    worker: Worker,
    folder: JobFolder,
    number: int,
    log: TaskLog,
    *,
    is_stopping: Callable[[], bool],
    on_clip: Callable[[bool], None],
) -> Iterator[PartReport]:
    """Do what the store still lacks of a part; yields a report for each commit.

    Args:
        worker: holds the models.
        folder: the job.
        number: of the part.
        log: told of every clip.
        is_stopping: asked between batches; True commits what is finished and ends.
        on_clip: told after each clip whether any recipe failed on it.

    Raises:
        StoreError: store or job folder cannot be written.
        BrokenDevice: the worker can do no more clips; the journal tells which it was at.
    """
    part, journal = folder.part(number), folder.journal(number)

    def on_done(done: ClipDone) -> None:
        log.write(
            "clip", part=number, clip=done.clip_id, seconds=done.seconds,
            **({"failed": done.failures} if done.failures else {}),
        )  # fmt: skip
        on_clip(bool(done.failures))

    for group in _groups(worker, part, journal):
        piece = part.only(set(group.clips))
        if group.verdict:
            report = worker.record(piece, group.verdict)
            for clip_id in group.clips:
                on_done(ClipDone(clip_id, dict.fromkeys(report.failures, group.verdict), {}))
        else:
            report = _run(worker, piece, journal, is_stopping, on_done)
        log.write(
            "commit", part=number, clips=report.clips, wall_seconds=round(report.wall_seconds, 4),
            is_stopped=report.is_stopped,
        )  # fmt: skip
        yield report
        if report.is_stopped:
            return


def _groups(worker: Worker, part: PartPlan, journal: Journal) -> list[Group]:
    if not journal.path.exists():
        return [Group(tuple(clip.id for clip in part.clips))]
    missing = {clip_id for ids in worker.missing(part).values() for clip_id in ids}
    return journal.groups([clip.id for clip in part.clips if clip.id in missing])


def _run(
    worker: Worker,
    piece: PartPlan,
    journal: Journal,
    is_stopping: Callable[[], bool],
    on_done: Callable[[ClipDone], None],
) -> PartReport:
    """Only a worker that vanished, or whose device broke, leaves the journal open."""
    is_death = False
    try:
        return worker.run_part(
            piece,
            is_stopping=is_stopping,
            on_clip=on_done,
            on_loaded=lambda: journal.begin(clip.id for clip in piece.clips),
        )
    except BrokenDevice:
        is_death = True
        raise
    finally:
        if not is_death:
            journal.end()
