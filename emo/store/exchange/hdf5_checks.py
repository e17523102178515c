"""Find the data sets of an HDF5 file of a stranger: no links, known filters, a bounded size."""

import math
from pathlib import Path
from typing import Any

from emo.errors import StoreError
from emo.machine.untrusted.budget import Budget

_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 6: "scaleoffset", 32000: "lzf"}
"""Numbers of the filters that are read: those that come with HDF5 and h5py. HDF5 would load a
library of its plugin folder for any other number."""
_POINTER_BYTES = 16
MOST_NAMES = 10_000
"""Largest number of groups and data sets of a file."""


def collect_datasets(
    file: Any, path: Path, budget: Budget, *, most_names: int | None = None
) -> dict[str, Any]:
    """Return all data sets of a file by their full names.

    Args:
        file: the opened ``h5py.File``.
        path: its path, for messages.
        budget: bytes that may be taken; those of all data sets are counted.
        most_names: largest number of groups and data sets; None: ``MOST_NAMES``.

    Raises:
        StoreError: a link, data in another file, an unknown filter, or too many bytes or names.
    """
    arrays: dict[str, Any] = {}
    _collect(file, "", arrays, path, set(), most_names or MOST_NAMES)
    for name, array in arrays.items():
        _check(name, array, path, budget)
    return arrays


def _check(name: str, array: Any, path: Path, budget: Budget) -> None:
    """Raise StoreError unless the filters of a data set are known and its bytes in the budget."""
    properties = array.id.get_create_plist()
    for k in range(properties.get_nfilters()):
        code = properties.get_filter(k)[0]
        if code not in _FILTERS:
            known = ", ".join(_FILTERS.values())
            raise StoreError(
                f"{path}: refused: {name} needs filter {code} of HDF5, and only {known} are read; "
                "write it again with gzip or without compression (h5repack does it)"
            )
    item = array.dtype.itemsize if array.dtype.kind != "O" else _POINTER_BYTES
    if array.chunks:
        budget.check_piece(math.prod(array.chunks) * item, f"a chunk of {name}")
    budget.take(math.prod(array.shape) * item, f"array {name}")


def _collect(
    group: Any, prefix: str, arrays: dict[str, Any], path: Path, seen: set[int], most: int
) -> None:
    """Add all data sets below ``group`` to ``arrays``, by their full names.

    A group that has several names is visited under the first one only: a few groups that hold each
    other would have billions of names.

    Args:
        group: the group.
        prefix: start of the full names of its members, such as ``x/``.
        arrays: full name -> data set, to be extended.
        path: the file, for error messages.
        seen: addresses of the groups that were visited, to be extended.
        most: largest number of groups and data sets.
    """
    import h5py

    address = h5py.h5o.get_info(group.id).addr
    if address in seen:
        return
    seen.add(address)
    for name in group:
        if len(seen) + len(arrays) > most:
            raise StoreError(
                f"{path}: refused: it has more than {most:,} groups and data sets; expected "
                "the ids, and values and offsets of each stream"
            )
        where = f"{prefix}{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise StoreError(f"{path}: refused: {where} is a link, which may lead to another file")
        found = group[name]
        if isinstance(found, h5py.Group):
            if prefix.count("/") > 8:
                raise StoreError(f"{path}: groups are nested too deeply at {where}")
            _collect(found, f"{where}/", arrays, path, seen, most)
        elif isinstance(found, h5py.Dataset):
            if found.is_virtual or found.external:
                raise StoreError(f"{path}: refused: {where} has its data in another file")
            if found.shape is not None:  # h5py.Empty has a name but no numbers
                arrays[where] = found
