"""Read a file of joblib: a pickle between whose operations the bytes of arrays lie.

The names that the pickle asks for are held against the list of unpickle.py, so that no function of
another package is called; the bytes of an array are read by its shape and dtype.
"""

import bz2
import io
import lzma
import math
import pickle
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from emo.errors import StoreError
from emo.machine.untrusted.budget import Budget
from emo.store.exchange.unpickle import (
    ArrayState,
    DTypeState,
    pickle_of_others,
    plain_object,
    stand_in,
    unpickle,
)

_WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
_BYTES = 64
"""About how many bytes of memory a byte of the pickle can take."""
_PIECE_BYTES = 2**20
_DECODERS: dict[bytes, Callable[[], Any]] = {
    b"\x78": zlib.decompressobj, b"\x1f\x8b": lambda: zlib.decompressobj(31),
    b"BZ": bz2.BZ2Decompressor, b"\xfd7z": lzma.LZMADecompressor,
    b"\x5d\x00": lzma.LZMADecompressor,
}  # fmt: skip
"""First bytes of a compressed file -> its decoder: joblib's zlib, gzip, bz2, xz and lzma."""
COMPRESSED = tuple(_DECODERS)
"""First bytes of the compressed files that are read."""

_ENDINGS = (".pkl", ".pickle", ".p", ".joblib")
"""Endings of pickles."""


def is_pickle(path: Path, start: bytes) -> bool:
    """Return whether a file is a pickle or one of joblib, by its first bytes or its ending.

    Pickles of the protocols 0 and 1, which Python 2 wrote, have no first bytes of their own.
    """
    return start.startswith((b"\x80", *COMPRESSED)) or path.suffix.lower() in _ENDINGS


def read_any_pickle(path: Path, budget: Budget) -> Any:
    """Return the contents of a pickle or a file of joblib, compressed or not.

    Args:
        path: the file.
        budget: bytes that may be taken.

    Raises:
        StoreError: it is no such file, is incomplete, or holds anything that is not allowed.
    """
    with pickle_of_others(path):
        data = _decoded(path, budget)
        if b"NumpyArrayWrapper" not in data:
            return unpickle(data, path, budget)
        return plain_object(_Reader(_Counted(data, budget), path, budget).load(), path)


def _decoded(path: Path, budget: Budget) -> bytes:
    """Return the bytes of a file once they are decompressed."""
    raw = path.read_bytes()
    decoder = next((each for start, each in _DECODERS.items() if raw.startswith(start)), None)
    if decoder is None:
        budget.take(len(raw), "the file")
        return raw
    engine, pieces = decoder(), []
    for start in range(0, len(raw), _PIECE_BYTES):
        rest = raw[start : start + _PIECE_BYTES]
        while rest or not getattr(engine, "needs_input", True):
            piece = engine.decompress(rest, _PIECE_BYTES)
            budget.take(len(piece), "the file, decompressed")
            pieces.append(piece)
            rest = getattr(engine, "unconsumed_tail", b"")
            if engine.eof or not (piece or rest):
                break
        if engine.eof:
            break
    if not engine.eof:
        raise StoreError(f"{path}: ends in the middle of its compressed data; copy it once more")
    return b"".join(pieces)


class _Counted(io.BytesIO):
    """Bytes of a pickle; those that become Python objects are counted as they are read."""

    def __init__(self, data: bytes, budget: Budget) -> None:
        super().__init__(data)
        self._budget = budget

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        self._budget.take(_BYTES * len(found), "its objects")
        return found

    def readline(self, size: int | None = -1) -> bytes:
        found = super().readline(size)
        self._budget.take(_BYTES * len(found), "its objects")
        return found

    def cells(self, size: int) -> bytes:
        """Return the bytes of an array, of which no objects are made."""
        self._budget.take(size, "an array")
        return super().read(size)


class _Wrapper:
    """What joblib writes in place of an array: its shape and dtype; the bytes follow."""

    state: Any = None


class _Reader(pickle._Unpickler):
    """Python's own unpickler in Python, of which BUILD is replaced: it reads the arrays."""

    dispatch: ClassVar[dict[Any, Any]] = dict(pickle._Unpickler.dispatch)

    def __init__(self, file: _Counted, path: Path, budget: Budget) -> None:
        super().__init__(file, encoding="latin1")
        self._bytes, self._path, self._budget = file, path, budget

    def find_class(self, module: str, name: str) -> Any:
        return _Wrapper if (module, name) == _WRAPPER else stand_in(module, name, self._path)

    def persistent_load(self, pid: Any) -> Any:
        raise StoreError(f"{self._path}: refused: the pickle refers to objects outside of it")

    def load_build(self) -> None:
        """Give an object its state; in place of a wrapper, put the array that follows."""
        stack: list[Any] = self.stack  # type: ignore[attr-defined]
        state, target = stack.pop(), stack[-1]
        if isinstance(target, _Wrapper):
            stack[-1] = self._array(state)
        elif isinstance(target, ArrayState | DTypeState):
            target.__setstate__(state)
        else:
            raise ValueError(f"sets the state of a {type(target).__name__}")

    dispatch[pickle.BUILD[0]] = load_build

    def _array(self, state: dict[str, Any]) -> Any:
        """Read the array that a wrapper announces."""
        shape, dtype = tuple(int(size) for size in state["shape"]), state["dtype"].made()
        if dtype.kind == "O":
            return _Reader(self._bytes, self._path, self._budget).load()
        if min(shape, default=0) < 0:
            raise ValueError(f"an array of shape {shape}")
        if state.get("numpy_array_alignment_bytes") is not None:
            self._bytes.cells(int.from_bytes(self._bytes.cells(1), "little"))
        found = ArrayState()
        data = self._bytes.cells(math.prod(shape) * dtype.itemsize)
        found.__setstate__((1, shape, state["dtype"], state["order"] == "F", data))
        return found


def object_array(path: Path, budget: Budget) -> np.ndarray:
    """Return the array of an .npy file whose cells are Python objects.

    Args:
        path: the file.
        budget: bytes that may be taken.

    Raises:
        StoreError: it is no such file, or holds anything that is not allowed.
    """
    with pickle_of_others(path), path.open("rb") as file:
        return _object_array(file, path, budget)


def object_members(path: Path, budget: Budget) -> dict[str, np.ndarray]:
    """Return name -> array of the arrays of objects in an .npz.

    Raises:
        StoreError: it is no such file, or holds anything that is not allowed.
    """
    with pickle_of_others(path), zipfile.ZipFile(path) as archive:
        found = {}
        for info in archive.infolist():
            budget.check(info.file_size, info.filename[:60])
            with archive.open(info) as member:
                name = info.filename.removesuffix(".npy")
                found[name] = _object_array(member, path, budget)
        return found


def _object_array(file: Any, path: Path, budget: Budget) -> np.ndarray:
    """Return the array of the bytes of an .npy file: a header and a pickle."""
    version = np.lib.format.read_magic(file)
    is_short = version == (1, 0)
    read = np.lib.format.read_array_header_1_0 if is_short else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if not dtype.hasobject:
        raise ValueError(f"an array of {dtype}")
    data = file.read()
    budget.take(len(data), "the file")
    found = unpickle(data, path, budget)
    if shape == () and not isinstance(found, np.ndarray):
        cell = found
        found = np.empty((), object)
        found[()] = cell
    if not isinstance(found, np.ndarray) or found.shape != shape:
        raise ValueError(f"an array of shape {shape}")
    return found
