"""Check the members of an .npz by their headers, before numpy allocates their arrays."""

import math
import zipfile
from pathlib import Path

import numpy as np

from emo.errors import StoreError
from emo.machine.untrusted.budget import Budget
from emo.machine.untrusted.documents import shortened
from emo.machine.untrusted.npy import array_facts


def npz_members(path: Path, budget: Budget) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Return name -> shape and dtype of each array of an .npz, checked as in :func:`check_npz`.

    Raises:
        StoreError: as there, or the file is no .npz.
    """
    try:
        return check_npz(path, budget)
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        reason = shortened(str(error), 200)
        raise StoreError(f"{path}: not an .npz of plain arrays: {reason}") from error


def check_npz(path: Path, budget: Budget) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Check all members of an .npz: arrays of numbers or text, of the size that they say.

    Args:
        path: the file.
        budget: bytes that the arrays may take.

    Returns:
        Name -> shape and dtype of each array.

    Raises:
        StoreError: another member, a member twice, or too many bytes.
        OSError, ValueError, BadZipFile: not a zip file of arrays, or a pickled array.
    """
    seen: dict[str, tuple[tuple[int, ...], np.dtype]] = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if not info.filename.endswith(".npy") or info.flag_bits & 1:
                raise StoreError(f"{path}: member {name[:60]!r} is not a plain .npy array")
            if name in seen:
                raise StoreError(f"{path}: member {name[:60]!r} is in it twice")
            budget.check(info.file_size, f"member {name[:60]}")
            with archive.open(info) as member:
                shape, dtype = array_facts(member, f"{path}: member {name[:60]}")
                size = math.prod(shape) * dtype.itemsize
                if member.tell() + size != info.file_size:
                    raise StoreError(
                        f"{path}: member {name[:60]} has {info.file_size:,} bytes; its header says "
                        f"{member.tell() + size:,}"
                    )
            budget.take(size, f"array {name[:60]}")
            seen[name] = shape, dtype
    return seen
