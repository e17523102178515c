"""What was typed -> the options of a fit: targets with their tasks and weights, head options."""

from collections.abc import Mapping, Sequence
from typing import Any

from emo import plugins
from emo.errors import OptionError
from emo.heads.options import FitOptions


def fit_options(
    given: Mapping[str, Any],
    *,
    targets: Sequence[str],
    tasks: Sequence[str],
    weights: Sequence[str],
    option: Sequence[str],
) -> FitOptions:
    """The options of a fit.

    Args:
        given: fields of :class:`FitOptions` that were typed.
        targets: columns.
        tasks: ``regress`` for all targets, or ``valence=regress`` for one.
        weights: ``emotion=0.5``.
        option: ``name=value`` of the head.
    """
    head = given.get("head", FitOptions.head)
    return FitOptions(
        **{
            **given,
            "target": targets[0] if len(targets) == 1 else tuple(targets),
            "tasks": _tasks(tasks, targets),
            "target_weights": _weights(weights),
            "head_options": plugins.split_options(option, [head])[head],
        }
    )


def _tasks(words: Sequence[str], targets: Sequence[str]) -> dict[str, str]:
    found = {}
    for word in words:
        target, equals, task = word.rpartition("=")
        found.update({target: task} if equals else dict.fromkeys(targets, task))
    return found


def _weights(words: Sequence[str]) -> dict[str, float]:
    found = {}
    for word in words:
        target, _, factor = word.rpartition("=")
        try:
            found[target] = float(factor)
        except ValueError:
            found[target] = -1.0
        if not target or not found[target] > 0:
            raise OptionError(f"--target-weight {word}: expected TARGET=FACTOR above 0")
    return found
