"""The index of a recipe: a table of all its parts in one file, so that opening reads no part.

``index-<generation>.zarr.zip`` is laid out as a part is, with the columns of the table in place
of streams, so that it is mapped and verified chunk by chunk as tokens are. It is used only while
every part it lists is there unchanged; parts it does not list are read on top of it. It can
always be deleted.
"""

import mmap
import re
from collections.abc import Mapping, Set
from typing import BinaryIO

import numpy as np

from emo.errors import StoreError
from emo.store.backend.cached_part import local_copy
from emo.store.backend.commit import commit
from emo.store.backend.location import Location, file_names, files
from emo.store.index.table import DTYPES, LENGTHS, PART_FACTS, Columns, HeldColumns
from emo.store.part.members import write_members
from emo.store.part.reader import Part
from emo.store.part.verify import damaged_members
from emo.store.part.zarr_layout import FORMAT_VERSION
from emo.store.part.zip import DamagedPart, GoneError, root_crc

INDEX = "index-"
"""How the name of an index starts; six digits follow, and the highest is the newest."""
_CHUNK_BYTES = 2**16  # one clip's id, length and place are each a chunk to read
_CONTENT = ["index of a recipe, version 1"]
_RANDOM: int | None = getattr(mmap, "MADV_RANDOM", None)  # not on Windows
_NAME = re.compile(rf"{INDEX}(\d{{6,}})\.zarr\.zip")


class DamagedIndexError(StoreError):
    """An index that is not what was written; the parts still tell everything."""


class MappedColumns:
    """The columns of an index file, mapped; whatever is read of them was verified."""

    def __init__(self, part: Part) -> None:
        """Read columns of ``part``."""
        self._part = part

    def whole(self, name: str) -> np.ndarray:
        """A column."""
        return self._checked(name, 0, None)

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """Some of its rows; only their chunks are verified."""
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
        """Have the system read the chunks of these rows, and not megabytes around each of them."""
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
    """Commit an index above the newest there is, then remove all older ones.

    Returns:
        Its file; None when another writer was quicker.

    Raises:
        StoreError: the folder cannot be written.
    """
    older = index_paths(folder)
    newest = _generation(older[0].name) if older else 0
    path = folder / f"{INDEX}{newest + 1:06d}.zarr.zip"

    def write(file: BinaryIO) -> None:
        _write(file, fingerprint, columns)

    if not commit(folder, path.name, write):
        return None
    remove(older)
    return path


def index_paths(folder: Location) -> list[Location]:
    """The indices of a recipe, newest first."""
    names = [name for name in file_names(folder) if _NAME.fullmatch(name)]
    return [folder / name for name in sorted(names, key=_generation, reverse=True)]


def remove(paths: list[Location]) -> None:
    """Delete files, where the system lets us (Windows keeps those that somebody has mapped)."""
    for path in paths:
        try:
            path.unlink()
        except (FileNotFoundError, PermissionError):
            continue


def open_index(path: Location, fingerprint: str, names: Set[str]) -> Columns | None:
    """The table of an index, when every part that it lists is there unchanged; else None.

    Args:
        path: of the index.
        fingerprint: of the recipe.
        names: the parts that the reader has seen.
    """
    try:
        part = Part(path)
        if (part.fingerprint, part.clip_ids) != (fingerprint, _CONTENT):
            return None
        columns = MappedColumns(part)
        is_current = names >= set(part_names(columns)) and _is_current(path, columns)
    except (DamagedPart, GoneError, DamagedIndexError, OSError):
        return None
    return columns if is_current else None


def index_problem(path: Location) -> str | None:
    """What is wrong with the bytes of an index; None: nothing (it may still be stale)."""
    try:
        with local_copy(path) as file:
            return next(damaged_members(Part(file)), None)
    except DamagedPart as error:
        return error.what
    except GoneError:
        return None


def part_names(columns: Columns) -> list[str]:
    """The file names of the parts of a table."""
    joined = columns.whole("part_names").tobytes().decode()
    return joined.split("\n") if joined else []


def _is_current(path: Location, columns: Columns) -> bool:
    """No listed part is gone or was replaced.

    A part of another size is another one. So may be one that is younger than the index, which in
    a copied store all are: the checksum of its root tells.
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
    found = _NAME.fullmatch(name)
    return int(found.group(1)) if found else 0
