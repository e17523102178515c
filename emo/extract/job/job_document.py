"""Types of job.json, offsets.json and a line of parts.jsonl, checked before they are used."""

from itertools import pairwise
from typing import Any

from emo.machine.untrusted.kinds import AnyJson, Fields, ListOf, MapOf, OneOf, Shape, Where

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
