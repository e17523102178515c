"""The clips of many parts as a table of columns: the contents of an index, and of newer parts.

Entries are numbered: first all finished clips by ordinal, part after part, then all failed ones. A
column is one array; a text column is two: all strings in UTF-8 end to end, and their ends.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from tqdm import tqdm

from emo.store.index.merged import Merged
from emo.store.part.zip import root_crc

LENGTHS = "lengths."
"""Start of the name of the column with a stream's lengths; the stream's name follows."""
DTYPES = {
    "part_names": "uint8", "parts": "int64",
    "id_text": "uint8", "id_ends": "int64", "source_text": "uint8", "source_ends": "int64",
    "failed_text": "uint8", "failed_ends": "int64", "failed_source_text": "uint8",
    "failed_source_ends": "int64", "reason_text": "uint8", "reason_ends": "int64",
    "wins": "uint8", "hashes": "uint32", "entries": "int64",
}  # fmt: skip
"""Dtype of each column except the lengths. ``hashes`` is sorted, ``entries`` says which entry each
hash is of, ``wins`` is 1 for winning entries."""
PART_FACTS = ("size_bytes", "root_crc", "attempt", "finished", "failed")
"""Meaning of the five columns of ``parts``, int64 (P, 5)."""
_TEXTS = ("id", "source", "failed", "failed_source", "reason")


class Columns(Protocol):
    """A table of columns, in memory or in a mapped file."""

    def whole(self, name: str) -> np.ndarray:
        """Return a column, (n,); ``parts`` is (P, 5)."""

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """Return the rows of a column from ``start`` to before ``stop``; faster than all of it."""


@dataclass(frozen=True, eq=False)
class HeldColumns:
    """A table of columns in memory."""

    arrays: Mapping[str, np.ndarray]
    """Column name -> array (n,); ``parts`` is (P, 5)."""

    def whole(self, name: str) -> np.ndarray:
        """Return the array of a column by the column's name."""
        return self.arrays[name]

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """Return the rows of a column, given by its name, from ``start`` to before ``stop``."""
        return self.arrays[name][start:stop]


def hash_of(clip_id: str) -> int:
    """Return the 32-bit hash by which a clip is looked up; several clips may share one."""
    return zlib.crc32(clip_id.encode("utf-8", "surrogatepass"))


def index_columns(
    clips: Merged, streams: Iterable[str], *, progress: bool | None = False
) -> HeldColumns:
    """Build the table of all parts.

    Args:
        clips: the clips of the parts.
        streams: the streams of the recipe.
        progress: show a bar; None: when stderr is a terminal.

    Raises:
        DamagedPart: a part is damaged.
    """
    parts, hidden = clips.parts, None if progress is None else not progress
    lengths: dict[str, list[np.ndarray]] = {name: [] for name in streams}
    sources: list[str] = []
    failed_sources: list[str] = []
    facts = np.zeros((len(parts), len(PART_FACTS)), np.int64)
    for row, part in enumerate(tqdm(parts, desc="index", unit="part", disable=hidden)):
        own = list(part.sources.values())
        sources += own[: len(part.clip_ids)]
        failed_sources += own[len(part.clip_ids) :]
        for name, found in lengths.items():
            found.append(np.diff(part.layout(name).offsets))
        facts[row] = (
            part.size_bytes, root_crc(part.path), part.attempt,
            len(part.clip_ids), len(part.failures),
        )  # fmt: skip
    ids = [clip_id for part in parts for clip_id in part.clip_ids]
    failed = [clip_id for part in parts for clip_id in part.failures]
    texts = {
        "id": ids, "source": sources, "failed": failed, "failed_source": failed_sources,
        "reason": [reason for part in parts for reason in part.failures.values()],
    }  # fmt: skip
    names = "\n".join(part.path.name for part in parts).encode()
    arrays: dict[str, np.ndarray] = {"parts": facts, "part_names": np.frombuffer(names, np.uint8)}
    for name, strings in texts.items():
        arrays[f"{name}_text"], arrays[f"{name}_ends"] = _packed(strings)
    for name, found in lengths.items():
        arrays[LENGTHS + name] = np.concatenate([np.zeros(0, np.int64), *found]).astype(np.uint32)
    arrays["wins"] = _wins(clips)
    hashes = np.fromiter(map(hash_of, [*ids, *failed]), np.uint32, len(ids) + len(failed))
    arrays |= _sorted_hashes(hashes, np.arange(len(hashes)))
    return HeldColumns(arrays)


