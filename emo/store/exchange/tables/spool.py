"""Numbers that were parsed from text and wait in a temporary file, so that memory stays bounded."""

import tempfile
from collections.abc import Callable
from types import TracebackType

import numpy as np


class Spool:
    """Arrays in a temporary file, which ends with the ``with`` block."""

    def __enter__(self) -> "Spool":
        self._file = tempfile.TemporaryFile()
        self._size = 0
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, array: np.ndarray) -> Callable[[], np.ndarray]:
        """Write an array at the end; return a function that reads it again."""
        start, shape, dtype = self._size, array.shape, array.dtype
        self._file.seek(start)
        self._file.write(np.ascontiguousarray(array).data)
        self._size += array.nbytes

        def read() -> np.ndarray:
            found = np.zeros(shape, dtype)
            self._file.seek(start)
            if found.size:
                self._file.readinto(found.data.cast("B"))
            return found

        return read

    def rows(self, width: int, dtype: np.dtype) -> np.ndarray:
        """Return all numbers that were written as one mapped array (rows, width)."""
        if not self._size:
            return np.zeros((0, width), dtype)
        self._file.flush()
        count = self._size // (width * dtype.itemsize)
        return np.memmap(self._file, dtype, mode="r", shape=(count, width))
