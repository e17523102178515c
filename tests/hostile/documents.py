"""Damage a document in every way, and set other things in its place."""

import copy
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from emo.errors import EmoError
from tests.hostile.build import assert_line

DEEP = 100_000 * "[" + 100_000 * "]"
OTHER_TYPES = {"null": None, "text": "x", "number": 7, "list": [[]], "object": {"x": {}}}
"""Name of a type -> a value of it."""


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def _device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _huge(path: Path) -> None:
    with open(path, "r+b") as file:
        file.truncate(2**40)  # takes no space on the disk


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "no UTF-8": lambda data: b"\xff\xfe\xfa" + data,
    "no UTF-8 inside": lambda data: data[:-3] + b"\xe9" + data[-3:],
    "NULs": lambda data: b"\0" * 64,
    "a NUL before": lambda data: b"\0" + data,
    "cut in half": lambda data: data[: len(data) // 2],
    "deep": lambda data: DEEP.encode(),
}  # fmt: skip
"""Name of a damage -> what it makes of the bytes of a JSON document."""
DOCUMENTS: dict[str, bytes] = {
    "a list": b"[]", "text": b'"x"', "a number": b"1", "null": b"null", "NaN": b"NaN",
    "a number of 5,000 digits": b"1" * 5000, "an empty object": b"{}",
}  # fmt: skip
"""Name of a JSON document of another kind -> its bytes."""
PLACES: dict[str, Callable[[Path], None]] = {
    "a pipe": _fifo, "a folder": _folder, "a loop of links": _loop, "a device": _device,
    "a terabyte": _huge,
}  # fmt: skip
"""Name of what is in place of the file -> a function that puts it there."""
DAMAGES = [*BYTES, *DOCUMENTS, *PLACES]
"""Names of all damages of a whole document."""


def damage(path: Path, name: str) -> None:
    """Damage a file in one of the ways of ``DAMAGES``."""
    if name in PLACES:
        PLACES[name](path)
    else:
        data = path.read_bytes()
        path.write_bytes(BYTES[name](data) if name in BYTES else DOCUMENTS[name])


def variants(
    document: Any, *, keep: Mapping[str, tuple[str, ...]] = {}, optional: tuple[str, ...] = ()
) -> list[Any]:
    """Return pytest parameters: the document with each entry missing, or of each wrong type.

    Args:
        document: a right JSON document.
        keep: dotted name of an entry -> names of the types in OTHER_TYPES that are right for it.
        optional: dotted names of entries that may be missing.

    Every fourth is in `make test`, all are in `make hostile`.
    """
    found: list[Any] = []

    def add(other: Any, words: str) -> None:
        marks = () if len(found) % 4 == 0 else (pytest.mark.hostile,)
        found.append(pytest.param(other, id=words, marks=marks))

    for name in _entries(document):
        if name not in optional:
            add(_without(document, name), f"{name} missing")
        own = _type_of(_at(document, name))
        for kind, value in OTHER_TYPES.items():
            if kind != own and kind not in keep.get(name, ()):
                add(_with(document, name, value), f"{name} {kind}")
    return found


def replaced(document: Any, name: str, value: Any) -> Any:
    """Return the document with another value of one entry, by its dotted name."""
    return _with(document, name, value)


def is_line_or_fine(question: Callable[[], Any], *words: str) -> bool:
    """Run ``question``: it is answered, or raises EmoError with one line that has the words."""
    try:
        question()
    except EmoError as error:
        assert_line(error, *words)
        return False
    return True


def _entries(document: Any, before: str = "") -> Iterator[str]:
    items = document.items() if isinstance(document, dict) else enumerate(document[:1])
    for key, value in items:
        yield f"{before}{key}"
        if isinstance(value, dict | list):
            yield from _entries(value, f"{before}{key}\t")


def _at(document: Any, name: str) -> Any:
    for key in name.split("\t"):
        document = document[int(key) if isinstance(document, list) else key]
    return document


def _with(document: Any, name: str, value: Any) -> Any:
    new = copy.deepcopy(document)
    *above, last = name.split("\t")
    place = _at(new, "\t".join(above)) if above else new
    place[int(last) if isinstance(place, list) else last] = value
    return new


def _without(document: Any, name: str) -> Any:
    new = copy.deepcopy(document)
    *above, last = name.split("\t")
    place = _at(new, "\t".join(above)) if above else new
    del place[int(last) if isinstance(place, list) else last]
    return new


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    kinds = {str: "text", int: "number", float: "number", list: "list", dict: "object"}
    return kinds.get(type(value), "true")


def write(path: Path, document: Any) -> None:
    """Write a JSON document."""
    path.write_text(json.dumps(document), encoding="utf-8")
