"""Build hostile files: parts with other attributes or members, and the claim about each error."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from emo.errors import EmoError
from emo.store.part.writer import part_name
from emo.store.part.zip import Archive, ArchiveWriter


def members_of(part: Path) -> dict[str, bytes]:
    """Member name -> data, in the order of the file."""
    with Archive(part) as archive:
        return {name: archive.read(name) for name in archive.names}


def write_zip(path: Path, members: Mapping[str, bytes]) -> Path:
    """Write a zip file as parts are, with the root document last."""
    with open(path, "wb") as file:
        writer = ArchiveWriter(file)
        for name, data in members.items():
            if name != "zarr.json":
                writer.write(name, [data])
        if "zarr.json" in members:
            writer.write("zarr.json", [members["zarr.json"]])
        writer.finish()
    return path


def attributes_of(part: Path) -> dict[str, Any]:
    return json.loads(members_of(part)["zarr.json"])["attributes"]


def with_attributes(part: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Write a part again after ``change`` edited its attributes, or returned others."""
    members = members_of(part)
    root = json.loads(members["zarr.json"])
    root["attributes"] = change(root["attributes"]) or root["attributes"]
    members["zarr.json"] = json.dumps(root, separators=(",", ":")).encode()
    return write_zip(part, members)


def with_member(part: Path, name: str, data: bytes | None) -> Path:
    """Write a part again with another member; None: without it."""
    members = members_of(part) | ({name: data} if data is not None else {})
    if data is None:
        del members[name]
    return write_zip(part, members)


def renamed(part: Path, ids: list[str], attempt: int = 0) -> Path:
    """Give a part the name that fits its clips."""
    return part.rename(part.with_name(part_name(ids, attempt)))


def assert_line(error: EmoError, *words: str) -> None:
    """The message is one line of the terminal, and has each of the words (regular expressions)."""
    text = str(error)
    assert "\n" not in text, text
    assert len(text) < 1500, f"{len(text)} characters"
    for word in words:
        assert re.search(word, text), f"{word!r} is not in: {text}"


def refused(question: Callable[[], Any], *words: str) -> None:
    """``question`` raises EmoError with one line that has each of the words."""
    with pytest.raises(EmoError) as caught:
        question()
    assert_line(caught.value, *words)
