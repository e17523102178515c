"""A file for libraries that crash the process when a write fails, as HDF5 does on a full disk."""

import os
from io import RawIOBase
from pathlib import Path
from typing import Any


class PatientFile(RawIOBase):
    """A new file, whose first failed write is kept for :meth:`check` instead of being raised.

    What is written after it stays in memory, so that the library can close what it has open. The
    caller checks after every block, so that this is little.
    """

    def __init__(self, path: Path) -> None:
        """Make the file, or empty it.

        Raises:
            OSError: it cannot be made.
        """
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        self._at = self._end = 0
        self._error: OSError | None = None
        self._late: list[tuple[int, bytes]] = []

    def check(self) -> None:
        """Raise the error of the first write that failed, if one did.

        Raises:
            OSError: the disk is full, for instance.
        """
        if self._error is not None:
            raise self._error

    def write(self, data: Any) -> int:
        """Write all bytes at the position; after an error, keep them in memory."""
        view = memoryview(data).cast("B")
        if self._error is None:
            self._error = self._put(view)
        if self._error is not None:
            self._late.append((self._at, bytes(view)))
        self._at += len(view)
        self._end = max(self._end, self._at)
        return len(view)

    def readinto(self, buffer: Any) -> int:
        """Read bytes at the position, also those that are in memory."""
        view = memoryview(buffer).cast("B")
        size = max(0, min(len(view), self._end - self._at))
        there = bytearray(os.pread(self._handle, size, self._at).ljust(size, b"\0"))
        for start, block in self._late:
            first, last = max(start, self._at), min(start + len(block), self._at + size)
            if first < last:
                there[first - self._at : last - self._at] = block[first - start : last - start]
        view[:size] = there
        self._at += size
        return size

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position; return it."""
        self._at = offset + (0, self._at, self._end)[whence]
        return self._at

    def truncate(self, size: int | None = None) -> int:
        """Set the file's size; an error is kept."""
        self._end = self._at if size is None else size
        try:
            os.ftruncate(self._handle, self._end)
        except OSError as error:
            self._error = self._error or error
        return self._end

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def readable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            os.close(self._handle)
        super().close()

    def _put(self, view: memoryview) -> OSError | None:
        """Write bytes at the position; return the error, if there is one."""
        done = 0
        try:
            while done < len(view):
                done += os.pwrite(self._handle, view[done:], self._at + done)
        except OSError as error:
            return error
        return None
