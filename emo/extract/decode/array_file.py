"""Read the array file (.npy, .npz) that a manifest cell names, without running pickled code."""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from emo.extract.media import Needs
from emo.manifest.cells import ARRAYS, inside


def read_array(cells: Mapping[str, str], root: Path, need: Needs) -> np.ndarray | str:
    """Read the array file named in the clip's column ``need.array``.

    Args:
        cells: the clip's columns, name -> cell.
        root: folder that the file's path is relative to; a path that leaves it is refused.
        need: gives the column, and the name of the array in an .npz.

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
        array = _load(path, need.array_key)
    except FileNotFoundError:
        return f"{cell}: no such file"
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        return f"{cell}: {error}"
    if array.dtype.kind not in "fiub" or array.ndim not in (1, 2) or array.size == 0:
        return f"{cell}: expected numbers (T, D) with T >= 1, found {array.dtype} {array.shape}"
    return array[None] if array.ndim == 1 else array


def _load(path: Path, key: str | None) -> np.ndarray:
    with path.open("rb") as file:  # np.load leaves the file of a broken archive open
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        names = loaded.files
        if key is None and len(names) != 1:
            raise ValueError(f"holds {', '.join(names) or 'no array'}; choose one with -o key=NAME")
        if key is not None and key not in names:
            raise ValueError(f"holds no array {key!r}; found {', '.join(names)}")
        array: np.ndarray = loaded[key or names[0]]
        return array
