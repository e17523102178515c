"""Read and write parts.jsonl of a job: one line per part, with the clips that each recipe lacks."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from emo.extract.decode.sources.object_listing import facts_of_clips
from emo.extract.job.files.job_document import MOST_LINE_BYTES, PART
from emo.extract.job.files.job_files import JobFiles
from emo.extract.job.plan import PartPlan, Todo
from emo.extract.job.request import JobError
from emo.machine.untrusted.documents import DocumentError, parse_checked
from emo.manifest import Clip, Manifest
from emo.manifest.cells import ARRAYS
from emo.store.backend.location import Location

PARTS_FILE = "parts.jsonl"
_NOT_FOR_WORKERS = {"split", "dialogue", "turn", "speaker"}
"""Columns of the manifest that workers do not need, unless the plan says so."""


def write_lines(files: JobFiles, parts: Iterable[PartPlan]) -> list[int]:
    """Write one line per part into a job folder; return the byte offset of each line."""
    offsets: list[int] = []

    def lines() -> Iterator[bytes]:
        at = 0
        for number, part in enumerate(parts):
            line = json.dumps(_line(number, part), ensure_ascii=False).encode() + b"\n"
            offsets.append(at)
            at += len(line)
            yield line

    files.write_all(PARTS_FILE, lines())
    return offsets


def part_of(line: bytes, folder: Location, root: Path, number: int) -> PartPlan:
    """Parse the line of one part.

    Args:
        line: the line.
        folder: the job folder, for error messages.
        root: folder that the clips' paths are relative to.
        number: number of the part, for error messages.

    Raises:
        JobError: the line is damaged.
        ManifestError: a path in it leaves the root.
    """
    try:
        document = parse_checked(line, PART, most_bytes=MOST_LINE_BYTES)
        clips = tuple(Clip(**row) for row in document["rows"])
    except (DocumentError, TypeError) as error:
        raise JobError(f"{folder}/{PARTS_FILE}: part {number} is damaged: {error}") from error
    todo = {
        name: Todo(frozenset(wanted["clips"]), wanted["attempt"])
        for name, wanted in document["todo"].items()
    }
    media = Manifest(Path(PARTS_FILE), root, (), "")
    for cell in (cell for clip in clips for cell in (clip.video, clip.audio) if cell):
        media.check_cell(cell)  # refuses a path that leaves the root, and a URL with secrets
    objects = {url: (size, etag) for url, (size, etag) in document.get("objects", {}).items()}
    return PartPlan(clips, todo, objects)


def _line(number: int, part: PartPlan) -> dict[str, Any]:
    todo = {
        name: {
            "attempt": wanted.attempt,
            "clips": [clip.id for clip in part.clips if clip.id in wanted.ids],
        }
        for name, wanted in part.todo.items()
    }
    line = {"part": number, "todo": todo, "rows": [_row(clip, part.columns) for clip in part.clips]}
    objects = facts_of_clips(part.clips)
    return {**line, "objects": objects} if objects else line


def _row(clip: Clip, columns: frozenset[str]) -> dict[str, Any]:
    row = {field.name: getattr(clip, field.name) for field in fields(Clip)}
    kept = {
        name: cell
        for name, cell in clip.targets.items()
        if name in columns or cell.endswith(ARRAYS)
    }
    row["targets"] = kept or None  # workers need no other columns
    return {
        name: value
        for name, value in row.items()
        if value is not None and (name in columns or name not in _NOT_FOR_WORKERS)
    }


def part_numbers(words: str, parts: range) -> list[int]:
    """Parse the option ``--part`` into part numbers.

    >>> part_numbers("3,5-7", range(10))
    [3, 5, 6, 7]

    Raises:
        JobError: it has another form, or a number is not in ``parts``.
    """
    numbers: list[int] = []
    for word in words.split(","):
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", word.strip())
        if not found:
            raise JobError(f"--part {words}: expected part numbers such as 3 or 0-7,9")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise JobError(
                f"--part {words}: the range {word.strip()} is backwards; give {last}-{first}"
            )
        numbers += range(first, last + 1)
    if not numbers or not set(numbers) <= set(parts):
        raise JobError(f"--part {words}: the job has the parts 0 to {len(parts) - 1}")
    return list(dict.fromkeys(numbers))
