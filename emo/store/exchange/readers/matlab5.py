"""Read the variables of a MATLAB file of version 5, with every size held against the bytes there.

Source: MATLAB "MAT-File Format", version 5. scipy's reader is not used: a damaged size makes it
read outside of its memory, which ends the process.
"""

import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emo.errors import StoreError
from emo.machine.untrusted.budget import Budget

_NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
"""Type of an element -> type of its numbers."""
_CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
"""Class of a matrix -> type of its cells."""
_TEXTS = {2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR, _OPAQUE = 1, 2, 4, 17
_COMPLEX, _LOGICAL = 0x800, 0x200
_HEADER_BYTES = 128
_DEEPEST = 16
_CELL_BYTES = 512
"""About how many bytes a cell takes beside its numbers."""


@dataclass(frozen=True)
class MatlabObject:
    """A variable that is not read: an object, a function, a sparse or complex matrix."""

    what: str


def matlab5_variables(path: Path, budget: Budget) -> dict[str, Any]:
    """Return name -> variable.

    A variable is an array of numbers; a list of the texts in the rows of a char matrix; a tuple
    of what is in the cells of a cell array, by columns; a dict of the fields of a struct (1, 1); or
    a :class:`MatlabObject`.

    Args:
        path: the file.
        budget: bytes that may be taken; those of compressed variables count as they are decoded.

    Raises:
        StoreError: it is no such file, was cut off, or takes too many bytes.
    """
    budget.take(path.stat().st_size, "the file")
    data = path.read_bytes()
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None or not data.startswith(b"MATLAB 5.0"):
        raise StoreError(f"{path}: not a .mat file of version 5")
    found: dict[str, Any] = {}
    top = _Bytes(memoryview(data)[_HEADER_BYTES:], order, path)
    while top.left:
        kind, body = top.element(is_padded=False)
        if kind == _COMPRESSED:
            inner = _Bytes(memoryview(_decoded(body, path, budget)), order, path)
            kind, body = inner.element()
        if kind == _MATRIX:
            name, value = _matrix(_Bytes(body, order, path), budget, 0)
            if name:
                found[name] = value
    return found


class _Bytes:
    """Bytes that are read from the front; no more than there are."""

    def __init__(self, data: memoryview, order: str, path: Path) -> None:
        self.data, self.order, self.path = data, order, path

    @property
    def left(self) -> int:
        return len(self.data)

    def take(self, size: int) -> memoryview:
        if size > len(self.data):
            raise StoreError(f"{self.path}: a variable has fewer bytes than it says; it is damaged")
        found, self.data = self.data[:size], self.data[size:]
        return found

    def element(self, *, is_padded: bool = True) -> tuple[int, memoryview]:
        """Return type and bytes of the next element."""
        first, second = np.frombuffer(self.take(8), f"{self.order}u4").tolist()
        if first >> 16:  # up to 4 bytes stand in the tag itself
            size, kind = first >> 16, first & 0xFFFF
            if size > 4:
                raise StoreError(f"{self.path}: a variable is damaged: {size} bytes in a tag")
            packed = np.array([second], f"{self.order}u4").tobytes()
            return kind, memoryview(packed)[:size]
        body = self.take(second)
        if is_padded or first not in (_COMPRESSED, _MATRIX):
            self.take(min(-second % 8, self.left))
        return first, body

    def numbers(self) -> np.ndarray:
        """Return the next element as numbers."""
        kind, body = self.element()
        if kind not in _NUMBERS:
            raise StoreError(f"{self.path}: a variable is damaged: type {kind} for numbers")
        dtype = np.dtype(_NUMBERS[kind]).newbyteorder(self.order)  # type: ignore[arg-type]
        whole = len(body) - len(body) % dtype.itemsize
        return np.frombuffer(body[:whole], dtype)


def _matrix(source: _Bytes, budget: Budget, depth: int) -> tuple[str, Any]:
    """Return name and value of a matrix."""
    if not source.left:
        return "", np.zeros((0, 0))
    if depth > _DEEPEST:
        raise StoreError(f"{source.path}: its cells are nested too deeply")
    flags = source.numbers()
    kind = int(flags[0]) & 0xFF if len(flags) else 0
    if kind not in (_CELL, _STRUCT, _CHAR, *_CLASSES):
        if kind != _OPAQUE:
            source.numbers()  # the shape
        return _text(source.element()[1]), MatlabObject("an object")
    shape = tuple(source.numbers().tolist())
    name = _text(source.element()[1])
    if len(shape) < 2 or min(shape) < 0 or math.prod(shape) > 2**48:
        raise StoreError(f"{source.path}: {name or 'a cell'} is damaged: shape {shape}")
    if kind == _CELL:
        return name, _cells(source, math.prod(shape), budget, depth)
    if kind == _STRUCT:
        return name, _struct(source, shape, budget, depth)
    if kind == _CHAR:
        return name, _chars(source, shape)
    if int(flags[0]) & _COMPLEX:
        return name, MatlabObject("complex numbers")
    numbers = source.numbers()
    if len(numbers) != math.prod(shape):
        raise StoreError(
            f"{source.path}: {name or 'a cell'} is damaged: {len(numbers)} numbers for {shape}"
        )
    target = "?" if int(flags[0]) & _LOGICAL else _CLASSES[kind]
    budget.take(len(numbers) * np.dtype(target).itemsize, name or "a cell")
    return name, numbers.astype(target).reshape(shape, order="F")


def _cells(source: _Bytes, count: int, budget: Budget, depth: int) -> tuple[Any, ...]:
    """Return what is in the cells."""
    if 8 * count > source.left:
        raise StoreError(f"{source.path}: a cell array has fewer cells than it says")
    budget.take(_CELL_BYTES * count, "cells")
    return tuple(_inner(source, budget, depth) for _ in range(count))


def _inner(source: _Bytes, budget: Budget, depth: int) -> Any:
    kind, body = source.element()
    if kind != _MATRIX:
        raise StoreError(f"{source.path}: a variable is damaged: type {kind} for a cell")
    return _matrix(_Bytes(body, source.order, source.path), budget, depth + 1)[1]


def _struct(source: _Bytes, shape: tuple[int, ...], budget: Budget, depth: int) -> Any:
    """Return the fields of a struct (1, 1)."""
    width = source.numbers()
    names = bytes(source.element()[1])
    step = int(width[0]) if len(width) else 0
    if step < 1 or math.prod(shape) != 1:
        return MatlabObject("an array of structs")
    fields = [_text(names[k : k + step]) for k in range(0, len(names), step)]
    values = _cells(source, len(fields), budget, depth)
    return dict(zip(fields, values, strict=True))


def _chars(source: _Bytes, shape: tuple[int, ...]) -> list[str]:
    """Return the rows of a char matrix, without blanks at their ends."""
    kind, body = source.element()
    if kind not in _TEXTS or len(shape) != 2:
        return []
    wide = _TEXTS[kind]
    end = {"<": "-le", ">": "-be"}[source.order] if wide in ("utf-16", "utf-32") else ""
    letters = bytes(body).decode(wide + end, "replace")
    rows, columns = shape
    if not rows or len(letters) < rows * columns:
        return [letters.rstrip()] if rows == 1 else []
    return [letters[row : rows * columns : rows].rstrip() for row in range(rows)]


def _text(data: Any) -> str:
    return bytes(data).split(b"\0")[0].decode("latin-1")


def _decoded(body: memoryview, path: Path, budget: Budget) -> bytes:
    """Return the bytes of a compressed element."""
    decoder, pieces, rest = zlib.decompressobj(), [], bytes(body)
    try:
        while rest and not decoder.eof:
            piece = decoder.decompress(rest, 2**20)
            budget.take(len(piece), "a variable, decompressed")
            pieces.append(piece)
            rest = decoder.unconsumed_tail
    except zlib.error as error:
        raise StoreError(f"{path}: a compressed variable is damaged: {error}") from error
    return b"".join(pieces)