def joined(first: Columns, second: Columns, streams: Iterable[str]) -> HeldColumns:
    """Join two tables; a clip that is in both keeps two winning entries, one of each table."""
    arrays: dict[str, np.ndarray] = {}
    for name in [*DTYPES, *(LENGTHS + stream for stream in streams)]:
        arrays[name] = np.concatenate([first.whole(name), second.whole(name)])
    names = [one.whole("part_names") for one in (first, second)]
    between = np.frombuffer(b"\n" if all(map(len, names)) else b"", np.uint8)
    arrays["part_names"] = np.concatenate([names[0], between, names[1]])
    for name in _TEXTS:
        shift = len(first.whole(f"{name}_text"))
        arrays[f"{name}_ends"][len(first.whole(f"{name}_ends")) :] += shift
    finished, more = len(first.whole("id_ends")), len(second.whole("id_ends"))
    wins, more_wins = first.whole("wins"), second.whole("wins")
    arrays["wins"] = np.concatenate(
        [wins[:finished], more_wins[:more], wins[finished:], more_wins[more:]]
    )
    old, new = first.whole("entries"), second.whole("entries")
    entries = [
        old + np.where(old < finished, 0, more),
        new + np.where(new < more, finished, len(wins)),
    ]
    return HeldColumns(arrays | _sorted_hashes(arrays["hashes"], np.concatenate(entries)))


def strings_of(columns: Columns, name: str) -> list[str]:
    """Return all strings of a text column."""
    text = columns.whole(f"{name}_text").tobytes()
    ends = columns.whole(f"{name}_ends").tolist()
    pairs = zip([0, *ends[:-1]], ends, strict=True) if ends else ()
    if text.isascii():
        letters = text.decode("ascii")
        return [letters[start:stop] for start, stop in pairs]
    return [text[start:stop].decode("utf-8", "surrogatepass") for start, stop in pairs]


def string_at(columns: Columns, name: str, row: int) -> str:
    """Return one string of a text column."""
    ends = columns.rows(f"{name}_ends", max(0, row - 1), row + 1)
    start = int(ends[0]) if row else 0
    text = columns.rows(f"{name}_text", start, int(ends[-1]))
    return text.tobytes().decode("utf-8", "surrogatepass")


def _packed(strings: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the two arrays of a text column: uint8 (bytes,) and int64 (strings,) ends."""
    encoded = [string.encode("utf-8", "surrogatepass") for string in strings]
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    return np.frombuffer(b"".join(encoded), np.uint8), np.cumsum(lengths)


def _sorted_hashes(hashes: np.ndarray, entries: np.ndarray) -> dict[str, np.ndarray]:
    order = np.argsort(hashes, kind="stable")
    return {"hashes": hashes[order], "entries": entries[order]}


def _wins(clips: Merged) -> np.ndarray:
    """Return uint8 (entries,), 1 where an entry is the winning one of its clip."""
    winners = clips.winners
    wins = [
        clip_id not in winners
        or (winners[clip_id].part == row and (winners[clip_id].ordinal is None) is is_failure)
        for is_failure in (False, True)
        for row, part in enumerate(clips.parts)
        for clip_id in (part.failures if is_failure else part.clip_ids)
    ]
    return np.array(wins, np.uint8)
