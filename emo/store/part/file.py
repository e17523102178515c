"""The file of a part, opened to read some of it: a local one, or an object in a bucket.

Of an object what was read is kept in the cache folder. It is little: the end of the part, and what
describes the tokens; these come by :mod:`emo.store.backend.cached_part`.
"""

import os
import uuid
from contextlib import suppress
from pathlib import Path

import google_crc32c

from emo.store.backend.cache_folder import entry, writing_cache
from emo.store.backend.location import Location
from emo.store.backend.object_path import ObjectPath

_NEAR = 16
"""What lies nearer to the end than so many times what was read of it is read with all between."""
_KEPT_BYTES = 2**22
"""Longer pieces are not kept."""


class LocalFile:
    """An open file."""

    def __init__(self, path: Path) -> None:
        """Open ``path``.

        Raises:
            OSError: it cannot be opened.
        """
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self.size = os.lseek(self._file, 0, os.SEEK_END)

    def read(self, start: int, size: int) -> bytes:
        """``size`` bytes from ``start``, fewer where the file ends."""
        os.lseek(self._file, start, os.SEEK_SET)  # lseek + read, for Windows has no pread
        data = os.read(self._file, size)
        while len(data) < size:
            more = os.read(self._file, size - len(data))
            if not more:
                break
            data += more
        return data

    def close(self) -> None:
        """It is not read any more."""
        os.close(self._file)


class RemoteFile:
    """An object in a bucket."""

    def __init__(self, path: ObjectPath) -> None:
        """Of the object ``path`` as it is now.

        Raises:
            FileNotFoundError: there is none.
        """
        self._path, self._facts = path, path.stat()
        self.size = self._facts.st_size
        self._file = entry(path, self._facts).with_suffix(".small")
        self._kept = _load(self._file)
        self._is_new = False

    def read(self, start: int, size: int) -> bytes:
        """``size`` bytes from ``start``, fewer where the object ends.

        Raises:
            FileNotFoundError: it is gone.
            StoreError: the object store does not answer.
        """
        stop = min(start + size, self.size)
        for first, data in self._kept.items():
            if first <= start and stop <= first + len(data):
                return data[start - first : stop - first]
        first, stop_of_read, rest = self._wider(start, stop)
        data = self._path.bucket.read_range(self._path.key, first, stop_of_read, self._facts) + rest
        if len(data) <= _KEPT_BYTES:
            self._kept[first], self._is_new = data, True
        return data[start - first : stop - first]

    def close(self) -> None:
        """Keep what was read for the next one who opens the part."""
        if self._is_new:
            _save(self._file, self._kept)

    def _wider(self, start: int, stop: int) -> tuple[int, int, bytes]:
        """What to read instead, first and past the last byte, and what was read that follows.

        What is small lies together at the end and is read from the last to the first: as much
        again as was read of the end so far comes with it.
        """
        ends = [at for at, data in self._kept.items() if at + len(data) == self.size]
        tail = min(ends, default=self.size)
        known = self.size - tail
        if start < tail - _NEAR * known or start >= tail:
            return start, stop, b""
        return max(0, min(start, tail - known)), tail, self._kept.pop(tail)


def opened(path: Location) -> LocalFile | RemoteFile:
    """The file of a part; whoever opens it closes it.

    Raises:
        OSError: it cannot be opened.
        StoreError: the object store does not answer.
    """
    return RemoteFile(path) if isinstance(path, ObjectPath) else LocalFile(path)


def _load(file: Path) -> dict[int, bytes]:
    """Bytes by where they start in the part; nothing when the file is not as it was written."""
    try:
        whole = file.read_bytes()
    except OSError:
        return {}
    data, kept, at = whole[:-4], {}, 0
    if google_crc32c.value(data).to_bytes(4, "little") != whole[-4:]:
        return {}
    while at < len(data):
        start, size = (int.from_bytes(data[at + k : at + k + 8], "little") for k in (0, 8))
        kept[start] = data[at + 16 : at + 16 + size]
        at += 16 + size
    return kept


def _save(file: Path, kept: dict[int, bytes]) -> None:
    pieces = [
        start.to_bytes(8, "little") + len(each).to_bytes(8, "little") + each
        for start, each in kept.items()
    ]
    data = b"".join(pieces)
    temporary = file.with_name(f"{uuid.uuid4().hex}.tmp")
    with writing_cache(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data + google_crc32c.value(data).to_bytes(4, "little"))
            os.replace(temporary, file)
        finally:
            with suppress(OSError):
                temporary.unlink()
