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
from typing import Any

import emo
from emo.errors import EmoError, OptionError
from emo.extract.decode.budget import MOST_CLIP_BYTES
from emo.extract.job.executor_options import options_from_json
from emo.extract.job.journal import LOGS, Journal
from emo.extract.job.parts_file import PARTS_FILE, part_numbers, part_of, write_lines
from emo.extract.job.paths import JOBS, JOBS_HERE, jobs_home, latest_job, next_folder
from emo.extract.job.plan import PartPlan
from emo.extract.job.request import Job, JobError, Request
from emo.store.backend.commit import cannot_write
from emo.store.backend.location import Location, location
from emo.store.backend.process_identity import host, this_process
from emo.store.recipe import Recipe

__all__ = ["JobError", "JobFolder", "latest_job", "open_job", "part_numbers", "write_job"]

FORMAT = 1
"""Version of the job folder's format."""


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
            return self._part(file.readline(), number)

    def all_parts(self) -> Iterator[PartPlan]:
        """Yield every part in order; only one at a time is in memory."""
        with self._file(PARTS_FILE).open("rb") as file:
            for number, line in enumerate(file):
                yield self._part(line, number)

    def journal(self, number: int) -> Journal:
        """Return the journal of a part, whose file exists only while it has entries."""
        return Journal(self.path / "journal" / f"{number:06}.jsonl")

    def journals(self) -> dict[int, Journal]:
        """Return the journals that exist: part number -> journal."""
        found = sorted((self.path / "journal").glob("*.jsonl"))
        return {int(path.stem): Journal(path) for path in found if path.stem.isdigit()}

    def _part(self, line: bytes, number: int) -> PartPlan:
        return part_of(line, self.path, self.job.root, number)

    def _file(self, name: str) -> Path:
        path = self.path / name
        if not path.is_file():
            raise JobError(f"{path} is missing; the job folder {self.path} is incomplete")
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
        offsets = write_lines(path / PARTS_FILE, parts)
        (path / "offsets.json").write_text(json.dumps(offsets) + "\n")
        document = _document(job, len(offsets)) | {
            "executor": executor, "workers": workers, "resources": dict(executor_options),
        }  # fmt: skip
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        (path / "job.json").write_text(text, encoding="utf-8")
    except OSError as error:
        raise cannot_write(home, error) from error
    except UnicodeEncodeError as error:
        raise OptionError(
            f"{str(job.store)!r}: its name is not UTF-8; choose another --out"
        ) from error
    return open_job(path)


def open_job(job: Location | str, jobs: Path | None = None) -> JobFolder:
    """Open a job folder, or the newest one of a store.

    Args:
        job: a job folder, or a store.
        jobs: folder with the job folders of a store in a bucket, see :func:`jobs_home`.

    Raises:
        JobError: there is no job folder, it is damaged, or another version of emo wrote it.
    """
    job = location(job)
    if isinstance(job, Path) and (job / "job.json").is_file():
        path = Path(os.path.abspath(job))
    else:
        path = latest_job(job, jobs) or (job if isinstance(job, Path) else jobs_home(job, jobs))
    try:
        document = json.loads((path / "job.json").read_bytes())
        offsets = json.loads((path / "offsets.json").read_bytes())
        if document["format"] != FORMAT:
            raise JobError(f"it has format {document['format']}, this emo reads format {FORMAT}")
        return JobFolder(
            path,
            _job_of(document),
            tuple(offsets),
            document["executor"],
            document["workers"],
            options_from_json(document["resources"]),
        )
    except OSError as error:
        if (path / "job.json").exists():
            file = Path(error.filename or path).name
            raise JobError(
                f"{path}: damaged job folder: {file} cannot be read ({error.strerror}); plan the "
                "job again with `emo extract`, which keeps what is committed"
            ) from error
        raise JobError(
            f"{path} is no job folder ({error.strerror}); `emo extract` writes job folders to "
            f"STORE/{JOBS}/, and for a store in a bucket to {JOBS_HERE}/ in the current folder or "
            "to --jobs"
        ) from error
    except KeyError as error:
        raise JobError(f"{path}: damaged job folder: job.json lacks {error}") from error
    except (ValueError, TypeError) as error:
        raise JobError(
            f"{path}: damaged job folder: job.json or offsets.json is not what emo writes: {error}"
        ) from error
    except EmoError as error:
        raise JobError(f"{path}: {error}") from error


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
        document = json.loads(path.read_bytes())
        document |= {"executor": executor, "workers": workers, "resources": options}
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)  # atomic: a task that starts now reads the old or the new file
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise cannot_write(folder.path, error) from error
    return now
