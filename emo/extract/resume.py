"""`emo job resume`, `run` and `work`: do what a job still lacks, by an executor or right here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emo.extract.executor import (
    JobReport,
    check_workers,
    clip_bar,
    code_options,
    make_executor,
    options_from_words,
)
from emo.extract.executors._parts import ClaimedParts
from emo.extract.executors.local import run_supervised
from emo.extract.job.already_queued import refuse_queued
from emo.extract.job.files.claims import Claims
from emo.extract.job.files.parts_file import part_numbers
from emo.extract.job.folder import JobError, JobFolder, open_job, update_job
from emo.extract.job.missing import missing_parts
from emo.extract.job.ownership import expect_consent, sign
from emo.extract.job.paths import is_submitted, mark_submitted, typed
from emo.store.backend.location import Location
from emo.store.backend.object_path import ObjectPath


@dataclass(frozen=True)
class ResumeReport:
    """Which parts of a job were run, and how that ended."""

    folder: JobFolder
    parts: list[int]
    """Numbers of the parts that lacked clips."""
    job: JobReport


def resume(
    path: Location | str,
    *,
    jobs: Location | None = None,
    executor: str | None = None,
    workers: int | None = None,
    executor_options: Mapping[str, Any] = {},
    words: Sequence[str] = (),
    is_dry_run: bool = False,
    progress: bool | None = None,
) -> ResumeReport:
    """Run the parts of a job of which the store lacks clips.

    Args:
        path: the job folder, or a store, which means its newest job.
        jobs: folder of the job folders, for a store in a bucket.
        executor: its name; None: the one that the job was made for.
        workers: how many parts may run at the same time; None: as the job says.
        executor_options: fields of the executor's ``Options`` that replace those of the job; with
            another executor than the job's, the job's own options do not count.
        words: further ones as ``NAME=VALUE``, for options that have no flag.
        is_dry_run: only say what would be done; a scheduler writes its scripts.
        progress: show a bar; None: when stderr is a terminal.

    Raises:
        EmoError: no job folder, no workers, a refusing scheduler, a store that cannot be written.
    """
    folder = open_job(path, jobs)
    expect_consent(folder, executor, executor_options, code_options(folder.executor))
    name = executor or folder.executor
    earlier = folder.executor_options if name == folder.executor else {}
    options = {**earlier, **executor_options, **options_from_words(name, words)}
    workers = folder.workers if workers is None else workers
    runner = make_executor(name, workers, options)
    if runner.needs_disk and isinstance(folder.path, ObjectPath):
        raise JobError(
            f"--executor {name}: its workers read a job from a disk that all of them see, and this "
            f"one is in a bucket: {folder.path}. Start workers of your own with: emo job work "
            f"{typed(folder.path)}"
        )
    missing = list(missing_parts(folder))
    parts = [each.part for each in missing]
    if runner.is_scheduler and not is_dry_run and not is_submitted(folder.path):
        refuse_queued(folder.path.parent, [folder.part(number) for number in parts])
    if not parts or (is_dry_run and not runner.is_scheduler):
        return ResumeReport(folder, parts, JobReport())
    if runner.is_scheduler:  # its tasks start later, and go by the job folder
        folder = update_job(folder, executor=name, workers=workers, executor_options=options)
        sign(folder.path)
    with clip_bar(sum(each.clips for each in missing), progress) as heard:
        report = runner.run(folder, parts, heard, is_dry_run=is_dry_run)
    if not is_dry_run:
        mark_submitted(folder.path)
    return ResumeReport(folder, parts, report)


def run_parts(
    path: Location | str,
    words: str | None,
    *,
    jobs: Location | None = None,
    workers: int | None = None,
    progress: bool | None = None,
) -> ResumeReport:
    """Run some parts of a job on this machine, in worker processes.

    Args:
        path: the job folder, or a store, which means its newest job.
        jobs: folder of the job folders, for a store in a bucket.
        words: numbers of parts, such as ``3`` or ``0-7,9``; None: all parts.
        workers: processes; None: one for each GPU, or one.
        progress: show a bar; None: when stderr is a terminal.

    Raises:
        EmoError: no job folder, no such part, no workers, a store that cannot be written.
    """
    check_workers(workers)
    folder = open_job(path, jobs)
    expect_consent(folder, "local", {}, ())
    mark_submitted(folder.path)
    parts = list(folder.parts) if words is None else part_numbers(words, folder.parts)
    missing = [each.part for each in missing_parts(folder, parts)]
    clips = sum(len(folder.part(number).clips) for number in missing)
    report = JobReport()
    if missing:
        with clip_bar(clips, progress) as heard:
            report = run_supervised(
                folder, missing, heard, workers=workers,
                retries=folder.executor_options.get("retries"),
            )  # fmt: skip
    return ResumeReport(folder, missing, report)


def work(
    path: Location | str,
    *,
    jobs: Location | None = None,
    workers: int | None = None,
    progress: bool | None = None,
) -> ResumeReport:
    """Take parts of a job, beside other processes and machines that do so, until it lacks none.

    A part is claimed before it is begun. The parts of a worker that was killed are taken over when
    it has shown no sign of life for two minutes, or at once on its own machine.

    Args:
        path: the job folder, or a store, which means its newest job.
        jobs: folder of the job folders, for a store in a bucket.
        workers: processes; None: one for each GPU, or one.
        progress: show a bar; None: when stderr is a terminal.

    Returns:
        The parts that this process did.

    Raises:
        EmoError: no job folder, no workers, a store that cannot be written.
    """
    check_workers(workers)
    folder = open_job(path, jobs)
    expect_consent(folder, "local", {}, ())
    mark_submitted(folder.path)
    missing = list(missing_parts(folder))
    if not missing:
        return ResumeReport(folder, [], JobReport())
    clips = sum(each.clips for each in missing)
    with Claims(folder.path) as claims, clip_bar(clips, progress) as heard:
        parts = ClaimedParts(folder, claims, [each.part for each in missing])
        report = run_supervised(
            folder, parts, heard, workers=workers, retries=folder.executor_options.get("retries")
        )
    return ResumeReport(folder, sorted(parts.done), report)
