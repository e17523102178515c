"""Describe the types of a document, and find the first entry that is not as described.

A kind is a type (``str``, ``int``, ``float``, ``bool``, ``dict``, ``list``, ``None``) or an object
of a class below. ``int`` takes no booleans; ``float`` takes whole numbers too, and must be finite.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

MOST_DEPTH = 50
"""Deepest nesting of lists and objects in JSON whose types are not described."""


@dataclass(frozen=True, eq=False)
class ListOf:
    """A list whose items are all of one kind."""

    kind: "Shape"

    @cached_property
    def plain(self) -> frozenset[Any]:
        """The type of all items when that decides; empty: each item must be looked at."""
        return frozenset([self.kind] if self.kind in (str, int, bool) else [])


@dataclass(frozen=True, eq=False)
class MapOf:
    """A JSON object with any keys, whose values are all of one kind."""

    kind: "Shape"

    @cached_property
    def plain(self) -> frozenset[Any]:
        """The type of all values when that decides; empty: each value must be looked at."""
        return frozenset([self.kind] if self.kind in (str, int, bool) else [])


@dataclass(frozen=True, eq=False)
class Fields:
    """A JSON object with known keys; further keys are allowed, and nothing is asked of them."""

    needed: Mapping[str, "Shape"]
    """Key -> kind of its value."""
    optional: Mapping[str, "Shape"] = field(default_factory=dict)
    """Key that may be missing -> kind of its value."""


@dataclass(frozen=True, eq=False)
class OneOf:
    """Any of several kinds."""

    kinds: Sequence["Shape"]


@dataclass(frozen=True, eq=False)
class Where:
    """A kind whose values must also pass a test."""

    kind: "Shape"
    is_right: Callable[[Any], bool]
    words: str
    """What is expected, for the message: ``a number from 1 to 9``."""


@dataclass(frozen=True, eq=False)
class AnyJson:
    """Any JSON value that is not nested too deeply."""

    depth: int = MOST_DEPTH


Shape = type | None | ListOf | MapOf | Fields | OneOf | Where | AnyJson
"""Description of the type of a value in a document."""
_WORDS = {
    str: "text", int: "a whole number", float: "a finite number", bool: "true or false",
    dict: "an object", list: "a list",
}  # fmt: skip


def problem(value: Any, kind: Shape, where: str = "") -> str | None:
    """Return what is wrong with a value, with the entry's name; None: it is of its kind.

    >>> problem({"a": [1, "x"]}, MapOf(ListOf(int)))
    "a[1]: expected a whole number, got 'x'"

    Args:
        value: a JSON value.
        kind: what it must be.
        where: name of the entry that holds the value, for the message.
    """
    check = _CHECKS.get(type(kind))
    if check is not None:
        return check(value, kind, where)
    return None if _is_plain(value, kind) else _wrong(value, kind_words(kind), where)


def kind_words(kind: Shape) -> str:
    """Return what a kind is called in messages."""
    match kind:
        case None:
            return "null"
        case ListOf():
            return "a list"
        case MapOf() | Fields():
            return "an object"
        case OneOf():
            return " or ".join(map(kind_words, kind.kinds))
        case Where():
            return kind.words
        case AnyJson():
            return "any value"
    return _WORDS[kind]


def _is_plain(value: Any, kind: Any) -> bool:
    if kind is float:
        return type(value) is int or (type(value) is float and math.isfinite(value))
    return value is None if kind is None else type(value) is kind


def _in_list(value: Any, kind: ListOf, where: str) -> str | None:
    if type(value) is not list:
        return _wrong(value, "a list", where)
    if not value or set(map(type, value)) == kind.plain:
        return None  # the fast way, for the ids of a hundred clips
    found = (problem(each, kind.kind, f"{where}[{k}]") for k, each in enumerate(value))
    return next((each for each in found if each), None)


def _in_map(value: Any, kind: MapOf, where: str) -> str | None:
    if type(value) is not dict:
        return _wrong(value, "an object", where)
    if not value or set(map(type, value.values())) == kind.plain:
        return None
    start = f"{where}." if where else ""
    found = (problem(each, kind.kind, f"{start}{_short(key)}") for key, each in value.items())
    return next((each for each in found if each), None)


def _in_fields(value: Any, kind: Fields, where: str) -> str | None:
    if type(value) is not dict:
        return _wrong(value, "an object", where)
    start = f"{where}." if where else ""
    for name, each in kind.needed.items():
        if name not in value:
            return f"{where or 'it'} lacks {name!r}"
        inner = value[name]
        if (type(inner) is not each or each is float) and (
            found := problem(inner, each, start + name)
        ):
            return found
    for name, each in kind.optional.items():
        if name in value:
            inner = value[name]
            if (type(inner) is not each or each is float) and (
                found := problem(inner, each, start + name)
            ):
                return found
    return None


def _in_several(value: Any, kind: OneOf, where: str) -> str | None:
    if any(problem(value, each) is None for each in kind.kinds):
        return None
    return _wrong(value, kind_words(kind), where)


def _where(value: Any, kind: Where, where: str) -> str | None:
    if found := problem(value, kind.kind, where):
        return found
    return None if kind.is_right(value) else _wrong(value, kind.words, where)


def _not_deep(value: Any, kind: AnyJson, where: str) -> str | None:
    is_deep = isinstance(value, list | dict) and _is_deeper(value, kind.depth)
    return f"{where or 'it'}: nested more than {kind.depth} deep" if is_deep else None


def _wrong(value: Any, expected: str, where: str) -> str:
    prefix = f"{where}: " if where else ""
    shown = value if isinstance(value, str | int | float | None) else kind_words(type(value))
    text = _short(ascii(shown)) if isinstance(shown, str) and shown is value else _short(str(shown))
    return f"{prefix}expected {expected}, got {text}"


def _short(text: str) -> str:
    """Return a piece of a document for a message: printable, at most 60 characters."""
    line = "".join(each if each.isprintable() else "?" for each in text[:61])
    return line if len(line) <= 60 else f"{line[:59]}…"


def _is_deeper(value: Any, depth: int) -> bool:
    """Return whether lists and objects are nested deeper than ``depth``, without recursion."""
    level = [value]
    for _ in range(depth + 1):
        level = [
            each
            for outer in level
            if isinstance(outer, list | dict)
            for each in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


_CHECKS: dict[type, Callable[[Any, Any, str], str | None]] = {
    ListOf: _in_list, MapOf: _in_map, Fields: _in_fields, OneOf: _in_several, Where: _where,
    AnyJson: _not_deep,
}  # fmt: skip
