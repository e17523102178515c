"""Goes on with a job folder: its missing parts by any executor, or some parts right here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emo.extract.executor import JobReport, check_workers, clip_bar, make_executor
from emo.extract.executors.local import run_supervised
from emo.extract.job.folder import JobFolder, open_job, update_job
from emo.extract.job.missing import missing_clips, missing_parts
from emo.extract.job.parts_file import part_numbers
from emo.extract.job.resources import NOTHING_ASKED
from emo.store.backend.location import Location
from emo.store.store import Store


@dataclass(frozen=True)
class ResumeReport:
    """Which parts were run again, and how that ended."""

    folder: JobFolder
    parts: list[int]
    job: JobReport


def resume(
    path: Location | str,
    *,
    jobs: Path | None = None,
    executor: str | None = None,
    workers: int | None = None,
    resources: Mapping[str, Any] = {},
    is_dry_run: bool = False,
    progress: bool | None = None,
) -> ResumeReport:
    """Run the parts of a job of which something is missing.

    Args:
        path: the job folder, or a store: its newest job.
        jobs: of a store in a bucket: where its job folders are.
        executor: None: the one the job was made for.
        workers: None: as then.
        resources: what is asked for now instead of then, by field of ``Resources``.
        is_dry_run: of a scheduler: only write.
        progress: show a bar; None: when stderr is a terminal.

    Raises:
        EmoError: no job folder, no workers, a refusing scheduler, a store that cannot be written.
    """
    folder = open_job(path, jobs)
    name = executor or folder.executor
    before = folder.resources if name == folder.executor else NOTHING_ASKED
    workers = folder.workers if workers is None else workers
    asked = before.changed(resources)
    runner = make_executor(name, workers, asked)
    missing = list(missing_parts(folder))
    parts = [each.part for each in missing]
    if not parts or (is_dry_run and not runner.is_scheduler):
        return ResumeReport(folder, parts, JobReport())
    if runner.is_scheduler:  # its tasks start later, and go by the job folder
        folder = update_job(folder, executor=name, workers=workers, resources=asked)
    with clip_bar(sum(each.clips for each in missing), progress) as heard:
        report = runner.run(folder, parts, heard, is_dry_run=is_dry_run)
    return ResumeReport(folder, parts, report)


def run_parts(
    path: Location | str,
    words: str | None,
    *,
    jobs: Path | None = None,
    workers: int | None = None,
    progress: bool | None = None,
) -> ResumeReport:
    """Run some parts of a job on this machine, in worker processes.

    Args:
        path: the job folder, or a store: its newest job.
        jobs: of a store in a bucket: where its job folders are.
        words: such as ``3`` or ``0-7,9``; None: all parts.
        workers: processes; None: one a GPU, or one.
        progress: show a bar; None: when stderr is a terminal.

    Raises:
        EmoError: no job folder, no such part, no workers, a store that cannot be written.
    """
    check_workers(workers)
    folder = open_job(path, jobs)
    parts = list(folder.parts) if words is None else part_numbers(words, folder.parts)
    store = Store(folder.job.store)
    missing = [each for each in parts if missing_clips(store, folder.part(each))]
    clips = sum(len(folder.part(number).clips) for number in missing)
    report = JobReport()
    if missing:
        with clip_bar(clips, progress) as heard:
            report = run_supervised(
                folder, missing, heard, workers=workers, retries=folder.resources.retries
            )
    return ResumeReport(folder, missing, report)
