"""The job folder: a plan on disk, from which workers on any machine can take parts.

    features/.jobs/0001/        also in a bucket, see files/; with Slurm: emo-jobs/bucket+f/0001/
      job.json        backbones with options and recipes, store, root, executor (readable)
      parts.jsonl     one line per part: ids to do by recipe, and a copy of the manifest's rows
      offsets.json    where each line of parts.jsonl begins
      journal/        one file for each part that is in progress, or whose worker died
      logs/           one file per worker

Finished clips are not listed here: they are the clip ids in committed parts of the store.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from emo.errors import EmoError, OptionError
from emo.extract.job.executor_options import options_from_json
from emo.extract.job.files.files_of import files_of
from emo.extract.job.files.job_document import (
    FORMAT,
    JOB,
    MOST_LINE_BYTES,
    OFFSETS,
    job_from_json,
    job_to_json,
)
from emo.extract.job.files.job_files import JobFiles
from emo.extract.job.files.parts_file import PARTS_FILE, part_numbers, part_of, write_lines
from emo.extract.job.journal import LOGS, Journal
from emo.extract.job.paths import (
    JOB_FILE,
    JOBS,
    JOBS_HERE,
    has_job,
    job_folders,
    jobs_home,
    latest_job,
    next_folder,
    short,
)
from emo.extract.job.plan import PartPlan
from emo.extract.job.request import Job, JobError
from emo.machine.untrusted.documents import (
    MOST_DOCUMENT_BYTES,
    DocumentError,
    checked,
    parse_checked,
    shortened,
)
from emo.machine.untrusted.kinds import Fields, Shape
from emo.store.backend.commit import cannot_write
from emo.store.backend.location import Location, location

__all__ = ["JobError", "JobFolder", "latest_job", "open_job", "part_numbers", "write_job"]

_AGAIN = "plan the job again with `emo extract`, which keeps what is committed"


@dataclass(frozen=True)
class JobFolder:
    """An opened job folder."""

    path: Location
    """Path of the job folder, on a disk or in a bucket."""
    job: Job
    """The backbones, the store and the options: what workers need besides the clips."""
    offsets: tuple[int, ...]
    """Byte offset of each line of parts.jsonl."""
    executor: str
    """Name of the executor."""
    workers: int | None
    """Number of workers, from ``--workers``; None: the executor's default."""
    executor_options: Mapping[str, Any]
    """Options of the executor that were given, by name; options that are not in it have defaults.
    """
    clips: int | None = None
    """Number of clips in all parts; None: an older version wrote the folder, which did not count.
    """
    notes: tuple[str, ...] = ()
    """What the user must know about the folder, such as a newer one that is damaged."""

    @property
    def parts(self) -> range:
        """Numbers of the job's parts."""
        return range(len(self.offsets))

    @property
    def logs(self) -> Location:
        """Folder of the workers' logs."""
        return self.path / LOGS

    def part(self, number: int) -> PartPlan:
        """Read one part.

        Raises:
            JobError: the job has no part of that number, or its line is damaged.
        """
        if number not in self.parts:
            raise JobError(
                f"{self.path}: the job has no part {number}, only 0 to {len(self.parts) - 1}"
            )
        later = self.offsets[number + 1 : number + 2]
        stop = later[0] if later else None
        with self._told():
            line = self._files.line_at(PARTS_FILE, self.offsets[number], stop, MOST_LINE_BYTES)
        return self._part(line, number)

    def all_parts(self) -> Iterator[PartPlan]:
        """Yield every part in order; only one at a time is in memory.

        Raises:
            JobError: a line is damaged, or there are fewer or more lines than parts.
        """
        number = 0
        with self._told():
            for line in self._files.lines_of(PARTS_FILE, MOST_LINE_BYTES):
                yield self._part(line, number)
                number += 1
        if number != len(self.offsets):
            raise JobError(
                f"{self.path / PARTS_FILE}: expected {len(self.offsets):,} lines, found "
                f"{number:,}; {_AGAIN}"
            )

    def journal(self, number: int) -> Journal:
        """Return the journal of a part, whose file exists only while it has entries."""
        return Journal(self.path / "journal" / f"{number:06}.jsonl")

    def journals(self) -> dict[int, Journal]:
        """Return the journals that exist: part number -> journal."""
        names = files_of(self.path / "journal").names(".jsonl")
        numbers = (name.removesuffix(".jsonl") for name in names)
        return {int(each): self.journal(int(each)) for each in numbers if each.isdecimal()}

    def _part(self, line: bytes, number: int) -> PartPlan:
        return part_of(line, self.path, self.job.root, number)

    @property
    def _files(self) -> JobFiles:
        return files_of(self.path)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Raise a JobError if the file of the parts is missing or no regular file."""
        path = self.path / PARTS_FILE
        if isinstance(path, Path) and not path.is_file():
            what = "is no regular file" if os.path.lexists(path) else "is missing"
            raise JobError(f"{path} {what}; the job folder {self.path} is incomplete")
        try:
            yield
        except FileNotFoundError as error:
            raise JobError(
                f"{path} is missing; the job folder {self.path} is incomplete"
            ) from error


def write_job(
    job: Job,
    parts: Iterable[PartPlan],
    *,
    executor: str = "local",
    workers: int | None = None,
    executor_options: Mapping[str, Any] = {},
    jobs: Location | None = None,
    is_on_disk: bool = False,
) -> JobFolder:
    """Write a plan to a new job folder and open it.

    Args:
        job: what the workers need besides the clips.
        parts: the plan.
        executor: name of the executor.
        workers: option ``--workers``.
        executor_options: options of the executor that were given, by name.
        jobs: folder for the job folders of a store in a bucket, see :func:`jobs_home`.
        is_on_disk: whether the executor needs the job on a disk.

    Raises:
        StoreError: the store cannot be written.
    """
    home = jobs_home(job.store, jobs, is_on_disk=is_on_disk)
    try:
        home.mkdir(exist_ok=True, parents=not isinstance(job.store, Path))
        path = next_folder(home)
        for name in ("journal", LOGS):
            if isinstance(path, Path):
                (path / name).mkdir()
        files = files_of(path)
        clips: list[int] = []
        offsets = write_lines(files, _counted(parts, clips))
        files.write("offsets.json", (json.dumps(offsets) + "\n").encode())
        document = job_to_json(job, len(offsets)) | {
            "clips": sum(clips), "executor": executor, "workers": workers,
            "resources": dict(executor_options),
        }  # fmt: skip
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        files.write(JOB_FILE, text.encode())
    except OSError as error:
        raise cannot_write(Path(error.filename or str(home)), error) from error
    except UnicodeEncodeError as error:
        raise OptionError(
            f"{str(job.store)!r}: its name is not UTF-8; choose another --out"
        ) from error
    return _with_notes(open_job(path), _elsewhere(home))


def open_job(job: Location | str, jobs: Location | None = None) -> JobFolder:
    """Open a job folder, or the newest one of a store.

    Args:
        job: a job folder, or a store.
        jobs: folder with the job folders of a store in a bucket, see :func:`jobs_home`.

    Raises:
        JobError: there is no job folder, it is damaged, or another version of emo wrote it.
    """
    job = location(job)
    if has_job(job):
        return _open(Path(os.path.abspath(job)) if isinstance(job, Path) else job)
    first: JobError | None = None
    for path in job_folders(job, jobs):
        try:
            found = _open(path)
        except JobError as error:
            first = first or error
            continue
        if first is None:
            return _with_notes(found, _elsewhere(path.parent))
        return _with_notes(found, (f"{first}. An older job is taken: {short(path)}",))
    return _no_job(job if isinstance(job, Path) else jobs_home(job, jobs), first)


def _no_job(path: Location, first: JobError | None) -> NoReturn:
    """Raise the error for a folder without a job that can be opened."""
    if first is not None:
        raise first
    why = "No such file or directory"
    try:
        if isinstance(path, Path):
            os.listdir(path)
    except OSError as error:
        why = error.strerror or why
    raise JobError(
        f"{path} is no job folder ({why}); `emo extract` writes job folders to "
        f"STORE/{JOBS}/, or for a store in a bucket to --jobs, with Slurm to {JOBS_HERE}/ in the "
        "current folder"
    )


def _open(path: Location) -> JobFolder:
    """Open a job folder.

    Raises:
        JobError: it is damaged, or another version of emo wrote it.
    """
    document = _read(path, JOB_FILE, Fields({"format": int}))
    if document["format"] != FORMAT:
        version = shortened(str(document["format"]), 40)
        raise JobError(f"{path}: it has format {version}, this emo reads format {FORMAT}")
    try:
        checked(document, JOB)
    except DocumentError as error:
        raise _damaged(path, JOB_FILE, error) from error
    offsets = _read(path, "offsets.json", OFFSETS)
    if len(offsets) != document.get("parts", len(offsets)):
        raise _damaged(path, "offsets.json", f"expected {document['parts']:,} numbers")
    for each in sorted(path.iterdir()) if isinstance(path, Path) else ():
        if each.is_symlink() and each.name not in (JOB_FILE, "offsets.json", PARTS_FILE):
            raise _damaged(path, shortened(each.name), "it is a link, and would be written through")
    try:
        return JobFolder(
            path,
            job_from_json(document),
            tuple(offsets),
            document["executor"],
            document["workers"],
            options_from_json(document["resources"]),
            document.get("clips"),
        )
    except (ValueError, TypeError) as error:
        raise _damaged(path, JOB_FILE, shortened(str(error))) from error
    except EmoError as error:
        raise JobError(f"{path}: {error}") from error


def _read(path: Location, name: str, kind: Shape) -> Any:
    """Read a JSON file of a job folder.

    Raises:
        JobError: it cannot be read, or is not what emo writes.
    """
    try:
        return parse_checked(files_of(path).read(name, MOST_DOCUMENT_BYTES), kind)
    except OSError as error:
        raise JobError(
            f"{path}: damaged job folder: {name} cannot be read ({error.strerror}); {_AGAIN}"
        ) from error
    except ValueError as error:
        raise _damaged(path, name, error) from error


def _damaged(path: Location, name: str, why: object) -> JobError:
    """Return the error for a file of a job folder that is not what emo writes."""
    text = str(why)
    said = text.removeprefix("it") if text.startswith("it ") else f": {text}"
    return JobError(f"{path}: damaged job folder: {name}{said}; {_AGAIN}")


def _with_notes(folder: JobFolder, notes: tuple[str, ...]) -> JobFolder:
    return replace(folder, notes=notes) if notes else folder


def _elsewhere(home: Location) -> tuple[str, ...]:
    """Return a note if the job folders are not in the store's usual folder."""
    if home.name in (JOBS, JOBS_HERE) or not home.name.startswith(f"{JOBS}-"):
        return ()
    return (f"{home.with_name(JOBS)} cannot be read by you: this user's job folders are in {home}",)


