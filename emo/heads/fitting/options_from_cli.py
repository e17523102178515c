"""Turn the words of the command line into `FitOptions`: targets, tasks, weights, head options."""

from collections.abc import Mapping, Sequence
from typing import Any

from emo import plugins
from emo.errors import OptionError
from emo.heads.options import FitOptions
from emo.heads.presets import find_preset


def fit_options(
    given: Mapping[str, Any],
    *,
    targets: Sequence[str],
    tasks: Sequence[str],
    weights: Sequence[str],
    option: Sequence[str],
    preset: str | None = None,
) -> FitOptions:
    """Return the options of a fit: typed values, else the preset's, else the defaults.

    Args:
        given: typed fields of :class:`FitOptions` and of its ``loop``, by name.
        targets: columns of the manifest to predict.
        tasks: words such as ``regress`` for all targets, or ``valence=regress`` for one.
        weights: words such as ``emotion=0.5``, factors of targets in the loss.
        option: words ``name=value``, the head's own options.
        preset: name of a preset, see :mod:`emo.heads.presets`.

    Raises:
        OptionError: a word or a value that is not understood.
    """
    if given.get("search") == 0:
        raise OptionError("--search 0: expected at least 1 trial; leave it out for no search")
    fields = {**(_fields(preset) if preset else {}), **given}
    if targets:
        fields["target"] = targets[0] if len(targets) == 1 else tuple(targets)
    head = fields.get("head", FitOptions.head)
    has_preset_head = preset is not None and head == find_preset(preset).head
    own = find_preset(preset).head_options if preset and has_preset_head else {}
    found = FitOptions.of(**fields)
    return found.replace(
        tasks=_tasks(tasks, found.targets),
        target_weights=_weights(weights),
        head_options={**own, **plugins.split_options(option, [head])[head]},
    )


def _fields(name: str) -> dict[str, Any]:
    """Return the fields that a preset sets, without the options of its head."""
    preset = find_preset(name)
    fields = {**preset.options, "head": preset.head, "preset": name}
    return fields | ({"streams": preset.streams} if preset.streams else {})


def _tasks(words: Sequence[str], targets: Sequence[str]) -> dict[str, str]:
    """Return the typed task of each target."""
    found = {}
    for word in words:
        target, equals, task = word.rpartition("=")
        found.update({target: task} if equals else dict.fromkeys(targets, task))
    return found


def _weights(words: Sequence[str]) -> dict[str, float]:
    """Return the typed factor of each target in the loss."""
    found = {}
    for word in words:
        target, _, factor = word.rpartition("=")
        try:
            found[target] = float(factor)
        except ValueError:
            found[target] = -1.0
        if not target or not found[target] > 0:
            raise OptionError(
                f"--target-weight {word}: expected TARGET=FACTOR with a FACTOR above 0"
            )
    return found
