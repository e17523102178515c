"""The job folder: a plan on disk that any worker on any machine can take parts of.

    features/.jobs/0001/
      job.json        backbones with options and recipes, store, root, executor: readable
      parts.jsonl     one line a part: ids to do by recipe, and a copy of the manifest's rows
      offsets.json    where each line of parts.jsonl begins
      journal/        of parts in hand, and of parts whose worker died
      logs/           one file a worker

What is done is never written here: it is the set of clip ids in committed parts of the store.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import emo
from emo.errors import EmoError
from emo.extract.job import Ask, Job
from emo.extract.journal import LOGS, Journal
from emo.extract.plan import PartPlan, Todo
from emo.extract.resources import NOTHING_ASKED, Resources
from emo.manifest import Clip, Manifest
from emo.manifest.cells import ARRAYS
from emo.store.commit import cannot_write
from emo.store.recipe import Recipe

JOBS = ".jobs"
"""The folder in a store that holds its job folders."""
FORMAT = 1
_NOT_FOR_WORKERS = {"split", "dialogue", "turn", "speaker"}


class JobError(EmoError):
    """A job folder that is missing, damaged or made by another version."""


@dataclass(frozen=True)
class JobFolder:
    """An opened job folder."""

    path: Path
    job: Job
    offsets: tuple[int, ...]
    """Of the lines of parts.jsonl, in bytes."""
    executor: str
    workers: int | None
    resources: Resources

    @property
    def parts(self) -> range:
        """The numbers of its parts."""
        return range(len(self.offsets))

    @property
    def logs(self) -> Path:
        """The folder of the workers' logs."""
        return self.path / LOGS

    def part(self, number: int) -> PartPlan:
        """Read one part.

        Raises:
            JobError: there is none of that number, or its line is damaged.
        """
        if number not in self.parts:
            raise JobError(f"{self.path}: no part {number}; it has 0 to {len(self.parts) - 1}")
        with self._file("parts.jsonl").open("rb") as file:
            file.seek(self.offsets[number])
            return _part_of(file.readline(), self, number)

    def all_parts(self) -> Iterator[PartPlan]:
        """Every part in order, one at a time in memory."""
        with self._file("parts.jsonl").open("rb") as file:
            for number, line in enumerate(file):
                yield _part_of(line, self, number)

    def journal(self, number: int) -> Journal:
        """The journal of a part."""
        return Journal(self.path / "journal" / f"{number:06}.jsonl")

    def journals(self) -> dict[int, Journal]:
        """Those that exist, by part."""
        found = sorted((self.path / "journal").glob("*.jsonl"))
        return {int(path.stem): Journal(path) for path in found if path.stem.isdigit()}

    def _file(self, name: str) -> Path:
        path = self.path / name
        if not path.is_file():
            raise JobError(f"{path} is not there; {self.path} is no whole job folder")
        return path


def write_job(
    job: Job,
    parts: Iterable[PartPlan],
    *,
    executor: str = "local",
    workers: int | None = None,
    resources: Resources = NOTHING_ASKED,
) -> JobFolder:
    """Write the job folder of a plan into its store.

    Raises:
        StoreError: the store cannot be written.
    """
    home = Path(os.path.abspath(job.store)) / JOBS
    try:
        home.mkdir(exist_ok=True)
        path = _next_folder(home)
        for name in ("journal", LOGS):
            (path / name).mkdir()
        offsets = _write_parts(path / "parts.jsonl", parts)
        (path / "offsets.json").write_text(json.dumps(offsets) + "\n")
        document = _document(job, len(offsets)) | {
            "executor": executor, "workers": workers, "resources": resources.given,
        }  # fmt: skip
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        (path / "job.json").write_text(text, encoding="utf-8")
    except OSError as error:
        raise cannot_write(home, error) from error
    return open_job(path)


