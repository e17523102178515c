"""The job folder: a plan on disk, from which workers on any machine can take parts.

    features/.jobs/0001/        for a store in a bucket: emo-jobs/bucket+features/0001/
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
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import emo
from emo.errors import EmoError, OptionError
from emo.extract.decode.budget import MOST_CLIP_BYTES
from emo.extract.decode.limits import MediaLimits
from emo.extract.job.executor_options import options_from_json
from emo.extract.job.job_document import JOB, MOST_LINE_BYTES, OFFSETS
from emo.extract.job.journal import LOGS, Journal
from emo.extract.job.parts_file import PARTS_FILE, part_numbers, part_of, write_lines
from emo.extract.job.paths import (
    JOBS,
    JOBS_HERE,
    job_folders,
    jobs_home,
    latest_job,
    next_folder,
    short,
)
from emo.extract.job.plan import PartPlan
from emo.extract.job.request import Job, JobError, Request
from emo.store.backend.commit import cannot_write
from emo.store.backend.location import Location, location
from emo.store.backend.process_identity import host, this_process
from emo.store.recipe import Recipe
from emo.untrusted.documents import (
    MOST_DOCUMENT_BYTES,
    DocumentError,
    checked,
    parse_checked,
    read_checked,
    shortened,
)
from emo.untrusted.files import read_regular
from emo.untrusted.kinds import Fields, Shape

__all__ = ["JobError", "JobFolder", "latest_job", "open_job", "part_numbers", "write_job"]

FORMAT = 1
"""Version of the job folder's format."""
_AGAIN = "plan the job again with `emo extract`, which keeps what is committed"


@dataclass(frozen=True)
class JobFolder:
    """An opened job folder."""

    path: Path
    """Path of the job folder."""
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
    def logs(self) -> Path:
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
        with self._file(PARTS_FILE).open("rb") as file:
            file.seek(self.offsets[number])
            return self._part(file.readline(MOST_LINE_BYTES + 1), number)

    def all_parts(self) -> Iterator[PartPlan]:
        """Yield every part in order; only one at a time is in memory.

        Raises:
            JobError: a line is damaged, or there are fewer or more lines than parts.
        """
        number = 0
        with self._file(PARTS_FILE).open("rb") as file:
            while line := file.readline(MOST_LINE_BYTES + 1):
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
        found = sorted((self.path / "journal").glob("*.jsonl"))
        return {int(path.stem): Journal(path) for path in found if path.stem.isdecimal()}

    def _part(self, line: bytes, number: int) -> PartPlan:
        return part_of(line, self.path, self.job.root, number)

    def _file(self, name: str) -> Path:
        path = self.path / name
        if not path.is_file():
            what = "is no regular file" if os.path.lexists(path) else "is missing"
            raise JobError(f"{path} {what}; the job folder {self.path} is incomplete")
        return path


def write_job(
    job: Job,
    parts: Iterable[PartPlan],
    *,
    executor: str = "local",
    workers: int | None = None,
    executor_options: Mapping[str, Any] = {},
    jobs: Path | None = None,
) -> JobFolder:
    """Write a plan to a new job folder and open it.

    Args:
        job: what the workers need besides the clips.
        parts: the plan.
        executor: name of the executor.
        workers: option ``--workers``.
        executor_options: options of the executor that were given, by name.
        jobs: folder for the job folders of a store in a bucket, see :func:`jobs_home`.

    Raises:
        StoreError: the store cannot be written.
    """
    home = jobs_home(job.store, jobs)
    try:
        home.mkdir(exist_ok=True, parents=not isinstance(job.store, Path))
        path = next_folder(home)
        for name in ("journal", LOGS):
            (path / name).mkdir()
        clips: list[int] = []
        offsets = write_lines(path / PARTS_FILE, _counted(parts, clips))
        (path / "offsets.json").write_text(json.dumps(offsets) + "\n")
        document = _document(job, len(offsets)) | {
            "clips": sum(clips), "executor": executor, "workers": workers,
            "resources": dict(executor_options),
        }  # fmt: skip
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        (path / "job.json").write_text(text, encoding="utf-8")
    except OSError as error:
        raise cannot_write(Path(error.filename or home), error) from error
    except UnicodeEncodeError as error:
        raise OptionError(
            f"{str(job.store)!r}: its name is not UTF-8; choose another --out"
        ) from error
    return _with_notes(open_job(path), _elsewhere(home))


def open_job(job: Location | str, jobs: Path | None = None) -> JobFolder:
    """Open a job folder, or the newest one of a store.

    Args:
        job: a job folder, or a store.
        jobs: folder with the job folders of a store in a bucket, see :func:`jobs_home`.

    Raises:
        JobError: there is no job folder, it is damaged, or another version of emo wrote it.
    """
    job = location(job)
    if isinstance(job, Path) and os.path.lexists(job / "job.json"):
        return _open(Path(os.path.abspath(job)))
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


