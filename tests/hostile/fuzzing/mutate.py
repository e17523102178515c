"""Change bytes where a checksum or a grammar would stop a blind change: members of zip, JSON."""

import io
import json
import random
import zipfile
from collections.abc import Callable
from typing import Any

ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, 1e308, -0.0, float("nan"), float("inf"), "",
    "x", "../x", "/etc/passwd", "\x1b[2J", "\ud800", "a\x00b", 300 * "y", [], {}, [[]], [None],
    {"": 0},
    "module:Class", "float16", "float32", "int64", "0.5", "1,5", "2026-01-01", "train",
]  # fmt: skip
"""Values that take the place of others in a document."""


def mutated(data: bytes, seed: int, blind: Callable[[bytes], bytes]) -> bytes:
    """Return changed bytes: a member of a zip file, a value of a document, or any bytes.

    Args:
        data: the input.
        seed: decides the change.
        blind: changes bytes that are neither.
    """
    draw = random.Random(seed)
    if draw.random() < 0.2:
        return blind(data)
    if data[:4] == b"PK\3\4":
        return _zip(data, draw, blind) or blind(data)
    return _document(data, draw) or blind(data)


def _zip(data: bytes, draw: random.Random, blind: Callable[[bytes], bytes]) -> bytes | None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except Exception:  # whatever the mutated file does to the library
        return None
    if not members:
        return None
    name = draw.choice([*members])
    inner = members[name]
    change = draw.random()
    if change < 0.1:
        del members[name]
    elif change < 0.2:
        members[draw.choice(["../x", "/x", "c/0", name + "x", "zarr.json"])] = inner
    elif name.endswith(".json") or inner[:1] in (b"{", b"["):
        members[name] = _document(inner, draw) or blind(inner)
    else:
        members[name] = mutated(inner, draw.getrandbits(30), blind)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for each, content in members.items():
            archive.writestr(zipfile.ZipInfo(each, (1980, 1, 1, 0, 0, 0)), content)
    return out.getvalue()


def _document(data: bytes, draw: random.Random) -> bytes | None:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    places = [*_places(document, [])]
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        if not places:
            break
        holder, key = draw.choice(places)
        kind = draw.random()
        try:
            if kind < 0.15:
                del holder[key]
            elif kind < 0.3:
                other, where = draw.choice(places)
                holder[key] = other[where]
            else:
                holder[key] = draw.choice(ODD)
        except (IndexError, KeyError):
            continue
    try:
        return json.dumps(document, separators=(",", ":")).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return None


def _places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    waiting = [value]
    while waiting and len(found) < 10_000:
        value = waiting.pop()
        if not isinstance(value, dict | list):
            continue
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            found.append((value, key))
            if isinstance(inner, dict | list):
                waiting.append(inner)
    return found
