"""Local copies of parts in a bucket: sparse files into which ranges are fetched on demand.

A copy does not record which of its bytes were fetched: the reader compares the checksum of a chunk
and fetches the chunk (again) when it differs. So a copy may be incomplete, damaged, or shared by
many processes.
"""

import mmap
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from emo.store.backend.cache_folder import cache_folder, entry, hold, make_room, writing_cache
from emo.store.backend.location import Location
from emo.store.backend.object_facts import ObjectFacts
from emo.store.backend.object_path import ObjectPath

if TYPE_CHECKING:
    from emo.store.backend.bucket import Bucket

GET_BYTES = 2**22
"""Most bytes that one request asks for."""
REQUESTS = 4
"""Most simultaneous requests for one part."""


class CachedPart:
    """The local copy of one part; threads may share it."""

    def __init__(
        self, path: ObjectPath, facts: ObjectFacts | None = None, bucket: "Bucket | None" = None
    ) -> None:
        """Take the current version of the object ``path``; nothing is fetched.

        Args:
            path: the object.
            facts: its version; None: as the last listing, or else the server, says.
            bucket: connection to use; None: that of stores.

        Raises:
            FileNotFoundError: there is no such object.
        """
        self._handle: int | None = None
        self._lock = Lock()
        self._bucket = bucket or path.bucket
        self.path, self.facts = path, facts or path.stat()
        self.file = entry(path, self.facts).with_suffix(".part")

    def map(self) -> mmap.mmap:
        """Map the copy, which has the size of the part; some of its bytes may not be fetched yet.

        Raises:
            StoreError: the cache folder cannot be written.
        """
        with self._lock, writing_cache(self.file):
            if self._handle is None:
                self._handle = self._open()
            # the map keeps the lock on the file: it is not evicted while arrays refer to it
            return mmap.mmap(self._handle, self.facts.st_size, access=mmap.ACCESS_READ)

    def fetch(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Copy ranges of bytes from the bucket.

        Args:
            ranges: (first, past the last) byte of each, in rising order.

        Raises:
            FileNotFoundError: the part is gone.
            StoreError: the object store does not answer, or the cache folder cannot be written.
        """
        pieces = _pieces(ranges)
        with self._lock, writing_cache(self.file):
            handle = self._open() if self._handle is None else os.dup(self._handle)
        try:
            with ThreadPoolExecutor(min(REQUESTS, len(pieces))) as pool:
                for _ in pool.map(lambda piece: self._copy(handle, *piece), pieces):
                    pass
        finally:
            os.close(handle)
        make_room(sum(stop - start for start, stop in pieces))

    def release(self) -> None:
        """Unlock the copy: it may be evicted once no map of it is open."""
        with self._lock:
            if self._handle is not None:
                os.close(self._handle)
            self._handle = None

    def __del__(self) -> None:
        self.release()

    def _copy(self, handle: int, start: int, stop: int) -> None:
        """Fetch one range and write it into the local file."""
        data = self._bucket.read_range(self.path.key, start, stop, self.facts)
        with self._lock, writing_cache(self.file):
            os.lseek(handle, start, os.SEEK_SET)  # lseek + write, for Windows has no pwrite
            left = memoryview(data)
            while left:
                left = left[os.write(handle, left) :]

    def _open(self) -> int:
        """Open and lock the local file, made with the size of the part if it does not exist."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        while True:
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
            handle = os.open(self.file, flags, 0o666)
            hold(handle)
            status = os.fstat(handle)
            if status.st_nlink:
                break
            os.close(handle)  # it was evicted between opening and locking: open again
        if status.st_size < self.facts.st_size:
            os.ftruncate(handle, self.facts.st_size)  # sparse: unfetched bytes take no disk space
        os.utime(self.file)
        return handle


@contextmanager
def local_copy(path: Location) -> Iterator[Path]:
    """Yield a part as a local file: the file itself, or a complete new copy from the bucket.

    Raises:
        FileNotFoundError: the part is gone.
        StoreError: the object store does not answer, or the cache folder cannot be written.
    """
    if isinstance(path, Path):
        yield path
        return
    facts, folder = path.stat(), cache_folder()
    with writing_cache(folder):
        folder.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(prefix="whole-", dir=folder)
    with scratch as name:
        file = Path(name) / path.name
        with open(file, "wb") as out:
            for start, stop in _pieces([(0, facts.st_size)]):
                data = path.bucket.read_range(path.key, start, stop, facts)
                with writing_cache(file):
                    out.write(data)
        yield file


def _pieces(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join adjacent ranges, then cut them into what one request may ask for.

    >>> _pieces([(0, 5), (5, 9), (20, 30)])
    [(0, 9), (20, 30)]
    """
    joined: list[tuple[int, int]] = []
    for start, stop in ranges:
        if joined and joined[-1][1] == start:
            start = joined.pop()[0]
        joined.append((start, stop))
    return [
        (at, min(at + GET_BYTES, stop))
        for start, stop in joined
        for at in range(start, stop, GET_BYTES)
    ]
