"""Write down the commands that make a run again, from its ``run.json`` alone."""

import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from emo.heads.options import FitOptions
from emo.store.recipe import IMPORTED

_ELSEWHERE = ("head", "head_options", "target", "tasks", "loop", "preset", "target_weights")
"""Fields that have flags of their own, or that the preset's values stand for."""


def commands_of(document: Mapping[str, Any]) -> list[str]:
    """Return an `emo extract` line for each recipe that was computed, and the `emo fit-head` line.

    Args:
        document: ``run.json`` of the run.
    """
    lines = [_extract_line(name, recipe, document) for name, recipe in document["recipes"].items()]
    return [*filter(None, lines), _fit_line(document)]


def _extract_line(name: str, recipe: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    """Return the `emo extract` command of one recipe; empty: it was imported."""
    plugin = str(recipe["backbone"])
    if plugin.startswith(IMPORTED):
        return ""
    word = plugin if plugin == name else f"{plugin}:{name}"
    options = [f"{name}.{key}={_shown(value)}" for key, value in recipe["options"].items()]
    features = [str(each) for each in document["features"][:1]]
    words = ["emo", "extract", str(document["manifest"]["path"]), "--backbone", word]
    words += [part for each in options for part in ("-o", each)]
    return shlex.join([*words, "--out", *features]) if features else shlex.join(words)


def _fit_line(document: Mapping[str, Any]) -> str:
    """Return the `emo fit-head` command of a run, with the options that are not the defaults."""
    usual, given = FitOptions().flat(), document["options"]
    words = ["emo", "fit-head", str(document["manifest"]["path"])]
    for each in document["features"]:
        words += ["--features", str(each)]
    for target in document["targets"]:
        words += ["--target", str(target["name"])]
        words += ["--task", f"{target['name']}={target['task']}"]
    words += ["--head", str(document["head"]["name"])]
    for name, value in document["head"]["options"].items():
        words += ["-o", f"{name}={_shown(value)}"]
    for name, value in given.items():
        if name in _ELSEWHERE or value == usual.get(name) or value in (None, [], {}, ""):
            continue
        words += _flag(name, value)
    return shlex.join(words)


_SINGULAR = {"streams": "stream"}


def _flag(name: str, value: Any) -> list[str]:
    """Return the words of one option of `emo fit-head`."""
    flag = "--" + _SINGULAR.get(name, name).replace("_", "-")
    if value is True:
        return [flag]
    if isinstance(value, Mapping):
        return [word for key, each in value.items() for word in (flag, f"{key}={each}")]
    values: Iterable[Any] = value if isinstance(value, list | tuple) else [value]
    return [word for each in values for word in (flag, _shown(each))]


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, str | int | float | bool) else json.dumps(value)
