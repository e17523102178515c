"""Options of the training loop that a head's solver never reads: refused, not silently ignored."""

from typing import Any

from emo.errors import OptionError
from emo.heads.head import Head
from emo.heads.options import FitOptions, LoopOptions
from emo.heads.presets import PRESETS

_TYPED = {"target_weights": "--target-weight"}
"""Of the options that are called otherwise where they are typed."""


def check_read(kind: type[Head], own: Any, options: FitOptions, *, streams: int) -> None:
    """Refuse what was asked for and would change nothing; a preset may ask it of another head.

    Args:
        kind: the head.
        own: an instance of ``kind.Options``.
        options: what is asked.
        streams: how many the head reads.

    Raises:
        OptionError: as said.
    """
    preset = PRESETS.get(options.preset)
    usual = LoopOptions()
    asked = {}
    for name in kind.unused_options(own, streams=streams):
        value, default = getattr(options, name), getattr(usual, name)
        of_preset = preset.options.get(name, default) if preset else default
        if value not in (default, of_preset):
            asked[name] = value
    if not asked:
        return
    words = [_typed(name, value) for name, value in asked.items()]
    raise OptionError(
        f"head {options.head} with solver={own.solver} is solved, not trained by steps: "
        f"{' and '.join(words)} would change nothing. Leave {'it' if len(asked) == 1 else 'them'} "
        "out, or train with -o solver=adamw."
    )


def _typed(name: str, value: Any) -> str:
    word = _TYPED.get(name, f"--{name.replace('_', '-')}")
    if value is True:
        return word
    words = [f"{k}={v:g}" for k, v in value.items()] if name in _TYPED else [f"{value}"]
    return " ".join(f"{word} {each}" for each in words)
