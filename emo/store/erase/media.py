"""Find how job plans name the media of erased clips: addresses of objects, and their ETags.

An ETag is often the MD5 of an object's bytes, so that it tells who has the object what was erased.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from emo.machine.untrusted.addresses import parse_address, without_offset
from emo.store.backend.location import Location
from emo.store.erase.files import contents
from emo.store.erase.spelled import IdPattern, is_distinct


def media_names(
    files: Iterable[Location], ids: frozenset[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """Return addresses and ETags of the erased clips' media that no other clip of a plan has.

    Args:
        files: files among which plans may be.
        ids: ids of the erased clips.

    Returns:
        The names, and those names of other clips that contain one of them.
    """
    plans = [path for path in files if path.name.endswith(".jsonl")]
    found = {name for name in _names(plans, ids, of_erased=True) if is_distinct(name)}
    if not found:
        return frozenset(), frozenset()
    pattern = IdPattern(found)
    kept = frozenset(
        name
        for name in _names(plans, ids, of_erased=False)
        if pattern.may_be_in(name.encode("utf-8", "surrogatepass"))
    )
    return frozenset(found) - kept, kept


def without_objects(line: Any, ids: frozenset[str]) -> Any:
    """Return a line of a plan without the size and ETag of objects that only erased clips name."""
    if not _is_part(line) or not isinstance(line.get("objects"), dict):
        return line
    gone = {*_addresses(line, ids, of_erased=True)} - {*_addresses(line, ids, of_erased=False)}
    kept = {url: facts for url, facts in line["objects"].items() if url not in gone}
    return line if len(kept) == len(line["objects"]) else {**line, "objects": kept}


def _names(plans: Iterable[Location], ids: frozenset[str], *, of_erased: bool) -> Iterator[str]:
    """Yield addresses and ETags of the media of erased clips, or of the others."""
    for path in plans:
        with suppress(FileNotFoundError), contents(path) as data:
            for words in bytes(data).split(b"\n") if data.find(b"://") >= 0 else ():
                line = _parsed(words)
                for url in _addresses(line, ids, of_erased=of_erased):
                    yield url
                    yield from _etag(line.get("objects"), url)


def _parsed(words: bytes) -> dict[str, Any]:
    """Return a line of a plan that names URLs; empty: it is another line."""
    if b"://" not in words or b'"rows"' not in words:
        return {}
    try:
        line = json.loads(words)
    except (ValueError, RecursionError):
        return {}
    return line if _is_part(line) else {}


def _is_part(line: Any) -> bool:
    return isinstance(line, dict) and isinstance(line.get("rows"), list)


def _addresses(line: Mapping[str, Any], ids: frozenset[str], *, of_erased: bool) -> Iterator[str]:
    """Yield the URLs that the rows of erased clips name, or those of the others."""
    for row in line.get("rows", ()):
        if isinstance(row, dict) and (row.get("id") in ids) is of_erased:
            for cell in (row.get("video"), row.get("audio")):
                if isinstance(cell, str) and "://" in cell:
                    yield from {without_offset(cell), parse_address(cell).file}


def _etag(objects: Any, url: str) -> Iterator[str]:
    facts = objects.get(url) if isinstance(objects, dict) else None
    if isinstance(facts, list) and len(facts) == 2 and isinstance(facts[1], str):
        yield facts[1].strip('"')
