"""Read the headers of .npy arrays, in files or in an .npz, before numpy allocates them."""

import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from emo.errors import StoreError
from emo.untrusted.budget import Budget


def check_npz(path: Path, budget: Budget) -> None:
    """Check all members of an .npz: arrays of numbers or text, of the size that they say.

    Args:
        path: the file.
        budget: bytes that the arrays may take.

    Raises:
        StoreError: another member, a member twice, or too many bytes.
        OSError, ValueError, BadZipFile: not a zip file of arrays, or a pickled array.
    """
    with zipfile.ZipFile(path) as archive:
        seen: set[str] = set()
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if not info.filename.endswith(".npy") or info.flag_bits & 1:
                raise StoreError(f"{path}: member {name[:60]!r} is not a plain .npy array")
            if name in seen:
                raise StoreError(f"{path}: member {name[:60]!r} is in it twice")
            seen.add(name)
            budget.check(info.file_size, f"member {name[:60]}")
            with archive.open(info) as member:
                size = array_bytes(member, f"{path}: member {name[:60]}")
                if member.tell() + size != info.file_size:
                    raise StoreError(
                        f"{path}: member {name[:60]} has {info.file_size:,} bytes; its header says "
                        f"{member.tell() + size:,}"
                    )
            budget.take(size, f"array {name[:60]}")


def array_bytes(file: IO[bytes], where: str) -> int:
    """Read the header of an .npy array; return the bytes of its cells.

    Args:
        file: the file at its beginning; afterwards it is at the first cell.
        where: name of the array, for the message.

    Raises:
        ValueError: not an .npy array, or the cells are Python objects.
    """
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version, np.lib.format.read_array_header_2_0)
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError(f"{where} holds pickled objects (it is read with allow_pickle=False)")
    if any(size < 0 for size in shape):
        raise ValueError(f"{where} has the shape {shape}")
    return math.prod(shape) * dtype.itemsize
