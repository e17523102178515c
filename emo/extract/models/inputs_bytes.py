"""Write the inputs of a clip as bytes and read them back bit by bit, with the memory layout.

A message is: 8 bytes of magic, uint32 version, uint32 length of the head, uint64 length of the
body (little-endian), the head as JSON, the body with the raw bytes of each array, and zeros up to
a multiple of 1,024 bytes. Messages that follow one another are the stretches of a long clip.
Nothing in a message can run code, and sizes are checked before memory is allocated.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from emo.errors import StoreError
from emo.extract.backbone import Prepared
from emo.machine.untrusted.documents import DocumentError, parse_checked
from emo.machine.untrusted.kinds import AnyJson, Fields, MapOf

ROW_BYTES = 1024
"""Length of a row: messages are stored as uint8 (T, 1024)."""
_MAGIC, _VERSION = b"emoinput", 1
_START = struct.Struct("<8sIIQ")
_ALIGNED = 64
_MOST_HEAD_BYTES = 2**24
_HEAD = Fields({"inputs": AnyJson(), "absent": MapOf(str), "notes": MapOf(float)})
_TYPES = {
    str(kind).removeprefix("torch."): kind
    for kind in (
        torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool, torch.uint8,
        torch.int8, torch.int16, torch.int32, torch.int64,
    )
}  # fmt: skip
"""Name of a type in the head -> the type."""
_LEAST_AXES = 3
"""Arrays with fewer axes (waveforms, ids) stay float32 where pictures become float16."""


def to_rows(prepared: Prepared, floats: Literal["float32", "float16"] = "float32") -> np.ndarray:
    """Write what a backbone's ``prepare`` returned as one message.

    Args:
        prepared: inputs of plain values: dicts, lists and tuples of tensors, arrays, numbers and
            texts.
        floats: type in which float32 arrays of three or more axes (pictures, spectrograms) are
            stored. float16 halves them, with an error of a thousandth; an array that it cannot
            hold stays float32.

    Returns:
        uint8 (T, 1024).

    Raises:
        TypeError: the inputs hold a value of another kind.
    """
    writer = _Writer(floats == "float16")
    tree = writer.node(dict(prepared.inputs))
    document = {"inputs": tree, "absent": dict(prepared.absent), "notes": dict(prepared.notes)}
    head = json.dumps(document, separators=(",", ":")).encode()
    start = _START.pack(_MAGIC, _VERSION, len(head), writer.size)
    flat = np.zeros(-(-(len(start) + len(head) + writer.size) // ROW_BYTES) * ROW_BYTES, np.uint8)
    flat[: len(start) + len(head)] = np.frombuffer(start + head, np.uint8)
    body = flat[len(start) + len(head) :]
    for offset, data in writer.arrays:
        body[offset : offset + len(data)] = data
    return flat.reshape(-1, ROW_BYTES)


def from_rows(rows: np.ndarray) -> Iterator[Prepared]:
    """Read the messages of one clip, one for each of its stretches in time order.

    Args:
        rows: uint8 (T, 1024).

    Raises:
        StoreError: the bytes are not messages of this version.
    """
    flat = np.ascontiguousarray(rows).reshape(-1)
    while len(flat):
        prepared, length = _read(flat)
        yield prepared
        flat = flat[length:]


def _read(flat: np.ndarray) -> tuple[Prepared, int]:
    """Read the first message; return it and its length in bytes, a multiple of a row."""
    if len(flat) < _START.size:
        raise StoreError(f"inputs of a clip: {len(flat)} bytes are too few")
    magic, version, head_bytes, body_bytes = _START.unpack(flat[: _START.size].tobytes())
    end = _START.size + head_bytes + body_bytes
    if magic != _MAGIC or version != _VERSION:
        raise StoreError(
            f"inputs of a clip: expected {_MAGIC!r} version {_VERSION}, got {magic!r} {version}"
        )
    if head_bytes > _MOST_HEAD_BYTES or end > len(flat):
        raise StoreError(f"inputs of a clip: {end} bytes are announced, {len(flat)} are there")
    head = flat[_START.size : _START.size + head_bytes].tobytes()
    try:
        document = parse_checked(head, _HEAD, most_bytes=_MOST_HEAD_BYTES)
        inputs = _value(document["inputs"], flat[_START.size + head_bytes : end])
    except (DocumentError, KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise StoreError(f"inputs of a clip are damaged: {error!r:.200}") from error
    if not isinstance(inputs, dict):
        raise StoreError("inputs of a clip are damaged: expected named arrays")
    prepared = Prepared(inputs, document["absent"], document["notes"])
    return prepared, -(-end // ROW_BYTES) * ROW_BYTES


class _Writer:
    """Describes values as JSON, and collects the bytes of their arrays."""

    def __init__(self, is_half: bool) -> None:
        self._is_half = is_half
        self.arrays: list[tuple[int, np.ndarray]] = []
        """Position in the body and bytes of each array."""
        self.size = 0
        """Length of the body in bytes."""

    def node(self, value: Any) -> Any:
        """Describe a value of nested dicts, lists, tuples, tensors, arrays and plain values."""
        if isinstance(value, Mapping):
            return {"dict": {str(name): self.node(each) for name, each in value.items()}}
        if isinstance(value, list | tuple):
            kind = "list" if isinstance(value, list) else "tuple"
            return {kind: [self.node(each) for each in value]}
        if isinstance(value, Tensor):
            return {"tensor": self._array(value)}
        if isinstance(value, np.ndarray):
            return {"array": self._array(torch.from_numpy(np.ascontiguousarray(value)))}
        if value is None or type(value) in (bool, int, float, str):
            return {"value": value}
        raise TypeError(f"inputs of type {type(value).__name__} cannot be stored")

    def _array(self, tensor: Tensor) -> dict[str, Any]:
        """Add the bytes of an array to the body, in the order of its memory."""
        strides: tuple[int, ...] = tensor.stride()
        order = sorted(range(tensor.ndim), key=lambda axis: (-strides[axis], axis))
        dense = tensor.detach().permute(order).contiguous()
        stored = self._halved(dense)
        data = stored.reshape(-1).view(torch.uint8).numpy()
        offset, self.size = self.size, self.size + -(-len(data) // _ALIGNED) * _ALIGNED
        self.arrays.append((offset, data))
        kinds = [str(each.dtype).removeprefix("torch.") for each in (dense, stored)]
        if not set(kinds) <= set(_TYPES):
            raise TypeError(f"inputs of type {kinds[0]} cannot be stored")
        return {"type": kinds[0], "stored": kinds[1], "shape": list(dense.shape),
                "order": order, "offset": offset}  # fmt: skip

    def _halved(self, dense: Tensor) -> Tensor:
        if not self._is_half or dense.dtype != torch.float32 or dense.ndim < _LEAST_AXES:
            return dense
        half = dense.half()
        return half if bool(half.isfinite().all()) else dense


def _value(node: Any, body: np.ndarray) -> Any:
    """Build the value that a node of the head describes."""
    ((kind, content),) = node.items()
    if kind == "dict":
        return {name: _value(each, body) for name, each in content.items()}
    if kind in ("list", "tuple"):
        every = [_value(each, body) for each in content]
        return every if kind == "list" else tuple(every)
    if kind in ("tensor", "array"):
        tensor = _tensor(content, body)
        return tensor if kind == "tensor" else tensor.numpy()
    if kind != "value":
        raise ValueError(f"unknown kind {kind!r:.40}")
    return content


def _tensor(entry: Any, body: np.ndarray) -> Tensor:
    """Copy one array out of the body."""
    spec = _Spec(**entry)
    kind, stored = _TYPES[spec.type], _TYPES[spec.stored]
    if sorted(spec.order) != list(range(len(spec.shape))) or min(spec.shape, default=0) < 0:
        raise ValueError(f"not a shape: {spec}")
    length = prod(spec.shape) * stored.itemsize
    if spec.offset < 0 or spec.offset + length > len(body):
        raise ValueError(f"{length} bytes at {spec.offset} of {len(body)}")
    data = torch.from_numpy(body[spec.offset : spec.offset + length].copy())
    dense = data.view(stored).reshape(spec.shape).to(kind)
    back = sorted(range(len(spec.order)), key=spec.order.__getitem__)
    return dense.permute(back)


@dataclass(frozen=True)
class _Spec:
    """Entry of an array in the head."""

    type: str
    """Type of the array that is read."""
    stored: str
    """Type of its bytes in the body."""
    shape: list[int]
    """Lengths of the axes in the order of memory."""
    order: list[int]
    """For each axis in memory the axis of the array."""
    offset: int
    """Position in the body."""
