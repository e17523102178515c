"""Hash the code of a class that lives in a session alone: a cell, `__main__`, a function's body.

Such a class can change between two calls without its name or version telling so. Its hash covers
its methods and, bounded, what they refer to: functions, classes and constants of the same module.
"""

import dataclasses
import dis
import functools
import hashlib
import inspect
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from types import CodeType
from typing import Any

MOST_OBJECTS = 1000
"""Most functions and classes that one hash follows."""


def is_importable(kind: type) -> bool:
    """Return whether another process finds a class by its module and name."""
    module = sys.modules.get(kind.__module__)
    is_file = kind.__module__ != "__main__" and getattr(module, "__file__", None)
    return bool(is_file) and getattr(module, kind.__qualname__, None) is kind


def code_hash(kind: type) -> str | None:
    """Return a hash of the code of a class that has no file; None: it can be imported.

    It covers the class, its bases of the session, and the functions, classes and constants of the
    class's own module that its methods refer to as globals, in closures and as defaults. What is
    imported from other modules does not count.
    """
    if is_importable(kind):
        return None
    home, pending, seen = kind.__module__, deque[tuple[str, Any]]([("", kind)]), set[int]()
    lines: list[str] = []
    while pending and len(seen) < MOST_OBJECTS:
        name, value = pending.popleft()
        if isinstance(value, type):
            text_of, more = "", _members(value)
        elif (function := _function(value)) is not None:
            text_of, more = _source(function), _references(function, home)
        else:
            text = _plain(value)
            lines += [] if text is None else [f"{name}={text}"]
            continue
        if id(value) not in seen:
            seen.add(id(value))
            lines.append(text_of)
            pending += more
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _members(kind: type) -> Iterator[tuple[str, Any]]:
    """Iterate over the attributes of a class and of its bases that live in the session."""
    for each in kind.__mro__:
        if each is object or is_importable(each):
            continue
        for name, value in sorted(vars(each).items()):
            is_other_class = isinstance(value, type) and is_importable(value)
            if (not name.startswith("__") or callable(value)) and not is_other_class:
                yield name, value


def _references(function: Any, home: str) -> Iterator[tuple[str, Any]]:
    """Iterate over the name and value of what a function refers to, of its class's module alone."""
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    values = [("default", value) for value in defaults]
    for name, cell in cells:
        try:
            values.append((name, cell.cell_contents))
        except ValueError:  # the cell is empty
            continue
    if function.__module__ == home:
        names = sorted(set(_global_names(function.__code__)))
        values += [(name, function.__globals__[name]) for name in names
                   if name in function.__globals__]  # fmt: skip
    for name, value in values:
        found = value if isinstance(value, type) else _function(value)
        is_ours = found is None or getattr(found, "__module__", None) == home
        if is_ours and not (isinstance(value, type) and is_importable(value)):
            yield name, value


def _global_names(code: CodeType) -> Iterator[str]:
    """Iterate over the globals that a function's code reads, with those of functions inside it."""
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield step.argval
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _global_names(each)


def _function(value: Any) -> Any:
    """Return the Python function behind a method, property or wrapper; None: there is none."""
    if isinstance(value, property):
        value = value.fget
    elif isinstance(value, functools.partial | functools.cached_property):
        value = value.func
    value = getattr(value, "__func__", value)
    value = inspect.unwrap(value) if callable(value) else value
    return value if inspect.isfunction(value) else None


def _source(function: Any) -> str:
    """Return the source of a function; without one, its bytecode and constants."""
    code = function.__code__
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return "\n".join(_bytecode(code))


def _bytecode(code: CodeType) -> Iterator[str]:
    """Iterate over the bytecode, constants and names of a function and of those inside it."""
    constants = [_plain(each) for each in code.co_consts]
    yield f"{code.co_code.hex()} {constants} {code.co_names}"
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _bytecode(each)


def _plain(value: Any) -> str | None:
    """Return a text that stands for a constant; None: it is no plain value."""
    if value is None or isinstance(value, str | int | float | complex | bytes):
        return repr(value)
    if type(value).__module__ == "numpy" and hasattr(value, "tobytes"):
        if value.dtype.hasobject:
            return None
        digest = hashlib.sha256(value.tobytes()).hexdigest()
        return f"{value.dtype} {value.shape} {digest}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        inner = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        text = _plain(inner)
        return None if text is None else f"{type(value).__name__}{text}"
    if isinstance(value, Mapping):
        value = list(value.items())
    is_set = isinstance(value, set | frozenset)
    if not (is_set or isinstance(value, list | tuple)):
        return None
    parts = [_plain(each) for each in value]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return f"[{', '.join(sorted(known) if is_set else known)}]"
