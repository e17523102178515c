"""Read a pickle of numbers, text, lists, dicts and numpy arrays, and nothing else.

No class or function that a pickle names is called: the few names that numpy's arrays need are
replaced by functions of this file, which copy bytes whose count was checked; any other name is
refused. The operations of the file are counted before any of them is done, so that ten bytes cannot
ask for gigabytes; what is read takes a few times the size of the file.
"""

import io
import pickle
import pickletools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from emo.errors import StoreError
from emo.machine.untrusted.budget import Budget

ALLOWED = "numbers, text, lists, tuples, dicts and numpy arrays of numbers or text"
"""Text, for error messages, on what a pickle may hold."""
_DTYPE = re.compile(r"([fiubUSO])(\d{1,6})|bool")
_PUTS = ("PUT", "BINPUT", "LONG_BINPUT")
"""Operations that number an object."""
_OBJECT_BYTES = 64
"""About how many bytes an operation takes."""
_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")


def read_pickle(path: Path, budget: Budget | None = None) -> Any:
    """Return the contents of a pickle.

    Args:
        path: the file.
        budget: bytes that may be taken; None: 16 GiB.

    Raises:
        StoreError: the file is not a pickle, is incomplete, or holds anything that is not allowed.
    """
    budget = budget or Budget(2**34, str(path), "--most-bytes", StoreError)
    with pickle_of_others(path):
        budget.take(path.stat().st_size, "the file")
        return unpickle(path.read_bytes(), path, budget)


def unpickle(data: bytes, path: Path, budget: Budget) -> Any:
    """Return the contents of the bytes of a pickle; within :func:`pickle_of_others`.

    Args:
        data: the pickle; its bytes are counted already.
        path: its file, for messages.
        budget: bytes that may be taken.
    """
    _check_operations(data, path, budget)
    return plain_object(Reader(io.BytesIO(data), path).load(), path)


@contextmanager
def pickle_of_others(path: Path) -> Iterator[None]:
    """Turn whatever reading a pickle raises into one line that names the file.

    Raises:
        StoreError: the block raised any exception.
    """
    try:
        yield
    except StoreError:
        raise
    except RecursionError as error:
        raise StoreError(f"{path}: its lists or dicts are nested too deeply") from error
    except MemoryError as error:
        raise StoreError(f"{path}: needs more memory than there is") from error
    except Exception as error:  # the bytes of a pickle can make it raise any exception
        raise StoreError(f"{path}: not a pickle of {ALLOWED}: {error!r:.200}") from error


def _check_operations(data: bytes, path: Path, budget: Budget) -> None:
    """Go through the operations of a pickle without doing them; raise StoreError for a bomb.

    The reader keeps a table of objects by number and makes room for the highest number at once:
    Python numbers them in order, so that a number above their count is no work of Python.
    """
    count = 0
    for operation, argument, _ in pickletools.genops(data):
        count += 1
        if operation.name in _PUTS and int(argument or 0) > count:
            raise StoreError(
                f"{path}: refused: its operation {count} numbers an object {argument}; Python "
                "does not write such a pickle"
            )
    budget.take(_OBJECT_BYTES * count, f"its {count:,} objects")


def cells_of_nested(value: Any) -> int:
    """Return how many cells a list of lists has, without going through equal lists twice."""
    known: dict[int, int] = {}

    def count(each: Any) -> int:
        if isinstance(each, np.ndarray):
            return int(each.size)
        if not isinstance(each, list | dict):
            return 1
        if id(each) not in known:
            known[id(each)] = 2**62  # of a list that holds itself
            inner = each.values() if isinstance(each, dict) else each
            known[id(each)] = 1 + sum(map(count, inner))
        return known[id(each)]

    return count(value)


class DTypeState:
    """A numpy dtype in the pickle, until its state is read."""

    def __init__(self, name: str) -> None:
        """Take the name, such as ``f4``."""
        self.name, self.order = name, "<"

    def __setstate__(self, state: Any) -> None:
        """Keep the byte order."""
        self.order = ">" if state[1] == ">" else "<"

    def made(self) -> np.dtype[Any]:
        """Return the dtype; raise ValueError for a type that is not allowed."""
        if not isinstance(self.name, str) or not _DTYPE.fullmatch(self.name):
            raise ValueError(f"numpy type {self.name!r}; expected {ALLOWED}")
        return np.dtype(self.name).newbyteorder(self.order)  # type: ignore[arg-type]


