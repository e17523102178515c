"""job.json: a Job as a JSON document, and back; the types of a job folder's documents."""

import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import emo
from emo.extract.decode.budget import MOST_CLIP_BYTES
from emo.extract.decode.limits import MediaLimits
from emo.extract.job.request import Job, PartFiles, Request
from emo.machine.untrusted.documents import shortened
from emo.machine.untrusted.kinds import AnyJson, Fields, ListOf, MapOf, OneOf, Shape, Where
from emo.store.backend.location import location
from emo.store.recipe import Recipe

FORMAT = 1
"""Version of the job folder's format."""
MOST_WORKERS = 100_000
"""Largest number of workers that a job.json may ask for."""
MOST_LINE_BYTES = 2**28
"""Longest line of parts.jsonl that is read, 256 MiB."""


def _is_text(text: str) -> bool:
    """Return whether a text can be a path: no NUL and no half of a character."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _is_option(value: Any) -> bool:
    return not isinstance(value, list | dict) or (
        isinstance(value, list) and all(not isinstance(each, list | dict) for each in value)
    )


TEXT = Where(str, _is_text, "text without NUL characters")
"""Text that may be a path or the name of a clip."""
_COUNT = Where(int, lambda count: 0 <= count < 2**53, "a whole number of 0 or more")
_LEAST_ONE = OneOf((Where(int, lambda n: 1 <= n < 2**31, "a whole number of 1 or more"), None))
_TEXT_OR_NONE = OneOf((TEXT, None))
_ABOVE_ZERO = Where(float, lambda value: value > 0, "a number above 0")
_SECONDS = OneOf((float, None))
JOB: Shape = Fields(
    {
        "format": int,
        "store": TEXT,
        "root": TEXT,
        "device": TEXT,
        "batch_clips": _LEAST_ONE,
        "batch_size": _LEAST_ONE,
        "backbones": ListOf(
            Fields({"name": TEXT, "plugin": TEXT, "options": dict, "recipe": dict})
        ),
        "executor": TEXT,
        "workers": OneOf(
            (Where(int, lambda n: 1 <= n <= MOST_WORKERS, f"1 to {MOST_WORKERS:,} workers"), None)
        ),
        "resources": MapOf(Where(AnyJson(), _is_option, "text, a number, or a list of those")),
    },
    {
        "parts": _COUNT, "clips": _COUNT, "strict_media": bool, "clip_bytes": _COUNT,
        "hosts": ListOf(TEXT), "limits": MapOf(_ABOVE_ZERO),
        "files": Fields(
            {"maker": TEXT, "folder": TEXT, "classes": ListOf(TEXT), "options": dict}
        ),
    },
)  # fmt: skip
"""What job.json must be."""
OFFSETS: Shape = Where(
    ListOf(_COUNT),
    lambda offsets: all(a < b for a, b in pairwise(offsets)),
    "rising numbers",
)
"""What offsets.json must be."""
PART: Shape = Fields(
    {
        "todo": MapOf(Fields({"attempt": _COUNT, "clips": ListOf(str)})),
        "rows": ListOf(
            Fields(
                {"id": str},
                {
                    "video": _TEXT_OR_NONE, "audio": _TEXT_OR_NONE, "audio_channel": TEXT,
                    "audio_track": _TEXT_OR_NONE, "text": OneOf((str, None)),
                    "start_seconds": _SECONDS, "end_seconds": _SECONDS, "targets": MapOf(str),
                    "dialogue": str, "turn": int,
                },
            )
        ),
    },
    {
        "objects": MapOf(
            Where(
                ListOf(AnyJson()),
                lambda facts: len(facts) == 2 and type(facts[0]) is int and type(facts[1]) is str,
                "a size and an ETag",
            )
        )
    },
)  # fmt: skip
"""What a line of parts.jsonl must be."""


def job_to_json(job: Job, parts: int) -> dict[str, Any]:
    """Return job.json of a job with so many parts, without what its executor needs."""
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
            {
                "name": request.name,
                "plugin": request.plugin,
                "options": request.options,
                "recipe": request.recipe.to_json(),
            }
            for request in job.requests
        ],
        **({"files": _files_document(job.files)} if job.files else {}),
    }


def _files_document(files: PartFiles) -> dict[str, Any]:
    return {
        "maker": files.maker,
        "folder": str(files.folder.absolute()),
        "classes": list(files.classes),
        "options": dict(files.options),
    }


def job_from_json(document: Mapping[str, Any]) -> Job:
    """Return the job that a job.json describes, once the types of its values are checked.

    Raises:
        ValueError: it names neither backbones nor files.
        EmoError: a recipe, the store or a limit is wrong.
    """
    files = document.get("files")
    if not files and not document["backbones"]:
        raise ValueError("backbones: expected a list of at least one backbone")
    return Job(
        root=Path(document["root"]),
        store=location(document["store"]),
        requests=tuple(
            Request(
                **{**backbone, "recipe": Recipe.from_json(backbone["recipe"])},
                planned_by=shortened(str(document.get("emo", "")), 20),
            )
            for backbone in document["backbones"]
        ),
        device=document["device"],
        batch_clips=document["batch_clips"],
        batch_size=document["batch_size"],
        is_strict=document.get("strict_media", False),  # older job folders lack these
        clip_bytes=document.get("clip_bytes", MOST_CLIP_BYTES),
        hosts=tuple(document.get("hosts", ())),
        files=files and PartFiles(
            files["maker"], location(files["folder"]), tuple(files["classes"]), files["options"]
        ),
        limits=MediaLimits.from_json(document.get("limits", {})),
    )  # fmt: skip
