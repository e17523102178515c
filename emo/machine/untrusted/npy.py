"""Read the header of an .npy array, before numpy allocates its cells."""

import math
from typing import IO

import numpy as np


def array_bytes(file: IO[bytes], where: str) -> int:
    """Read the header of an .npy array; return the bytes of its cells.

    Args:
        file: the file at its beginning; afterwards it is at the first cell.
        where: name of the array, for the message.

    Raises:
        ValueError: not an .npy array, or the cells are Python objects.
    """
    cells, dtype = array_header(file, where)
    return cells * dtype.itemsize


def array_header(file: IO[bytes], where: str) -> tuple[int, np.dtype]:
    """Read the header of an .npy array; return the number of its cells and their dtype.

    Args and errors are those of :func:`array_facts`.
    """
    shape, dtype = array_facts(file, where)
    return math.prod(shape), dtype


def array_facts(file: IO[bytes], where: str) -> tuple[tuple[int, ...], np.dtype]:
    """Read the header of an .npy array; return its shape and dtype.

    Args:
        file: the file at its beginning; afterwards it is at the first cell.
        where: name of the array, for the message.

    Raises:
        ValueError: not an .npy array, or the cells are Python objects.
    """
    version = np.lib.format.read_magic(file)
    is_short = version == (1, 0)  # versions 2 and 3 differ in how names of fields are written
    read = np.lib.format.read_array_header_1_0 if is_short else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError(f"{where} holds pickled objects (it is read with allow_pickle=False)")
    if any(size < 0 for size in shape):
        raise ValueError(f"{where} has the shape {shape}")
    return shape, dtype
