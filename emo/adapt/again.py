"""The command that extracts the tokens of adapted weights, printed at the end of an adaptation."""

import shlex
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from emo import plugins
from emo.adapt.live import Live
from emo.manifest import Manifest

TUNED = "tuned"
"""Name of the recipe of adapted tokens, which must not be that of the base's."""


def command_again(
    manifest: Manifest, lives: Mapping[str, Live], written: Mapping[str, Mapping[str, Path]]
) -> str:
    """Return the command as a shell reads it, one option a line.

    It has the options with which the backbones were adapted, so that its tokens are those that the
    head was fitted to.

    Args:
        manifest: the clips.
        lives: the backbones by the names of their recipes.
        written: recipe -> option -> folder of its new weights.
    """
    options = []
    words = ["emo", "extract", str(manifest.path)]
    for name, live in lives.items():
        tuned = TUNED if len(lives) == 1 else f"{name}-{TUNED}"
        words += ["--backbone", f"{live.request.plugin}:{tuned}"]
        changed = _changed(live) | {key: str(path) for key, path in written[name].items()}
        options += [f"{tuned}.{key}={plugins.option_word(value)}" for key, value in changed.items()]
    if manifest.root.resolve() != manifest.path.absolute().parent.resolve():
        words += ["--root", str(manifest.root)]
    for ours, theirs in manifest.columns.items():
        words += ["--column", f"{ours}={theirs}"]
    lines = [shlex.join(words), *(f"-o {shlex.quote(option)}" for option in options)]
    return " \\\n    ".join(lines)


def _changed(live: Live) -> dict[str, Any]:
    """Return the options of a backbone that are not the defaults."""
    usual = {
        each.name: each.default if each.default_factory is MISSING else each.default_factory()
        for each in fields(live.kind.Options)
    }
    return {name: value for name, value in live.request.options.items() if value != usual[name]}
