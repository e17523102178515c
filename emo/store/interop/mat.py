"""mat: MATLAB's .mat files, of version 5 and 7.3; cells of matrices are ragged tokens.

Source: MATLAB "MAT-File Format"; version 7.3 is HDF5, whose arrays are stored transposed.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from emo.errors import StoreError
from emo.machine.untrusted.budget import Budget
from emo.store.exchange.contents import Contents
from emo.store.exchange.format import Format
from emo.store.exchange.hdf5_checks import collect_datasets
from emo.store.exchange.named_arrays import ArrayOptions, find_clips
from emo.store.exchange.per_clip import shape_of_tokens
from emo.store.exchange.readers.matlab5 import MatlabObject, matlab5_variables

_HEADER_BYTES = 128
_CELL_BYTES = 256
"""About how many bytes a cell takes beside its numbers."""


@dataclass(frozen=True)
class MatOptions(ArrayOptions):
    """Options for reading MATLAB's files."""

    transpose: bool = field(
        default=False,
        metadata={"help": "Matrices are (D, N), and those in cells (D, T): transpose them."},
    )


class Mat(Format):
    """Variables: ids (a cell of text, or numbers), X (N, D) or a cell of N matrices (T, D)."""

    extension = ".mat"
    can_write = False
    ReadOptions = MatOptions

    @contextmanager
    def read(self, path: Path, options: MatOptions) -> Iterator[Contents]:
        """Find the clips in the variables; objects such as tables and strings are left out."""
        budget = self.budget(path)
        with path.open("rb") as file:
            start = file.read(_HEADER_BYTES)
        if b"MATLAB 7.3" in start[:20] or start.startswith(b"\x89HDF"):
            with _opened(path) as opened:
                arrays, objects = _variables_73(opened, path, budget)
                yield _contents(arrays, objects, path, options, budget)
        else:
            if not start.startswith(b"MATLAB 5.0") or len(start) < _HEADER_BYTES:
                raise StoreError(f"{path}: not a .mat file of version 5 or 7.3")
            arrays, objects = _variables_5(path, budget)
            yield _contents(arrays, objects, path, options, budget)


def _contents(
    arrays: Mapping[str, Any],
    objects: list[str],
    path: Path,
    options: MatOptions,
    budget: Budget,
) -> Contents:
    """Return the clips in the variables."""
    named: dict[str, Any] = {}
    lines = ["vectors are labels or lengths, not tokens"]
    for name, value in arrays.items():
        if isinstance(value, list):
            value = _columns_as_tokens(name, value, options, lines)
            named |= _of_cells(name, value, path, options)
        elif len(value.shape) == 2 and 1 in value.shape:
            named[name] = _whole(np.asarray(value[:]).reshape(-1))
        elif options.transpose and len(value.shape) == 2:
            named[name] = np.asarray(value[:]).T
        else:
            named[name] = value
    try:
        found = find_clips(named, path, options, budget)
    except StoreError as error:
        hint = (
            f"; objects are not read ({', '.join(objects[:5])}): in MATLAB, cellstr(ids) and "
            "table2array make cells and matrices of them"
        ) if objects else ""  # fmt: skip
        raise StoreError(f"{error}{hint}") from error
    left = tuple(f"{name} (an object)" for name in objects)
    return Contents(
        found.ids, found.streams, cells=found.cells, ignored=(*found.ignored, *left),
        lines=tuple(lines),
    )  # fmt: skip


def _whole(vector: np.ndarray) -> np.ndarray:
    """Return a vector of whole numbers as int64: MATLAB's numbers are double by default."""
    if vector.dtype.kind != "f" or not (np.abs(vector) < 2**53).all():
        return vector
    whole = vector.astype(np.int64)
    return whole if (whole == vector).all() else vector


def _columns_as_tokens(
    name: str, cells: list[Any], options: MatOptions, lines: list[str]
) -> list[Any]:
    """Return cells of column vectors (D, 1), all of one D, as one token (1, D) each, with a line.

    MATLAB's vectors are columns; as matrices (T, D) they would be D tokens of one number.
    """
    shapes = {getattr(each, "shape", None) for each in cells}
    shape = next(iter(shapes), None)
    if len(cells) < 2 or len(shapes) > 1 or not shape or options.transpose:
        return cells
    if len(shape) != 2 or shape[1] != 1 or shape[0] == 1 or cells[0].dtype.kind not in "fiub":
        return cells
    lines.append(f"{name}: cells of column vectors {shape}: one token of {shape[0]} numbers each")
    return [each.T for each in cells]


