"""Check the members of an .npz by their headers, before numpy allocates their arrays."""

import zipfile
from pathlib import Path

from emo.errors import StoreError
from emo.untrusted.budget import Budget
from emo.untrusted.npy import array_bytes


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
