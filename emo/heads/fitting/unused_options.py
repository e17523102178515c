"""Refuse typed options of the training loop that a head's solver would silently not use."""

from typing import Any, get_args, get_type_hints

from emo.errors import OptionError
from emo.heads.head import Head
from emo.heads.options import FitOptions, LoopOptions
from emo.heads.presets import PRESETS

_FLAGS = {"target_weights": "--target-weight"}
"""Flags of the command whose names differ from the fields'."""


def check_options_used(kind: type[Head], own: Any, options: FitOptions, *, streams: int) -> None:
    """Refuse a typed option that would change nothing.

    A preset may set such an option, because the preset may be used with another head.

    Args:
        kind: class of the head.
        own: the head's options, an instance of ``kind.Options``.
        options: options of the fit.
        streams: number of streams that the head reads.

    Raises:
        OptionError: an option would change nothing.
    """
    preset = PRESETS.get(options.preset)
    defaults = LoopOptions()
    typed = {}
    for name in kind.unused_options(own, streams=streams):
        value, default = getattr(options.loop, name), getattr(defaults, name)
        of_preset = preset.options.get(name, default) if preset else default
        if value not in (default, of_preset):
            typed[name] = value
    if not typed:
        return
    words = [_as_typed(name, value) for name, value in typed.items()]
    raise OptionError(
        f"head {options.head} with solver={own.solver} is solved, not trained by steps: "
        f"{' and '.join(words)} would change nothing. Leave {'it' if len(typed) == 1 else 'them'} "
        f"out{_other_solver(own)}."
    )


def _other_solver(own: Any) -> str:
    """Return the words that offer training by steps; empty: the head cannot be trained by them."""
    choices = get_args(get_type_hints(type(own)).get("solver"))
    return ", or train with -o solver=adamw" if "adamw" in choices else ""


def _as_typed(name: str, value: Any) -> str:
    """Return an option as it is typed in the command, such as ``--mixup 0.4``."""
    flag = _FLAGS.get(name, f"--{name.replace('_', '-')}")
    if value is True:
        return flag
    values = [f"{k}={v:g}" for k, v in value.items()] if name in _FLAGS else [f"{value}"]
    return " ".join(f"{flag} {each}" for each in values)
