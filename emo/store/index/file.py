"""The index file of a recipe: a table of all its parts, so that opening the recipe reads no part.

``index-<generation>.zarr.zip`` has the layout of a part, with the columns of the table in place of
streams; it is mapped, and verified chunk by chunk. It is used only while every part that it lists
is there unchanged; parts that it does not list are read in addition. It can always be deleted.
"""

import mmap
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from typing import BinaryIO

import numpy as np

from emo.errors import StoreError
from emo.machine.untrusted.documents import shortened
from emo.store.backend.cached_part import local_copy
from emo.store.backend.commit import commit
from emo.store.backend.location import Location, file_names, files
from emo.store.index.merged import Merged
from emo.store.index.table import (
    DTYPES,
    LENGTHS,
    PART_FACTS,
    Columns,
    HeldColumns,
    index_columns,
)
from emo.store.part.members import write_members
from emo.store.part.reader import Part
from emo.store.part.verify import damaged_members
from emo.store.part.zarr_layout import FORMAT_VERSION
from emo.store.part.zip import DamagedPart, GoneError, root_crc

INDEX_START = "index-"
"""Start of an index file's name; six digits follow, and the highest number is the newest."""
_CHUNK_BYTES = 2**16  # small: one clip's id, length and position are a chunk each to read
_CONTENT = ["index of a recipe, version 1"]  # stands in place of clip ids
_RANDOM: int | None = getattr(mmap, "MADV_RANDOM", None)  # not on Windows
_NAME = re.compile(rf"{INDEX_START}(\d{{6,}})\.zarr\.zip")


class DamagedIndexError(StoreError):
    """An index file is damaged or wrong; the parts hold all information without it."""