class ArrayState:
    """A numpy array in the pickle, until its state is read."""

    shape: tuple[int, ...] = ()
    dtype: DTypeState
    is_fortran = False
    data: Any = b""

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.dtype, self.is_fortran, self.data = state


class Reader(pickle.Unpickler):
    """Unpickler that maps the names in numpy's pickles to the functions below; refuses others."""

    def __init__(self, file: io.BytesIO, path: Path) -> None:
        """Take the bytes, and their path for messages."""
        super().__init__(file, encoding="latin1")  # Python 2 wrote the bytes of arrays as text
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name; refuse any other."""
        return stand_in(module, name, self._path)

    def persistent_load(self, pid: Any) -> Any:
        """Refuse objects outside of the file."""
        raise StoreError(f"{self._path}: refused: the pickle refers to objects outside of it")


def stand_in(module: str, name: str, path: Path) -> Any:
    """Return the function that stands for a name in a pickle; raise StoreError for any other."""
    found = _NAMES.get((module, name))
    if found is None:
        raise StoreError(
            f"{path}: refused: the pickle asks for {module}.{name}, and only {ALLOWED} "
            "are read. Ask its author for an .npz or .h5 file instead"
        )
    return found


def _new_array(*_: Any) -> ArrayState:
    return ArrayState()


def _new_dtype(name: Any, *_: Any) -> DTypeState:
    return DTypeState(name)


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> ArrayState:
    array = ArrayState()
    array.__setstate__((1, shape, dtype, order == "F", bytes(data)))
    return array


def _scalar(dtype: Any, data: Any = b"") -> ArrayState:
    array = ArrayState()
    array.__setstate__((1, (), dtype, False, data))
    return array


def _encode(text: str, *_: Any) -> bytes:
    return text.encode("latin1")


def _no_call(*_: Any) -> Any:
    raise ValueError("calls numpy.ndarray")


def _new_list(items: Any = ()) -> list[Any]:
    return list(items)


def _new_dict(items: Any = ()) -> dict[Any, Any]:
    return dict(items)


_NAMES: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _no_call,  # occurs as an argument only
    ("numpy", "dtype"): _new_dtype,
    ("_codecs", "encode"): _encode,  # protocols before 3 write bytes so
    **{(module, "bytes"): lambda: b"" for module in ("builtins", "__builtin__")},
    **{(module, "set"): _new_list for module in ("builtins", "__builtin__")},
    ("collections", "OrderedDict"): _new_dict,
    **{(module, "_reconstruct"): _new_array for module in _MODULES},
    **{(module, "scalar"): _scalar for module in _MODULES},
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
}


def plain_object(value: Any, path: Path) -> Any:
    """Convert what :class:`Reader` loaded to lists, dicts and arrays.

    Args:
        value: the object.
        path: the file, for messages.

    Raises:
        StoreError: it holds anything else.
    """
    return _plain(value, {}, path)


def _plain(value: Any, done: dict[int, Any], path: Path) -> Any:
    """Convert loaded objects to lists, dicts and arrays; each once, even if it occurs often."""
    if isinstance(value, bool | int | float | str | bytes | type(None)):
        return value
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, ArrayState):
        found: Any = _array(value, done, path)
    elif isinstance(value, set | frozenset):
        found = sorted((_plain(each, done, path) for each in value), key=repr)
    elif isinstance(value, list | tuple):
        found = done[id(value)] = []
        found.extend(_plain(each, done, path) for each in value)
    elif isinstance(value, dict):
        found = done[id(value)] = {}
        found.update((_plain(k, done, path), _plain(v, done, path)) for k, v in value.items())
    else:
        raise StoreError(f"{path}: refused: holds a {type(value).__name__}; expected {ALLOWED}")
    done[id(value)] = found
    return found


def _array(value: ArrayState, done: dict[int, Any], path: Path) -> Any:
    """Convert a loaded array to a numpy array, or to a Python number for shape ()."""
    dtype, shape = value.dtype.made(), tuple(int(size) for size in value.shape)
    if dtype.kind == "O":
        cells = _plain(value.data, done, path)
        array: Any = np.empty(len(cells), dtype=object)
        array[:] = cells
        return array.reshape(shape)
    data = value.data.encode("latin1") if isinstance(value.data, str) else value.data
    if min(shape, default=0) < 0:
        raise StoreError(f"{path}: an array of shape {shape}")
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if value.is_fortran else "C")
    return array.item() if shape == () else array
