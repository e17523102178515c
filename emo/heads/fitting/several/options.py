"""Turn the words of one command into the options of each of several heads."""

from collections.abc import Mapping, Sequence
from typing import Any

from emo import plugins
from emo.heads.fitting.options_from_cli import fit_options
from emo.heads.fitting.several.all_heads import heads_of
from emo.heads.options import FitOptions


def options_of_heads(
    given: Mapping[str, Any],
    heads: Sequence[str],
    *,
    targets: Sequence[str],
    tasks: Sequence[str],
    weights: Sequence[str],
    option: Sequence[str],
    preset: str | None = None,
) -> dict[str, FitOptions]:
    """Return the options of the fit of each head, by the head's name.

    Args:
        given: typed fields of :class:`FitOptions` and of its ``loop``, without the head.
        heads: names of heads; ``all`` stands for every head there is.
        targets: columns of the manifest to predict.
        tasks: words such as ``regress``, or ``valence=regress`` for one target.
        weights: words such as ``emotion=0.5``, factors of targets in the loss.
        option: words ``head.name=value``, options of the heads.
        preset: name of a preset.

    Raises:
        EmoError: a head, word or value that is not known.
    """
    names = heads_of(heads)
    words = plugins.split_options(option, names)
    return {
        name: fit_options(
            {**given, "head": name}, targets=targets, tasks=tasks, weights=weights, preset=preset,
            option=[f"{name}.{key}={value}" for key, value in words[name].items()],
        )
        for name in names
    }  # fmt: skip
