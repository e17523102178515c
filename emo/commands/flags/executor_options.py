"""Flags of commands that take executors, which come from the executors' own ``Options``.

They are read from the executors' source files (see :mod:`emo.commands.lists.sources`), so a new
executor's flags appear by themselves and no executor is imported for the help. The contract,
:mod:`emo.extract.executor`, says which types a field may have. An executor whose file is not so
has no flags and is refused when it is asked for; the other commands and executors go on.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, TypeVar

from typer import Option

from emo import plugins
from emo.commands.lists.sources.option_source import LIST, FaultySource, OptionSource
from emo.commands.lists.sources.plugin_source import PluginSource, read_plugins
from emo.errors import PluginError

OWN = ("local", "ray", "slurm")
"""Executors of emo. Their flags stand; another one whose flag has another type is refused."""
_TAKEN = (
    "allow_host media "
    "all_probabilities clip extract features json like manifest out run speaker spreadsheet_safe "
    "text "
    "allow_code allow_erased anyway as backbone batch_clips batch_size changed clip_memory column "
    "context device dry_run dtype executor executor_options faces help job jobs manifest "
    "max_bytes max_pixels max_seconds name o timeout option out part part_clips plan price_hour "
    "resume retry_failed root sample status strict_media watch workers"
)
TAKEN = frozenset(_TAKEN.split())
"""Names that a field cannot have: parameters and flags of the commands that take executors."""
_KINDS = {"int": int, "float": float, "str": str, "bool": bool, LIST: list[str]}
_METAVARS = {"int": "N", "float": "NUMBER", "str": "TEXT", "bool": "", LIST: "TEXT"}
F = TypeVar("F", bound=Callable[..., Any])


def with_executor_options(command: F) -> F:
    """Give a command every executor's options; it takes them as keyword arguments.

    A flag that several executors have is one parameter.
    """
    return with_flags_of_executors(list(executor_flags()))(command)


def with_flags_of_executors(names: Sequence[str]) -> Callable[[F], F]:
    """Return what gives a command some of the executors' options, as keyword arguments.

    Args:
        names: names of the options.
    """

    def add(command: F) -> F:
        signature = inspect.signature(command)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        flags = executor_flags()
        added = [_parameter(flags[name]) for name in names]
        command.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
        return command

    return add


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
    for options in _read()[0].values():
        for option in options:
            flags.setdefault(option.name, option)
    return flags


@cache
def executors() -> tuple[PluginSource, ...]:
    """Read the source of every executor, sorted by name."""
    return tuple(read_plugins(plugins.EXECUTORS, {"Executor"}))


def executor_faults() -> dict[str, str]:
    """Return by executor why its file is not as the contract says; sound ones are left out."""
    return _read()[1]


def check_executor(arguments: Sequence[str]) -> None:
    """Check the executor that a command line names, before its flags are looked for.

    Args:
        arguments: words of the command line after the command's name.

    Raises:
        PluginError: its file is not as the contract says; the error names file and field.
    """
    if "--help" in arguments:
        return
    named = {word.partition("=")[2] for word in arguments if word.startswith("--executor=")}
    named |= {after for word, after in pairwise(arguments) if word == "--executor"}
    for executor in executors():
        if executor.name in named and executor.name in executor_faults():
            fault = executor_faults()[executor.name]
            raise PluginError(f"executor {executor.name!r}: {executor.file}: {fault}")


def executor_help() -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Return by executor its title and the lines of its options, (flag with value, sentence)."""
    options, faults = _read()
    return {
        executor.name: (
            executor.attribute("title") or executor.name.capitalize(),
            [_help_line(option) for option in options[executor.name]]
            if executor.name in options
            else [("(cannot be used)", f"{faults[executor.name]}.")],
        )
        for executor in executors()
    }


def _read() -> tuple[dict[str, tuple[OptionSource, ...]], dict[str, str]]:
    """Return the options of the sound executors, and the faults of the others."""
    options: dict[str, tuple[OptionSource, ...]] = {}
    faults: dict[str, str] = {}
    known: dict[str, tuple[OptionSource, PluginSource]] = {}
    for executor in sorted(executors(), key=lambda each: each.name not in OWN):
        try:
            found = executor.options()
            for option in found:
                _check_name(option, known)
                _check_help(option)
        except FaultySource as error:
            faults[executor.name] = str(error)
        else:
            options[executor.name] = found
            known |= {option.name: (option, executor) for option in found}
    return options, faults


def _check_name(
    option: OptionSource, known: Mapping[str, tuple[OptionSource, PluginSource]]
) -> None:
    """Refuse a field whose flag is one of the command, or has another type elsewhere."""
    if option.name in TAKEN:
        raise FaultySource(
            f"field {option.name}: expected another name, `emo extract` or a command of jobs has "
            f"{option.flag} already"
        )
    other, owner = known.get(option.name, (option, None))
    if owner is not None and other.kind != option.kind:
        raise FaultySource(
            f"field {option.name}: expected the type {other.kind} that {option.flag} has in "
            f"{owner.file}, found {option.kind}; take it, or rename the field"
        )


def _check_help(option: OptionSource) -> None:
    """Refuse a field that has no help, which the contract demands."""
    if not option.help:
        raise FaultySource(f'field {option.name}: expected metadata={{"help": "…"}}, found no help')


def _help_line(option: OptionSource) -> tuple[str, str]:
    flag = f"{option.flag} {option.metavar or _METAVARS[option.kind]}"
    shown = f"  [default: {option.default}]" if option.default else ""
    return flag.rstrip(), f"{option.help}{shown}"


def _parameter(option: OptionSource) -> inspect.Parameter:
    annotation: Any = _KINDS[option.kind]
    default: Any = {"bool": False, LIST: []}.get(option.kind)
    metavar = option.metavar or _METAVARS[option.kind]
    info = Option(option.flag, help=option.help, metavar=metavar)
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[annotation if default is not None else annotation | None, info],
    )