def _counted(parts: Iterable[PartPlan], clips: list[int]) -> Iterator[PartPlan]:
    """Yield the parts, and append the number of clips of each to ``clips``."""
    for part in parts:
        clips.append(len(part.clips))
        yield part


def update_job(
    folder: JobFolder, *, executor: str, workers: int | None, executor_options: Mapping[str, Any]
) -> JobFolder:
    """Change how a job runs from now on, in its job.json, and return the changed job.

    A scheduler's tasks, its retries and `emo job status` read the file. ``retries`` keeps its old
    value: a scheduler counts its retries down from run to run, and the deaths that its workers
    tolerate must not shrink with them.

    Args:
        folder: the job.
        executor: name of the executor.
        workers: option ``--workers``.
        executor_options: options of the executor that were given, by name.

    Raises:
        StoreError: the folder cannot be written.
    """
    options = {name: value for name, value in executor_options.items() if name != "retries"}
    if "retries" in folder.executor_options:
        options["retries"] = folder.executor_options["retries"]
    now = replace(folder, executor=executor, workers=workers, executor_options=options)
    if now == folder:
        return folder
    try:
        document = _read(folder.path, JOB_FILE, JOB)
        document |= {"executor": executor, "workers": workers, "resources": options}
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        files_of(folder.path).write(JOB_FILE, text.encode())
    except OSError as error:
        raise cannot_write(folder.path, error) from error
    return now
