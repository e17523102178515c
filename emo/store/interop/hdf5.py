"""hdf5: a group for each stream, ragged by offsets; readable from Matlab, R, Julia and C."""

import json
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
from emo.store.exchange.hdf5_checks import collect_datasets
from emo.store.exchange.named_arrays import ArrayOptions, find_clips
from emo.store.exchange.patient_file import PatientFile


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
            budget = self.budget(path)
            arrays = collect_datasets(file, path, budget)
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
