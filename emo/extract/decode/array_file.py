"""Read the array file (.npy, .npz) that a manifest cell names, without running pickled code."""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from emo.extract.decode.budget import MOST_CLIP_BYTES
from emo.extract.media import Needs
from emo.machine.untrusted.files import open_regular
from emo.machine.untrusted.npy import array_header
from emo.manifest.cells import ARRAYS, inside


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
        if "objects" in str(error):
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
        file.seek(0)
        if not is_archive:
            size = os.fstat(file.fileno()).st_size
            _check_header(file, path.name, size, most_bytes)
            file.seek(0)
            array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
            return array
        with zipfile.ZipFile(file) as archive:
            return _member(archive, key, most_bytes)


def _member(archive: zipfile.ZipFile, key: str | None, most_bytes: int) -> np.ndarray:
    """Read an array of an .npz; ``key`` None: its only one."""
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    if key is None and len(members) != 1:
        raise ValueError(f"holds {', '.join(members) or 'no array'}; choose one with -o key=NAME")
    if key is not None and key not in members:
        raise ValueError(f"holds no array {key!r}; found {', '.join(members)}")
    info = members[key] if key is not None else next(iter(members.values()))
    with archive.open(info) as file:
        _check_header(file, info.filename, info.file_size, most_bytes)
    with archive.open(info) as file:
        array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _check_header(file: IO[bytes], name: str, size_bytes: int, most_bytes: int) -> None:
    """Check that an array is in its file, and that it and its copy as float32 fit the limit.

    Args:
        file: the file at its beginning.
        name: name of the array, for messages.
        size_bytes: size of the file.
        most_bytes: bytes that the array and the copy may take.

    Raises:
        ValueError: the array is too large, cut, or no array.
    """
    cells, dtype = array_header(file, name)
    copy_bytes = 0 if dtype == np.float32 else 4 * cells
    _expect_small(cells * dtype.itemsize + copy_bytes, most_bytes)
    if cells * dtype.itemsize > size_bytes - file.tell():
        raise ValueError("its header and its size do not agree")


def _expect_small(count: int, most_bytes: int) -> None:
    if count > most_bytes:
        raise ValueError(
            f"the array takes {count:,} bytes; at most {most_bytes:,} are read: allow more with "
            "--clip-memory"
        )