def _no_job(path: Path, first: JobError | None) -> NoReturn:
    """Raise the error for a folder without a job that can be opened."""
    if first is not None:
        raise first
    why = "No such file or directory"
    try:
        os.listdir(path)
    except OSError as error:
        why = error.strerror or why
    raise JobError(
        f"{path} is no job folder ({why}); `emo extract` writes job folders to "
        f"STORE/{JOBS}/, and for a store in a bucket to {JOBS_HERE}/ in the current folder or "
        "to --jobs"
    )


def _open(path: Path) -> JobFolder:
    """Open a job folder.

    Raises:
        JobError: it is damaged, or another version of emo wrote it.
    """
    document = _read(path, "job.json", Fields({"format": int}))
    if document["format"] != FORMAT:
        version = shortened(str(document["format"]), 40)
        raise JobError(f"{path}: it has format {version}, this emo reads format {FORMAT}")
    try:
        checked(document, JOB)
    except DocumentError as error:
        raise _damaged(path, "job.json", error) from error
    offsets = _read(path, "offsets.json", OFFSETS)
    if len(offsets) != document.get("parts", len(offsets)):
        raise _damaged(path, "offsets.json", f"expected {document['parts']:,} numbers")
    for each in sorted(path.iterdir()):
        if each.is_symlink() and each.name not in ("job.json", "offsets.json", PARTS_FILE):
            raise _damaged(path, shortened(each.name), "it is a link, and would be written through")
    try:
        return JobFolder(
            path,
            _job_of(document),
            tuple(offsets),
            document["executor"],
            document["workers"],
            options_from_json(document["resources"]),
            document.get("clips"),
        )
    except (ValueError, TypeError) as error:
        raise _damaged(path, "job.json", shortened(str(error))) from error
    except EmoError as error:
        raise JobError(f"{path}: {error}") from error


def _read(path: Path, name: str, kind: Shape) -> Any:
    """Read a JSON file of a job folder.

    Raises:
        JobError: it cannot be read, or is not what emo writes.
    """
    try:
        data = read_regular(path / name, most_bytes=MOST_DOCUMENT_BYTES, follow_links=True)
        return parse_checked(data, kind)
    except OSError as error:
        raise JobError(
            f"{path}: damaged job folder: {name} cannot be read ({error.strerror}); {_AGAIN}"
        ) from error
    except ValueError as error:
        raise _damaged(path, name, error) from error


def _damaged(path: Path, name: str, why: object) -> JobError:
    """Return the error for a file of a job folder that is not what emo writes."""
    text = str(why)
    said = text.removeprefix("it") if text.startswith("it ") else f": {text}"
    return JobError(f"{path}: damaged job folder: {name}{said}; {_AGAIN}")


def _with_notes(folder: JobFolder, notes: tuple[str, ...]) -> JobFolder:
    return replace(folder, notes=notes) if notes else folder


def _elsewhere(home: Path) -> tuple[str, ...]:
    """Return a note if the job folders are not in the store's usual folder."""
    if home.name in (JOBS, JOBS_HERE) or not home.name.startswith(f"{JOBS}-"):
        return ()
    return (f"{home.with_name(JOBS)} cannot be read by you: this user's job folders are in {home}",)


def _counted(parts: Iterable[PartPlan], clips: list[int]) -> Iterator[PartPlan]:
    """Yield the parts, and append the number of clips of each to ``clips``."""
    for part in parts:
        clips.append(len(part.clips))
        yield part


def _document(job: Job, parts: int) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "emo": emo.__version__,
        "parts": parts,
        "store": str(job.store.absolute()),
        "root": os.path.abspath(job.root),
        "device": job.device,
        "batch_clips": job.batch_clips,
        "batch_size": job.batch_size,
        "strict_media": job.is_strict,
        "clip_bytes": job.clip_bytes,
        "hosts": list(job.hosts),
        "limits": job.limits.to_json(),
        "backbones": [
            asdict(request) | {"recipe": request.recipe.to_json()} for request in job.requests
        ],
    }


def _job_of(document: Mapping[str, Any]) -> Job:
    return Job(
        root=Path(document["root"]),
        store=location(document["store"]),
        requests=tuple(
            Request(**{**backbone, "recipe": Recipe.from_json(backbone["recipe"])})
            for backbone in document["backbones"]
        ),
        device=document["device"],
        batch_clips=document["batch_clips"],
        batch_size=document["batch_size"],
        is_strict=document.get("strict_media", False),  # older job folders lack these
        clip_bytes=document.get("clip_bytes", MOST_CLIP_BYTES),
        hosts=tuple(document.get("hosts", ())),
        limits=MediaLimits.from_json(document.get("limits", {})),
    )


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
    path = folder.path / "job.json"
    unfinished = path.with_name(f".job-{host()}-{this_process()}")
    try:
        document = read_checked(path, JOB, error=JobError, advice=_AGAIN)
        document |= {"executor": executor, "workers": workers, "resources": options}
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)  # atomic: a task that starts now reads the old or the new file
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise cannot_write(folder.path, error) from error
    return now
