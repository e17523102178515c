"""Flags of `emo extract` and `emo job resume` that come from the executors' own ``Options``.

They are read from the executors' source files (see :mod:`emo.commands.plugin_source`), so a new
executor's flags appear by themselves and no executor is imported for the help. The contract,
:mod:`emo.extract.executor`, says which types a field may have.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, TypeVar

from typer import Option

from emo import plugins
from emo.commands.plugin_source import OptionSource, PluginSource, read_plugins

_KINDS = {"int": int, "float": float, "str": str, "bool": bool, "tuple[str, ...]": list[str]}
_METAVARS = {"int": "N", "float": "NUMBER", "str": "TEXT", "bool": "", "tuple[str, ...]": "TEXT"}
F = TypeVar("F", bound=Callable[..., Any])


def with_executor_options(command: F) -> F:
    """Give a command every executor's options; it takes them as keyword arguments.

    A flag that several executors have is one parameter.
    """
    signature = inspect.signature(command)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    added = [_parameter(option) for option in executor_flags().values()]
    command.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    return command


def given_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those options that were given on the command line, as ``Options`` takes them."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
        if value is not None and value is not False and value != [] and value != ()
    }


@cache
def executor_flags() -> dict[str, OptionSource]:
    """Return every option that any executor has, by name."""
    flags: dict[str, OptionSource] = {}
    for executor in executors():
        for option in executor.options():
            flags.setdefault(option.name, option)
    return flags


@cache
def executors() -> tuple[PluginSource, ...]:
    """Read the source of every executor, sorted by name."""
    return tuple(read_plugins(plugins.EXECUTORS, {"Executor"}))


def executor_help() -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Return by executor its title and the lines of its options, (flag with value, sentence)."""
    return {
        executor.name: (
            executor.attribute("title") or executor.name.capitalize(),
            [_help_line(option) for option in executor.options()],
        )
        for executor in executors()
    }


def _help_line(option: OptionSource) -> tuple[str, str]:
    kind = option.annotation.removesuffix(" | None")
    flag = f"--{option.name.replace('_', '-')} {option.metavar or _METAVARS[kind]}"
    shown = f"  [default: {option.default}]" if option.default else ""
    return flag.rstrip(), f"{option.help}{shown}"


def _parameter(option: OptionSource) -> inspect.Parameter:
    kind = option.annotation.removesuffix(" | None")
    annotation: Any = _KINDS[kind]
    default: Any = {"bool": False, "tuple[str, ...]": []}.get(kind)
    flag = f"--{option.name.replace('_', '-')}"
    info = Option(flag, help=option.help, metavar=option.metavar or _METAVARS[kind])
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[annotation if default is not None else annotation | None, info],
    )
