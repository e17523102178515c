"""hdf5: a group for each stream, ragged by offsets; readable from Matlab, R, Julia and C."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import emo
from emo.errors import StoreError
from emo.ragged import offsets_of
from emo.store.exchange.contents import DOCUMENT, Contents, parse_document
from emo.store.exchange.format import Format
from emo.store.exchange.named_arrays import ArrayOptions, find_clips
from emo.store.exchange.patient_file import PatientFile
from emo.untrusted.budget import Budget

_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 6: "scaleoffset", 32000: "lzf"}
"""Numbers of the filters that are read: those that come with HDF5 and h5py. HDF5 would load a
library of its plugin folder for any other number."""
_POINTER_BYTES = 16
MOST_NAMES = 10_000
"""Largest number of groups and data sets of a file."""


class Hdf5(Format):
    """One file with ids (N,) and, for each stream X, X/values (ΣT, D) and X/offsets (N+1,)."""

    extension = ".h5"
    ReadOptions = ArrayOptions

    @contextmanager
    def read(self, path: Path, options: ArrayOptions) -> Iterator[Contents]:
        """Find the clips in the file; links, and data in other files, are refused."""
        try:
            file = h5py.File(path, "r")
        except OSError as error:
            raise StoreError(f"{path}: not an HDF5 file: {error}") from error
        with file:
            arrays: dict[str, Any] = {}
            budget = self.budget(path)
            _collect(file, "", arrays, path, set())
            for name, array in arrays.items():
                _check(name, array, path, budget)
            text = arrays.pop(DOCUMENT, None)
            document: Mapping[str, Any] = {}
            if text is not None and text.shape == () and h5py.check_string_dtype(text.dtype):
                document = parse_document(text.asstr()[()], path)
            yield find_clips(arrays, path, options, budget, document=document)

    def write(self, contents: Contents, path: Path, options: Any) -> None:
        """Write ids, values and offsets; tokens pass through memory a few clips at a time."""
        for name in ("ids", DOCUMENT):
            if name in contents.streams:
                raise StoreError(f"stream {name!r}: an hdf5 file uses this name itself")
        with PatientFile(path) as disk:
            with h5py.File(disk, "w", libver=("v110", "latest")) as file:
                _write(file, disk, contents)
            disk.check()


def _write(file: h5py.File, disk: PatientFile, contents: Contents) -> None:
    """Write the data sets; raise OSError as soon as the disk does not take them."""
    text = h5py.string_dtype("utf-8")
    file.attrs["writer"] = f"emo {emo.__version__}"
    file.create_dataset("ids", data=np.array(contents.ids, dtype=object), dtype=text)
    document = json.dumps(contents.document(), ensure_ascii=False)
    file.create_dataset(DOCUMENT, data=document, dtype=text)
    for name, rows in contents.streams.items():
        group = file.create_group(name)
        group.attrs["level"], group.attrs["kind"] = rows.spec.level, rows.spec.kind
        group.create_dataset("offsets", data=offsets_of(rows.lengths))
        shape, dtype = (rows.tokens, rows.spec.dim), np.dtype(rows.spec.dtype)
        values = group.create_dataset("values", shape, dtype)
        row = 0
        for _, ragged in rows.blocks():
            if len(ragged.values):
                values[row : row + len(ragged.values)] = ragged.values
            disk.check()
            row += len(ragged.values)


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


def _collect(group: Any, prefix: str, arrays: dict[str, Any], path: Path, seen: set[int]) -> None:
    """Add all data sets below ``group`` to ``arrays``, by their full names.

    A group that has several names is visited under the first one only: a few groups that hold each
    other would have billions of names.

    Args:
        group: the group.
        prefix: start of the full names of its members, such as ``x/``.
        arrays: full name -> data set, to be extended.
        path: the file, for error messages.
        seen: addresses of the groups that were visited, to be extended.
    """
    address = h5py.h5o.get_info(group.id).addr
    if address in seen:
        return
    seen.add(address)
    for name in group:
        if len(seen) + len(arrays) > MOST_NAMES:
            raise StoreError(
                f"{path}: refused: it has more than {MOST_NAMES:,} groups and data sets; expected "
                "the ids, and values and offsets of each stream"
            )
        where = f"{prefix}{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise StoreError(f"{path}: refused: {where} is a link, which may lead to another file")
        found = group[name]
        if isinstance(found, h5py.Group):
            if prefix.count("/") > 8:
                raise StoreError(f"{path}: groups are nested too deeply at {where}")
            _collect(found, f"{where}/", arrays, path, seen)
        elif isinstance(found, h5py.Dataset):
            if found.is_virtual or found.external:
                raise StoreError(f"{path}: refused: {where} has its data in another file")
            if found.shape is not None:  # h5py.Empty has a name but no numbers
                arrays[where] = found
