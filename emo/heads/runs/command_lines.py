"""Write down the commands that make a run again, from its ``run.json`` alone."""

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from emo.heads.options import FitOptions
from emo.heads.presets import PRESETS
from emo.store.recipe import IMPORTED

_DEEP = 3
"""Number of parts from which a shared folder lies below the folder of a user."""
_ELSEWHERE = ("head", "head_options", "target", "tasks", "loop", "preset")
"""Fields that are written in another way."""
_OF_PRESETS = ("first_seed", "gradient_norm")
"""Fields without a flag; a preset sets them."""


def commands_of(document: Mapping[str, Any], *, relative: bool = False) -> list[str]:
    """Return an `emo extract` line for each recipe that was computed, and the `emo fit-head` line.

    Args:
        document: ``run.json`` of the run.
        relative: write paths without folders of the machine, its users, hosts and passwords.
    """
    if relative:
        document = _without_folders(document)
    lines = [_extract_line(name, recipe, document) for name, recipe in document["recipes"].items()]
    return [*filter(None, lines), _fit_line(document)]


def extract_command(name: str, recipe: Mapping[str, Any], store: str = "features") -> str:
    """Return the `emo extract` command of one recipe of a store; empty: it was imported.

    A store does not know the file of its manifest, so that ``MANIFEST`` stands for it.

    Args:
        name: name of the recipe.
        recipe: the recipe as JSON values.
        store: name of the store.
    """
    document = {"manifest": {"path": "MANIFEST"}, "features": [store]}
    return _extract_line(name, recipe, document)


def _without_folders(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``run.json`` with paths as they are from a folder that holds manifest and stores.

    Where that folder is near the root, such as ``/home/NAME``, only names are left.
    """
    manifest = str(document["manifest"]["path"])
    features = [str(each) for each in document["features"]]
    root = [str(each) for each in [document["manifest"].get("root")] if each]
    every = [_parts(path) for path in (manifest, *features, *root) if "://" not in path]
    shared = min((len(parts) - 1 for parts in every), default=0)
    while shared and len({parts[:shared] for parts in every}) > 1:
        shared -= 1
    options = dict(document["options"])
    if options.get("init"):
        options["init"] = [_parts(str(each))[-1] for each in options["init"]]
    return {
        **document,
        "manifest": {
            **document["manifest"], "path": _short_path(manifest, shared),
            **({"root": _short_path(root[0], shared)} if root else {}),
        },
        "features": [_short_path(path, shared) for path in features],
        "options": options,
    }  # fmt: skip


def _parts(path: str) -> tuple[str, ...]:
    """Return the parts of a path of any system, without its root."""
    return tuple(part for part in re.split(r"[/\\]+", path) if part) or ("",)


def _short_path(path: str, shared: int) -> str:
    """Return a path without its first ``shared`` parts; of a bucket, without key and question."""
    if "://" in path:
        kind, _, rest = path.partition("://")
        return f"{kind}://{rest.partition('?')[0].rpartition('@')[2]}"
    parts = _parts(path)
    return "/".join(parts[shared:] if shared >= _DEEP else parts[-1:])


def _extract_line(name: str, recipe: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    """Return the `emo extract` command of one recipe; empty: it was imported."""
    plugin = str(recipe["backbone"])
    if plugin.startswith(IMPORTED):
        return ""
    word = plugin if plugin == name else f"{plugin}:{name}"
    options = [f"{name}.{key}={_shown(value)}" for key, value in recipe["options"].items()]
    features = [str(each) for each in document["features"][:1]]
    manifest = "CLIPS" if _is_of_clips(name, document) else str(document["manifest"]["path"])
    words = ["emo", "extract", manifest, "--backbone", word]
    words += [part for each in options for part in ("-o", each)]
    words += _manifest_flags(document) if manifest != "CLIPS" else []
    return shlex.join([*words, "--out", *features]) if features else shlex.join(words)


def _is_of_clips(recipe: str, document: Mapping[str, Any]) -> bool:
    """Return whether a run reads a recipe only through a column, ``recipe/stream@column``.

    Its tokens are those of other clips than the rows of the run's manifest.
    """
    streams = document.get("recipes", {}).get(recipe, {}).get("streams", {})
    read = [name for name in document.get("streams", ()) if name.partition("/")[0] == recipe]
    return bool(read) and all(name.partition("/")[2] not in streams for name in read)


def _fit_line(document: Mapping[str, Any]) -> str:
    """Return the `emo fit-head` command of a run, with the options that are not the defaults.

    Options of a preset are written too, because another version may have another preset. The
    command of a run with ``--search`` searches again.
    """
    asked = document.get("before_search") or document
    usual, given = FitOptions().flat(), asked["options"]
    preset = given.get("preset") if given.get("preset") in PRESETS else None
    set_by_preset = FitOptions.of(**PRESETS[preset].options).flat() if preset else usual
    words = ["emo", "fit-head", str(document["manifest"]["path"])]
    for each in document["features"]:
        words += ["--features", str(each)]
    for target in document["targets"]:
        words += ["--target", str(target["name"])]
        words += ["--task", f"{target['name']}={target['task']}"]
    words += ["--head", str(document["head"]["name"])]
    for name, value in asked["head"]["options"].items():
        words += ["-o", f"{name}={_shown(value)}"]
    words += _manifest_flags(document)
    if "folds" in document:
        words += ["--cv", str(document["folds"].get("by", ""))]
    words += ["--preset", preset] if preset else []
    for name, value in given.items():
        if (
            name in (*_ELSEWHERE, *_OF_PRESETS)
            or value == usual.get(name) == set_by_preset.get(name)
            or value in (None, [], {}, "")
        ):
            continue
        words += _flag(name, value)
    return shlex.join(words)


_SINGULAR = {"streams": "stream", "target_weights": "target-weight", "by_columns": "by"}


def _manifest_flags(document: Mapping[str, Any]) -> list[str]:
    """Return the words that name other columns of a manifest, and another folder of its media."""
    columns = document["manifest"].get("columns") or {}
    root = document["manifest"].get("root")
    words = [word for ours, theirs in columns.items() for word in ("--column", f"{ours}={theirs}")]
    return [*words, *(["--root", str(root)] if root else [])]


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