class MappedColumns:
    """The columns of an index file, mapped; the rows that are read are verified."""

    def __init__(self, part: Part) -> None:
        """Take the opened index file, which has the layout of a part."""
        self._part = part

    def whole(self, name: str) -> np.ndarray:
        """Return a column, (n,); ``parts`` is (P, 5)."""
        return self._checked(name, 0, None)

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """Return rows ``start`` to before ``stop`` of a column, after verifying the chunks that
        hold them."""
        return self._checked(name, start, stop)

    def _checked(self, name: str, start: int, stop: int | None) -> np.ndarray:
        try:
            values = self._part.values(name)
            stop = len(values) if stop is None else stop
            self._fetch(name, start, stop)
            self._part.check(name, start, stop)
        except StoreError as error:
            raise DamagedIndexError(str(error)) from error
        rows = values[start:stop]
        return rows if name == "parts" else rows[:, 0]

    def _fetch(self, name: str, start: int, stop: int) -> None:
        """Tell the system to read the chunks of some rows only, not megabytes around each chunk."""
        layout, whole = self._part.layout(name), self._part.mapped()
        if _RANDOM is None or layout.start is None or layout.is_trusted or start >= stop:
            return
        chunk_bytes = layout.chunk_bytes
        first = layout.start + start // layout.rows * chunk_bytes
        last = layout.start + -(-stop // layout.rows) * chunk_bytes
        first -= first % mmap.PAGESIZE
        whole.madvise(_RANDOM)
        whole.madvise(mmap.MADV_WILLNEED, first, last - first)


def write_index(folder: Location, fingerprint: str, columns: HeldColumns) -> Location | None:
    """Commit a new index with the next higher number, then remove all older ones.

    Returns:
        The file of the index; None when another process committed one at the same time.

    Raises:
        StoreError: the folder cannot be written.
    """
    older = index_paths(folder)
    newest = _generation(older[0].name) if older else 0
    path = folder / f"{INDEX_START}{newest + 1:06d}.zarr.zip"

    def write(file: BinaryIO) -> None:
        _write(file, fingerprint, columns)

    if not commit(folder, path.name, write):
        return None
    remove(older)
    return path


def index_paths(folder: Location) -> list[Location]:
    """Return the index files of a recipe, newest first."""
    names = [name for name in file_names(folder) if _NAME.fullmatch(name)]
    return [folder / name for name in sorted(names, key=_generation, reverse=True)]


def remove(paths: list[Location]) -> None:
    """Delete old index files, as far as the system allows it (Windows keeps mapped files).

    An old index that stays is not read, and the next one that is written removes it.
    """
    for path in paths:
        with suppress(OSError):
            path.unlink()


def open_index(path: Location, fingerprint: str, names: Set[str]) -> Columns | None:
    """Open an index; return None unless every part that it lists is there unchanged.

    Args:
        path: file of the index.
        fingerprint: fingerprint of the recipe.
        names: file names of the parts that the reader has listed.
    """
    try:
        part = Part(path)
        if (part.fingerprint, part.clip_ids) != (fingerprint, _CONTENT):
            return None
        columns = MappedColumns(part)
        is_current = names >= set(part_names(columns)) and _is_current(path, columns)
    except (StoreError, OSError, ValueError, IndexError):
        return None
    return columns if is_current else None


def index_problem(path: Location, parts: Mapping[str, Part], streams: Iterable[str]) -> str | None:
    """Return what is wrong with an index; None: nothing (it may be out of date).

    Args:
        path: file of the index.
        parts: file name -> opened part, of all sound parts of the recipe. An index that lists
            others is out of date, and not compared with them.
        streams: the streams of the recipe.
    """
    try:
        with local_copy(path) as file:
            part = Part(file)
            found = next(damaged_members(part), None)
            return found or _contradiction(MappedColumns(part), parts, list(streams))
    except DamagedPart as error:
        return error.what
    except GoneError:
        return None
    except (DamagedIndexError, ValueError, IndexError, KeyError) as error:
        return f"its columns contradict each other: {shortened(str(error))}"


def _contradiction(
    columns: Columns, parts: Mapping[str, Part], streams: Sequence[str]
) -> str | None:
    """Return which column says something else than the parts; None: they agree."""
    names = part_names(columns)
    if not set(names) <= parts.keys():
        return None
    expected = index_columns(Merged([parts[name] for name in names]), streams).arrays
    for name, wanted in expected.items():
        if not np.array_equal(columns.whole(name), wanted):
            return f"its column {name} and the parts disagree; `emo store index` writes it anew"
    return None


def part_names(columns: Columns) -> list[str]:
    """Return the file names of the parts in a table, in the order of their clips' ordinals."""
    joined = columns.whole("part_names").tobytes().decode()
    return joined.split("\n") if joined else []


def _is_current(path: Location, columns: Columns) -> bool:
    """Return whether no listed part is gone or was replaced.

    A part of another size was replaced. A part younger than the index may have been replaced, too;
    since all parts of a copied store may be younger, the checksum of its root document decides.
    """
    there = files(path.parent)
    written = path.stat().st_mtime_ns
    facts: Mapping[str, np.ndarray] = dict(zip(PART_FACTS, columns.whole("parts").T, strict=True))
    sizes, crcs = facts["size_bytes"].tolist(), facts["root_crc"].tolist()
    for name, size_bytes, crc in zip(part_names(columns), sizes, crcs, strict=True):
        if name not in there:
            return False
        status = there[name].stat()
        if status.st_size != size_bytes:
            return False
        if status.st_mtime_ns >= written and root_crc(path.parent / name) != crc:
            return False
    return True


def _write(file: BinaryIO, fingerprint: str, columns: HeldColumns) -> None:
    """Write the columns of an index in the layout of a part."""
    streams, specs = {}, {}
    for name, column in columns.arrays.items():
        dim = len(PART_FACTS) if name == "parts" else 1
        dtype = "uint32" if name.startswith(LENGTHS) else DTYPES[name]
        values = np.array(column, dtype=np.dtype(dtype).newbyteorder("<")).reshape(-1, dim)
        streams[name] = ([values] if len(values) else [], [len(values)])
        specs[name] = {"dim": dim, "dtype": dtype}
    attributes = {
        "format_version": FORMAT_VERSION,
        "fingerprint": fingerprint,
        "streams": specs,
        "attempt": 0,
        "clip_ids": _CONTENT,
        "failures": {},
        "sources": [""],
        "absent": {},
        "notes": {},
    }
    write_members(file, streams, attributes, chunk_bytes=_CHUNK_BYTES)


def _generation(name: str) -> int:
    """Return the number in an index file's name; 0 for any other name."""
    found = _NAME.fullmatch(name)
    return int(found.group(1)) if found else 0
