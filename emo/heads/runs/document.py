"""Types of the entries of run.json, against which the file is held before anything is made of it.

A run may come from somebody else: sizes that it names are bounded here, before a head is built.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emo.errors import FitError
from emo.heads.data.targets import TASKS
from emo.machine.untrusted.documents import DocumentError, checked
from emo.machine.untrusted.kinds import AnyJson, Fields, ListOf, MapOf, OneOf, Shape, Where

MOST_WIDTH = 10**6
"""Largest width of a stream's tokens that a run may name."""
_SCORE = Where(
    AnyJson(),
    lambda score: score is None or type(score) is float or (type(score) is int and score < 2**53),
    "a number or null",
)  # a score that is undefined is null; the earliest versions wrote NaN
_COUNT = Where(int, lambda count: 0 <= count < 2**53, "a whole number of 0 or more")
_WIDTH = Where(int, lambda width: 1 <= width <= MOST_WIDTH, f"a width from 1 to {MOST_WIDTH:,}")
_INTERVAL = Where(ListOf(_SCORE), lambda ends: len(ends) == 2, "a list of two numbers")
_OF_CLASS = ("clips", "predicted", "precision", "recall", "f1")
_METRICS = Fields(
    {
        "clips": _COUNT, "seeds": MapOf(MapOf(_SCORE)), "mean": MapOf(_SCORE),
        "std": MapOf(_SCORE),
    },
    {
        "interval": MapOf(_INTERVAL), "majority": MapOf(_SCORE), "drawn": str,
        "classes": MapOf(Fields({}, dict.fromkeys(_OF_CLASS, _SCORE))), "others": MapOf(_COUNT),
        "by": MapOf(MapOf(Fields({"rows": _COUNT, "share": _SCORE}))),
    },
)  # fmt: skip
_BY_SPLIT = MapOf(_METRICS)
_TARGET_KINDS: dict[str, Shape] = {
    "name": str,
    "task": Where(str, lambda task: task in TASKS, f"one of {', '.join(TASKS)}"),
    "classes": ListOf(str),
}
_NUMBER_KINDS: dict[str, Shape] = {"centre": float, "spread": float, "scale": str}
_TARGET = Where(
    Fields(_TARGET_KINDS, _NUMBER_KINDS),
    lambda target: target.keys() <= _TARGET_KINDS.keys() | _NUMBER_KINDS.keys(),
    "a target without further entries",
)
_HEAD = Fields({"name": str}, {"options": dict, "code": str})
_STREAMS = MapOf(Fields({"dim": _WIDTH}, {"fingerprint": str}))
RUN = Fields(
    {"format_version": int, "target": str, "classes": ListOf(str)},
    {
        "targets": Where(ListOf(_TARGET), bool, "a list of at least one target"),
        "head": _HEAD,
        "streams": _STREAMS,
        "recipes": MapOf(dict),
        "manifest": Fields({}, {"path": str, "sha256": str, "columns": MapOf(str), "root": str}),
        "options": Fields({}, {"first_seed": _COUNT}),
        "before_search": Fields({"head": _HEAD, "options": dict}),
        "kept": Fields({}, {"seed": int}),
        "question": OneOf((str, None)),
        "drawn": str,
        "metrics": _BY_SPLIT,
        "metrics_of_others": MapOf(_BY_SPLIT),
        "missing": MapOf(MapOf(_BY_SPLIT)),
        "folds": Fields({}, {"each": list}),
        "transductive": bool,
        "seen": ListOf(str),
    },
)
"""What run.json must be; runs of earlier versions lack some of the keys that may be missing."""
WITH_HEAD = Fields(
    {
        "head": Fields({"name": str, "options": dict}, {"code": str}),
        "streams": Where(_STREAMS, bool, "an object with at least one stream"),
        "recipes": dict,
    }
)
"""What run.json must hold besides, so that the head can be loaded."""
SCORED = Fields({"head": _HEAD, "streams": _STREAMS, "metrics": dict, "options": dict})
"""What run.json must hold besides, so that the run can be ranked."""


def check_entries(path: Path, document: Mapping[str, Any], kind: Shape) -> None:
    """Check the types of a run.json that was read.

    Args:
        path: the file, for the message.
        document: its contents.
        kind: what it must be, such as ``RUN``.

    Raises:
        FitError: it is something else; the message names the entry.
    """
    try:
        checked(checked(document, AnyJson()), kind)
    except DocumentError as error:
        raise FitError(f"{path}: damaged: {error}. Fit the run again.") from error
