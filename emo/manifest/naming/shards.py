"""Make the rows of a manifest from the members of tar shards, as WebDataset names them.

Members of one name up to the first dot behind their folder are one clip: ``0001.mp4`` is its video,
``0001.wav`` its audio, ``0001.txt`` its text, ``0001.cls`` its label, and the texts and numbers of
``0001.json`` are further columns.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from emo.errors import ManifestError
from emo.machine.untrusted.addresses import Address, hide_secrets, parse_address
from emo.manifest.folder import AUDIO, STILL, VIDEO
from emo.manifest.tables.text_table import TextTable

MOST_SHARDS = 1_000_000
"""Most shards that braces may mean."""
MOST_TOLD_BYTES = 2**20
"""Largest .txt, .cls or .json that is read."""
_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")


@dataclass(frozen=True)
class Shard:
    """A tar shard whose members are known."""

    file: str
    """Path or URL."""
    members: Mapping[str, tuple[int, int]]
    """Name of a member -> its first byte and number of bytes."""
    read: Callable[[int, int], bytes]
    """Function that returns the bytes from the first to before the second position."""


def expand_braces(word: str) -> Iterator[str]:
    """Yield the names that a word with braces means; numbers keep their leading zeros.

    >>> list(expand_braces("s3://b/x-{08..10}.tar"))
    ['s3://b/x-08.tar', 's3://b/x-09.tar', 's3://b/x-10.tar']

    Raises:
        ManifestError: the numbers fall, or there are too many.
    """
    found = _BRACES.search(word)
    if found is None:
        yield word
        return
    first, last = int(found[1]), int(found[2])
    if not 0 <= last - first < MOST_SHARDS:
        raise ManifestError(
            f"{hide_secrets(word)}: expected rising numbers, at most {MOST_SHARDS:,} shards"
        )
    for number in range(first, last + 1):
        text = f"{number:0{len(found[1])}}"
        yield from expand_braces(word[: found.start()] + text + word[found.end() :])


def is_usable_member(file: str, name: str) -> bool:
    """Return whether a cell of a manifest can name a member.

    Args:
        file: path or URL of the shard.
        name: name of the member.
    """
    cell = f"{file}!{name}@1+1"
    is_plain = name.isprintable() and name == name.strip()
    return is_plain and parse_address(cell) == Address(file, name, 1, 1)


def shard_rows(shards: Iterable[Shard]) -> TextTable:
    """Return a table with a row for each clip in the shards, in the order of their bytes.

    Raises:
        ManifestError: no shard has media.
    """
    clips: list[tuple[str, str, dict[str, str]]] = []
    for shard in shards:
        stem = shard.file.rpartition("/")[2].removesuffix(".tar")
        clips += [(key, stem, cells) for key, cells in _clips_of(shard)]
    if not clips:
        raise ManifestError("the shards hold no media such as .mp4 .mkv .wav .flac .jpg")
    counts = Counter(key for key, _, _ in clips)
    rows = [
        {"id": key if counts[key] == 1 else f"{stem}/{key}"} | cells for key, stem, cells in clips
    ]
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name, "") for row in rows] for name in names}
    return TextTable(columns, columns["id"])


def _clips_of(shard: Shard) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the clips of a shard: key, and column -> cell."""
    found: dict[str, dict[str, tuple[str, int, int]]] = {}
    for name, (offset, size) in sorted(shard.members.items(), key=lambda each: each[1]):
        folder, slash, file = name.rpartition("/")
        stem, _, kind = file.partition(".")
        if stem and kind:
            key = f"{folder}{slash}{stem}".removeprefix("./")
            found.setdefault(key, {})[f".{kind.lower()}"] = name, offset, size
    for key, members in found.items():
        cells: dict[str, str] = {}
        for kind, (name, offset, size) in members.items():
            column = _column(kind, members)
            if column is not None and column not in cells:
                cells[column] = f"{shard.file}!{name}@{offset}+{size}"
        if cells:
            yield key, _told(shard, members) | cells


def _column(kind: str, members: Mapping[str, object]) -> str | None:
    """Return the column of a member by its extension; None: it is no media."""
    last = f".{kind.rpartition('.')[2]}"
    if last in VIDEO + STILL:
        # a picture beside a video is its poster, as in a folder
        is_poster = last in STILL and any(f".{k.rpartition('.')[2]}" in VIDEO for k in members)
        return None if is_poster else "video"
    return "audio" if last in AUDIO else None


def _told(shard: Shard, members: Mapping[str, tuple[str, int, int]]) -> dict[str, str]:
    """Return the columns that the .json, .txt and .cls of a clip hold."""
    told: dict[str, str] = {}
    for kind, column in ((".json", ""), (".txt", "text"), (".cls", "label")):
        if kind not in members or members[kind][2] > MOST_TOLD_BYTES:
            continue
        name, offset, size = members[kind]
        try:
            text = shard.read(offset, offset + size).decode("utf-8-sig").strip()
            values = {column: text} if column else json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ManifestError(f"{shard.file}!{name}: cannot be read: {error}") from error
        if isinstance(values, dict):
            told |= {
                str(key): " ".join(str(value).split())
                for key, value in values.items()
                if isinstance(value, str | int | float) and str(key) not in ("id", "video", "audio")
            }
    return told