def _of_cells(name: str, cells: list[Any], path: Path, options: MatOptions) -> dict[str, Any]:
    """Return a cell array as arrays of texts, or as values and offsets of N matrices."""
    if all(isinstance(each, str) for each in cells):
        texts = np.empty(len(cells), object)
        texts[:] = cells
        return {name: texts}
    if any(isinstance(each, str | list) or each.dtype.kind not in "fiub" for each in cells):
        return {}
    arrays = [each.T if options.transpose and each.ndim == 2 else each for each in cells]
    shapes = [
        shape_of_tokens(each.shape, f"{path}: {name}{{{k + 1}}}") if each.size else (0, 0)
        for k, each in enumerate(arrays)
    ]
    widths = {shape[1]: k for k, shape in reversed(list(enumerate(shapes))) if shape[0]}
    kinds = {each.dtype.name for each in arrays if each.size}
    if len(widths) > 1 or len(kinds) > 1:
        positions = ", ".join(f"{name}{{{k + 1}}} has {width}" for width, k in widths.items())
        raise StoreError(
            f"{path}: {name}: expected matrices (T, D) of one width and type; {positions}; "
            f"{', '.join(sorted(kinds))}; -o transpose=true if they are (D, T)"
        )
    if not widths:
        return {}
    width = next(iter(widths))
    values = [each.reshape(-1, width) for each in arrays if each.size]
    offsets = np.cumsum([0, *(shape[0] for shape in shapes)])
    return {f"{name}/values": np.concatenate(values), f"{name}/offsets": offsets}


def _variables_5(path: Path, budget: Budget) -> tuple[dict[str, Any], list[str]]:
    """Return the variables of version 5, and the names of those that are objects."""
    found: dict[str, Any] = {}
    objects: list[str] = []
    for name, value in matlab5_variables(path, budget).items():
        _flatten(name, value, found, objects)
    return found, objects


def _flatten(name: str, value: Any, found: dict[str, Any], objects: list[str]) -> None:
    """Add a variable; fields of a struct (1, 1) are added as NAME/FIELD."""
    if isinstance(value, MatlabObject):
        objects.append(name)
    elif isinstance(value, dict):
        for key, each in value.items():
            _flatten(f"{name}/{key}", each, found, objects)
    elif isinstance(value, list):
        found[name] = np.array([*value, None], object)[:-1]
    else:
        found[name] = [_cell(each) for each in value] if isinstance(value, tuple) else value


def _cell(value: Any) -> Any:
    """Return what is in a cell: text, or an array."""
    if isinstance(value, list):
        return value[0] if value else ""
    if isinstance(value, tuple) and len(value) == 1:
        return _cell(value[0])
    return value if isinstance(value, np.ndarray) else np.array(None, object)


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise StoreError(f"{path}: not a .mat file of version 7.3: {error}") from error
    with file:
        yield file


def _variables_73(file: h5py.File, path: Path, budget: Budget) -> tuple[dict[str, Any], list[str]]:
    """Return the variables of version 7.3, and the names of those that are objects."""
    found: dict[str, Any] = {}
    objects: list[str] = []
    every = collect_datasets(file, path, budget)
    for name, dataset in every.items():
        if name.startswith("#"):
            continue
        kind = _class_of(dataset)
        if "MATLAB_object_decode" in dataset.attrs or kind not in _CLASSES:
            objects.append(name)
        elif kind == "cell":
            found[name] = (
                [] if "MATLAB_empty" in dataset.attrs else _cells_73(file, dataset, budget)
            )
        elif kind == "char":
            found[name] = np.array(_lines(dataset), object)
        elif "MATLAB_empty" not in dataset.attrs:
            found[name] = _Transposed(dataset)
    return found, objects


_CLASSES = (
    "double", "single", "logical", "char", "cell", "int8", "uint8", "int16", "uint16", "int32",
    "uint32", "int64", "uint64",
)  # fmt: skip


def _class_of(dataset: Any) -> str:
    kind = dataset.attrs.get("MATLAB_class", b"double")
    return kind.decode("ascii", "replace") if isinstance(kind, bytes) else str(kind)


class _Transposed:
    """A data set whose axes are in MATLAB's order."""

    def __init__(self, dataset: Any) -> None:
        self._dataset, self.dtype = dataset, dataset.dtype
        self.shape = dataset.shape[::-1]

    def __getitem__(self, key: Any) -> np.ndarray:
        rows = key if isinstance(key, slice) else slice(None)
        return np.ascontiguousarray(self._dataset[..., rows].T)


def _cells_73(file: h5py.File, dataset: Any, budget: Budget) -> list[Any]:
    """Return what is in the cells, which refer to other data sets of the file."""
    found: list[Any] = []
    budget.take(dataset.size * _CELL_BYTES, "cells")
    for reference in np.asarray(dataset[()]).T.reshape(-1, order="F"):
        each = file[reference] if reference else None
        if not isinstance(each, h5py.Dataset) or _class_of(each) not in _CLASSES:
            found.append(np.array("", object))
        elif _class_of(each) == "char":
            found.append(next(iter(_lines(each)), ""))
        elif "MATLAB_empty" in each.attrs or _class_of(each) == "cell":
            found.append(np.zeros((0, 0)))
        else:
            budget.take(each.size * each.dtype.itemsize, "cells")
            found.append(np.asarray(each[()]).T)
    return found


def _lines(dataset: Any) -> list[str]:
    """Return the rows of a char matrix, which is stored as UTF-16 codes."""
    if "MATLAB_empty" in dataset.attrs or len(dataset.shape) != 2 or dataset.dtype.kind != "u":
        return []
    codes = np.ascontiguousarray(dataset[()].T.astype("<u2"))
    return [row.tobytes().decode("utf-16-le", "replace").rstrip() for row in codes]
