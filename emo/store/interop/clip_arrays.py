"""clip_arrays: an .h5, .npz or pickled dict that has an array for each clip, under its id."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from emo.errors import StoreError
from emo.machine.untrusted.budget import Budget
from emo.store.exchange.contents import Contents
from emo.store.exchange.format import Format
from emo.store.exchange.hdf5_checks import collect_datasets
from emo.store.exchange.labels import cell_text
from emo.store.exchange.named_arrays import ids_as_text
from emo.store.exchange.npy_headers import npz_members
from emo.store.exchange.patient_file import PatientFile
from emo.store.exchange.per_clip import (
    ClipArray,
    array_of,
    leave_out_labels,
    resident,
    streams_of_clips,
    take_labels,
)
from emo.store.exchange.readers.unjoblib import is_pickle, object_array, read_any_pickle

_MOST_CLIPS = 5_000_000


@dataclass(frozen=True)
class ClipArrayOptions:
    """Options for reading an array for each clip."""

    stream: str = field(
        default="features", metadata={"help": "Name of the stream where ids have no streams."}
    )
    streams_first: bool = field(
        default=False,
        metadata={"help": "Names are STREAM/ID instead of ID or ID/STREAM."},
    )


class ClipArrays(Format):
    """An array (T, D) or (D,) called ID for each clip, or ID/STREAM; single values are labels."""

    extension = ".h5"
    keeps_all = False
    may_be_pickle = True
    ReadOptions = ClipArrayOptions

    @contextmanager
    def read(self, path: Path, options: ClipArrayOptions) -> Iterator[Contents]:
        """Find the clips by the names of the arrays; their numbers are read when they are used."""
        budget = self.budget(path)
        with path.open("rb") as file:
            start = file.read(8)
        if start.startswith(b"\x93NUMPY") or is_pickle(path, start):
            yield self._dict(path, budget, options)
            return
        if start.startswith(b"PK"):
            yield _contents(*_npz(path, budget), options, path)
            return
        try:
            opened = h5py.File(path, "r")
        except OSError as error:
            raise StoreError(
                f"{path}: neither an HDF5 file nor an .npz or pickle: {error}"
            ) from error
        with opened:
            yield _contents(*_hdf5(opened, path, budget), options, path)

    def _dict(self, path: Path, budget: Budget, options: ClipArrayOptions) -> Contents:
        """Return the clips of a pickled dict {ID: array} or {ID: {STREAM: array}}."""
        if not self.allow_pickle:
            raise self.pickle_error(path)
        value: Any = (
            object_array(path, budget) if path.suffix == ".npy" else read_any_pickle(path, budget)
        )
        value = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
        if not isinstance(value, dict):
            raise StoreError(f"{path}: expected a dict of arrays, got {type(value).__name__}")
        streams: dict[str, dict[str, ClipArray]] = {}
        cells: dict[str, dict[str, str]] = {}
        named = dict(zip(ids_as_text(value), value.values(), strict=True))
        lines = leave_out_labels(named, str(path))
        for clip_id, found in named.items():
            members = found if isinstance(found, dict) else {options.stream: found}
            for name, each in members.items():
                if isinstance(each, np.ndarray | list):
                    array = resident(np.asarray(each), f"{path}: {clip_id}")
                    streams.setdefault(str(name), {})[clip_id] = array
                else:
                    cells.setdefault(clip_id, {})[str(name)] = cell_text(each)
        return _of_streams(streams, cells, options, path, lines)

    def write(self, contents: Contents, path: Path, options: Any) -> None:
        """Write an HDF5 file with the data set ID/STREAM for each clip and stream."""
        for name in (*contents.ids, *contents.streams):
            if "/" in name or name in (".", ".."):
                raise StoreError(f"{name!r}: names in this file have no /; choose another format")
        with PatientFile(path) as disk:
            with h5py.File(disk, "w", libver=("v110", "latest")) as file:
                for name, rows in contents.streams.items():
                    for first, ragged in rows.blocks():
                        for row, tokens in enumerate(ragged, start=first):
                            if len(tokens):
                                file[f"{contents.ids[row]}/{name}"] = tokens
                        disk.check()
                for clip_id in contents.ids:
                    for column, cell in contents.cells.get(clip_id, {}).items():
                        if cell:
                            file[clip_id].attrs[column] = cell
            disk.check()


_Found = tuple[dict[str, ClipArray], dict[str, str]]
"""Name -> array, and name -> single value."""


def _npz(path: Path, budget: Budget) -> _Found:
    """Return the members of an .npz."""
    arrays, values = {}, {}
    opened = np.load(path, allow_pickle=False)
    for name, (shape, dtype) in npz_members(path, budget).items():
        if shape == () or dtype.kind in "SU":
            values[name] = _joined(opened[name])
        else:
            read = partial(opened.__getitem__, name)
            arrays[name] = array_of(shape, dtype, read, f"{path}: {name}")
    return arrays, values


def _joined(words: np.ndarray) -> str:
    """Return the texts of an array, such as the words of a clip, as one cell."""
    return " ".join(map(cell_text, words.reshape(-1)))


def _hdf5(file: h5py.File, path: Path, budget: Budget) -> _Found:
    """Return the data sets of an HDF5 file, and the attributes of its groups."""
    arrays, values = {}, {}
    groups = set()
    for name, dataset in collect_datasets(file, path, budget, most_names=_MOST_CLIPS).items():
        groups.add(name.rpartition("/")[0])
        if h5py.check_string_dtype(dataset.dtype) is not None:
            values[name] = _joined(np.asarray(dataset.asstr()[()]))
        elif dataset.shape == ():
            values[name] = cell_text(dataset[()])
        else:
            read = partial(dataset.__getitem__, ())
            arrays[name] = array_of(dataset.shape, dataset.dtype, read, f"{path}: {name}")
    for group in groups - {""}:
        for key, value in file[group].attrs.items():
            if np.ndim(value) == 0:
                values[f"{group}/{key}"] = cell_text(value)
    return arrays, values


def _contents(
    arrays: dict[str, ClipArray],
    values: Mapping[str, str],
    options: ClipArrayOptions,
    path: Path,
) -> Contents:
    """Return the clips whose arrays and labels have these names."""
    lines = leave_out_labels(arrays, str(path))
    if not arrays:
        raise StoreError(f"{path}: holds no array of tokens")
    depths = {name.count("/") for name in arrays}
    if len(depths) > 1 or max(depths) > 1:
        names = ", ".join(list(arrays)[:4])
        raise StoreError(
            f"{path}: expected arrays called ID, or ID/STREAM, found {names} …; "
            "`emo store import hdf5` and npz read arrays of many clips"
        )
    streams: dict[str, dict[str, ClipArray]] = {}
    for name, array in arrays.items():
        clip_id, stream = _split(name, options)
        streams.setdefault(stream or options.stream, {})[clip_id] = array
    cells: dict[str, dict[str, str]] = {}
    for name, value in values.items():
        clip_id, column = _split(name, options)
        if column:
            cells.setdefault(clip_id, {})[column] = value
    if unread := [name for name in values if not _split(name, options)[1]]:
        lines.append(f"text and single values of no clip, left out: {', '.join(unread[:10])}")
    return _of_streams(streams, cells, options, path, lines)


def _of_streams(
    streams: dict[str, dict[str, ClipArray]],
    cells: dict[str, dict[str, str]],
    options: ClipArrayOptions,
    path: Path,
    lines: list[str],
) -> Contents:
    """Return the clips of these streams; arrays that are called as labels are become cells."""
    lines = lines + take_labels(streams, cells, options.stream)
    if not streams:
        raise StoreError(f"{path}: holds labels alone")
    ids = list(dict.fromkeys(i for found in streams.values() for i in found))
    known = {i: cells.get(i, {}) for i in ids} if cells else {}
    lines.insert(0, f"ids: names of the arrays, such as {ids[0]}")
    return Contents(ids, streams_of_clips(streams, ids, {}), cells=known, lines=tuple(lines))


def _split(name: str, options: ClipArrayOptions) -> tuple[str, str]:
    """Return id and stream in the name of an array; an empty stream: the name has none."""
    first, _, second = name.partition("/")
    return (second, first) if options.streams_first and second else (first, second)
