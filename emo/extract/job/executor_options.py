"""Options of an executor: their flags, their checks, and how a job folder keeps them.

Every executor has an ``Options`` dataclass of its own. A job folder keeps the options that were
given, by name, in the object "resources" of its job.json.
"""

from collections.abc import Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from emo.errors import OptionError
from emo.machine.untrusted.documents import shortened

_T = TypeVar("_T")


def flag(name: str) -> str:
    """Return the flag of an option: ``max_parallel`` -> ``--max-parallel``."""
    return "--" + name.replace("_", "-")


def check_at_least(options: object, least: int, *names: str) -> None:
    """Check that numbers are not too small; None is allowed.

    Args:
        options: an executor's ``Options``.
        least: the smallest number allowed.
        names: fields of ``options``.

    Raises:
        OptionError: names the first option that is too small.
    """
    for name in names:
        value = getattr(options, name)
        if value is not None and value < least:
            raise OptionError(f"{flag(name)}: expected {least} or more, got {value:g}")


def check_single_words(options: object, *names: str) -> None:
    """Check that texts are single words; None is allowed.

    Args:
        options: an executor's ``Options``.
        names: fields of ``options``.

    Raises:
        OptionError: names the first option that is empty or contains white space.
    """
    for name in names:
        value = getattr(options, name)
        if value is not None and (not value or any(letter.isspace() for letter in value)):
            raise OptionError(f"{flag(name)} {value!r}: expected a word without spaces")


def build_options(executor: str, kind: type[_T], given: Mapping[str, Any]) -> _T:
    """Build the ``Options`` of an executor.

    Args:
        executor: name of the executor, for errors.
        kind: its ``Options`` dataclass.
        given: values by field name; fields that are not named keep their defaults.

    Raises:
        OptionError: the executor has no such option, or a value is out of its range.
    """
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            has = f"it has {', '.join(map(flag, sorted(known)))}" if known else "it has none"
            raise OptionError(f"{flag(name)}: the executor {executor} has no such option; {has}")
    hints = get_type_hints(kind)
    for name, value in given.items():
        if not _is_of(value, hints[name]):
            raise OptionError(
                f"{flag(name)}: expected {_words(hints[name])}, got {shortened(repr(value), 60)}"
            )
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:
        raise OptionError(f"options of the executor {executor}: {error}") from error


def _is_of(value: object, hint: Any) -> bool:
    """Return whether a value has the type of an option; True where the type is not a usual one."""
    if get_origin(hint) in (UnionType, Union):
        return any(_is_of(value, each) for each in get_args(hint))
    if get_origin(hint) in (tuple, list):
        return isinstance(value, tuple | list) and all(
            _is_of(each, get_args(hint)[0]) for each in value
        )
    if hint is float:
        return type(value) in (int, float)
    return hint not in (int, str, bool, NoneType) or type(value) is hint


def _words(hint: Any) -> str:
    """Return what values of a type are called in messages."""
    return str(getattr(hint, "__name__", hint))


def options_from_json(document: Mapping[str, Any]) -> dict[str, Any]:
    """Read the given options of a job.json; lists become tuples, as in the ``Options``.

    Raises:
        ValueError: a value is an object.
    """
    for name, value in document.items():
        if isinstance(value, dict):
            raise ValueError(f"resources: {name} is an object")
    return {name: tuple(v) if isinstance(v, list) else v for name, v in document.items()}
