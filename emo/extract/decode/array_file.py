"""Read the array file (.npy, .npz) that a manifest cell names, without running pickled code."""

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from emo.extract.decode.budget import MOST_CLIP_BYTES
from emo.extract.media import Needs
from emo.manifest.cells import ARRAYS, inside
from emo.untrusted.files import open_regular
from emo.untrusted.npy import array_bytes


def read_array(
    cells: Mapping[str, str], root: Path, need: Needs, most_bytes: int = MOST_CLIP_BYTES
) -> np.ndarray | str:
    """Read the array file named in the clip's column ``need.array``.

    Args:
        cells: the clip's columns, name -> cell.
        root: folder that the file's path is relative to; a path that leaves it is refused.
        need: gives the column, and the name of the array in an .npz.
        most_bytes: bytes that the array may take, by its header.

    Returns:
        (T, D) in the file's dtype, where (D,) becomes (1, D); or the reason why there is none.
    """
    cell = cells.get(need.array or "")
    if not cell:
        return f"the clip has no array in the column {need.array!r}"
    if not cell.endswith(ARRAYS):
        return f"{cell!r} in the column {need.array!r}: expected a file {' or '.join(ARRAYS)}"
    try:
        path = root / inside(cell, os.path.abspath(root))
        array = _load(path, need.array_key, most_bytes)
    except FileNotFoundError:
        return f"{cell}: no such file"
    except ValueError as error:
        if "Python objects" in str(error):
            return f"{cell}: holds pickled objects of Python, which are not read"
        return f"{cell}: {error}"
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        return f"{cell}: {error}"
    if array.dtype.kind not in "fiub" or array.ndim not in (1, 2) or array.size == 0:
        return f"{cell}: expected numbers (T, D) with T >= 1, found {array.dtype} {array.shape}"
    return array[None] if array.ndim == 1 else array


def _load(path: Path, key: str | None, most_bytes: int) -> np.ndarray:
    """Read an array whose size was checked by its header; ``key``: its name in an .npz."""
    with os.fdopen(open_regular(path, follow_links=True)[0], "rb") as file:
        is_archive = file.read(4) == b"PK\3\4"
    if is_archive:
        with zipfile.ZipFile(path) as archive:
            return _member(archive, key, most_bytes)
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # refuses a file that is too short
    _expect_small(mapped.nbytes, most_bytes)
    return np.array(mapped)


def _member(archive: zipfile.ZipFile, key: str | None, most_bytes: int) -> np.ndarray:
    """Read an array of an .npz; ``key`` None: its only one."""
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    if key is None and len(members) != 1:
        raise ValueError(f"holds {', '.join(members) or 'no array'}; choose one with -o key=NAME")
    if key is not None and key not in members:
        raise ValueError(f"holds no array {key!r}; found {', '.join(members)}")
    info = members[key] if key is not None else next(iter(members.values()))
    _expect_small(info.file_size, most_bytes)
    data = io.BytesIO(archive.read(info))
    if array_bytes(data, info.filename) != info.file_size - data.tell():
        raise ValueError("its header and its size do not agree")
    data.seek(0)
    array: np.ndarray = np.lib.format.read_array(data, allow_pickle=False)
    return array


def _expect_small(count: int, most_bytes: int) -> None:
    if count > most_bytes:
        raise ValueError(
            f"the array takes {count:,} bytes; at most {most_bytes:,} are read: allow more with "
            "--clip-memory"
        )