def open_job(path: Path) -> JobFolder:
    """Open a job folder, or the newest one of a store.

    Raises:
        JobError: there is none, or it was made by another version.
    """
    path = Path(os.path.abspath(path))
    if not (path / "job.json").is_file():
        path = latest_job(path) or path
    try:
        document = json.loads((path / "job.json").read_bytes())
        offsets = json.loads((path / "offsets.json").read_bytes())
        if document["format"] != FORMAT:
            raise JobError(f"format {document['format']}, this emo reads {FORMAT}")
        return JobFolder(
            path,
            _job_of(document),
            tuple(offsets),
            document["executor"],
            document["workers"],
            NOTHING_ASKED.changed(document["resources"]),
        )
    except OSError as error:
        raise JobError(
            f"{path} is no job folder ({error.strerror}); `emo extract` writes them to "
            f"STORE/{JOBS}/"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise JobError(f"{path}: damaged job folder: {error!r}") from error
    except EmoError as error:
        raise JobError(f"{path}: {error}") from error


def latest_job(store: Path) -> Path | None:
    """The newest whole job folder of a store."""
    found = [file.parent for file in (store / JOBS).glob("[0-9]*/job.json")]
    return max((p for p in found if p.name.isdigit()), key=lambda p: int(p.name), default=None)


def short(path: Path) -> Path:
    """As a person here would write it: relative to the current folder when it lies below."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


def part_numbers(words: str, parts: range) -> list[int]:
    """The parts that ``--part`` names.

    >>> part_numbers("3,5-7", range(10))
    [3, 5, 6, 7]

    Raises:
        JobError: no number, or one that is not in ``parts``.
    """
    numbers: list[int] = []
    for word in words.split(","):
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", word.strip())
        if not found:
            raise JobError(f"--part {words}: expected numbers such as 3 or 0-7,9")
        numbers += range(int(found[1]), int(found[2] or found[1]) + 1)
    if not numbers or not set(numbers) <= set(parts):
        raise JobError(f"--part {words}: the job has the parts 0 to {len(parts) - 1}")
    return list(dict.fromkeys(numbers))


def _next_folder(home: Path) -> Path:
    number = max((int(p.name) for p in home.iterdir() if p.name.isdigit()), default=0)
    while True:
        number += 1
        try:
            (home / f"{number:04}").mkdir()
        except FileExistsError:
            continue  # another planner was quicker
        return home / f"{number:04}"


def _write_parts(path: Path, parts: Iterable[PartPlan]) -> list[int]:
    offsets, at = [], 0
    with path.open("wb") as file:
        for number, part in enumerate(parts):
            line = json.dumps(_line(number, part), ensure_ascii=False).encode() + b"\n"
            offsets.append(at)
            at += file.write(line)
    return offsets


def _line(number: int, part: PartPlan) -> dict[str, Any]:
    todo = {
        name: {
            "attempt": wanted.attempt,
            "clips": [clip.id for clip in part.clips if clip.id in wanted.ids],
        }
        for name, wanted in part.todo.items()
    }
    return {"part": number, "todo": todo, "rows": [_row(clip) for clip in part.clips]}


def _row(clip: Clip) -> dict[str, Any]:
    row = {field.name: getattr(clip, field.name) for field in fields(Clip)}
    arrays = {name: cell for name, cell in clip.targets.items() if cell.endswith(ARRAYS)}
    row["targets"] = arrays or None  # the other columns are no business of a worker
    return {
        name: value
        for name, value in row.items()
        if name not in _NOT_FOR_WORKERS and value is not None
    }


def _part_of(line: bytes, folder: JobFolder, number: int) -> PartPlan:
    try:
        document = json.loads(line)
        clips = tuple(Clip(**row) for row in document["rows"])
        todo = {
            name: Todo(frozenset(wanted["clips"]), wanted["attempt"])
            for name, wanted in document["todo"].items()
        }
    except (ValueError, KeyError, TypeError) as error:
        raise JobError(f"{folder.path}/parts.jsonl: part {number} is damaged: {error!r}") from error
    media = Manifest(folder.path, folder.job.root, (), "")
    for relative in (path for clip in clips for path in (clip.video, clip.audio) if path):
        media.media_path(relative)  # a path that leaves the root is refused here too
    return PartPlan(clips, todo)


def _document(job: Job, parts: int) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "emo": emo.__version__,
        "parts": parts,
        "store": os.path.abspath(job.store),
        "root": os.path.abspath(job.root),
        "device": job.device,
        "batch_clips": job.batch_clips,
        "batch_size": job.batch_size,
        "backbones": [asdict(ask) | {"recipe": ask.recipe.to_json()} for ask in job.asks],
    }


def _job_of(document: Mapping[str, Any]) -> Job:
    return Job(
        root=Path(document["root"]),
        store=Path(document["store"]),
        asks=tuple(
            Ask(**{**backbone, "recipe": Recipe.from_json(backbone["recipe"])})
            for backbone in document["backbones"]
        ),
        device=document["device"],
        batch_clips=document["batch_clips"],
        batch_size=document["batch_size"],
    )
