"""Open the file of a part to read ranges of it: a local file, or an object in a bucket.

Ranges read from an object are kept in the cache folder. They are small: the end of the part, and
the arrays that describe the tokens. The tokens come by :mod:`emo.store.backend.cached_part`.
"""

import os
import uuid
from contextlib import suppress
from pathlib import Path

import google_crc32c

from emo.machine.untrusted.files import open_regular
from emo.store.backend.cache_folder import entry, writing_cache
from emo.store.backend.location import Location
from emo.store.backend.object_path import ObjectPath

_NEAR = 16
"""A range whose distance to the bytes read at the end is less than 16 times their length is read
together with everything between."""
_KEPT_BYTES = 2**22
"""Longest range that is kept in the cache."""


class LocalFile:
    """An open local file."""

    def __init__(self, path: Path) -> None:
        """Open the file ``path``.

        Raises:
            OSError: it cannot be opened.
            UnfitFileError: it is a link, or no regular file.
        """
        self._file, self.size = open_regular(path, follow_links=False)

    def read(self, start: int, size: int) -> bytes:
        """Read ``size`` bytes from offset ``start``; fewer where the file ends."""
        os.lseek(self._file, start, os.SEEK_SET)  # lseek + read, for Windows has no pread
        data = os.read(self._file, size)
        while len(data) < size:
            more = os.read(self._file, size - len(data))
            if not more:
                break
            data += more
        return data

    def close(self) -> None:
        """Close the file of the part."""
        os.close(self._file)


class RemoteFile:
    """An object in a bucket, read by ranges that are cached on this machine."""

    def __init__(self, path: ObjectPath) -> None:
        """Open the current version of the object ``path``.

        Raises:
            FileNotFoundError: there is no such object.
        """
        self._path, self._facts = path, path.stat()
        self.size = self._facts.st_size
        self._file = entry(path, self._facts).with_suffix(".small")
        self._kept = _load(self._file)
        self._is_new = False

    def read(self, start: int, size: int) -> bytes:
        """Read ``size`` bytes from offset ``start``; fewer where the object ends.

        Raises:
            FileNotFoundError: the object is gone.
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
        """Save the ranges that were read in the cache folder, for later openings of the part."""
        if self._is_new:
            _save(self._file, self._kept)

    def _wider(self, start: int, stop: int) -> tuple[int, int, bytes]:
        """Widen a range near the end of the part, so that few requests read all small members.

        The small members lie together at the end and are read from the last to the first: with
        each, as many bytes as were read of the end so far are read in addition.

        Returns:
            The first byte to request, the byte past the last, and known bytes that follow them.
        """
        ends = [at for at, data in self._kept.items() if at + len(data) == self.size]
        tail = min(ends, default=self.size)
        known = self.size - tail
        if start < tail - _NEAR * known or start >= tail:
            return start, stop, b""
        return max(0, min(start, tail - known)), tail, self._kept.pop(tail)


def opened(path: Location) -> LocalFile | RemoteFile:
    """Open the file of a part; the caller must close it.

    Raises:
        OSError: the file cannot be opened.
        UnfitFileError: it is a link, or no regular file.
        StoreError: the object store does not answer.
    """
    return RemoteFile(path) if isinstance(path, ObjectPath) else LocalFile(path)


def _load(file: Path) -> dict[int, bytes]:
    """Return cached ranges as {offset in the part: bytes}; empty when the cache file is damaged."""
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
    """Write cached ranges with a checksum; the file appears whole."""
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
