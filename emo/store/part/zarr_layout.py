"""Zarr v3 documents of a part, and the shard layout in which its tokens are one raw array.

``values`` is one shard of full-width inner chunks with the ``bytes`` codec: the bytes of the shard
are the array in C order, then the rows that pad the last chunk, then the index.
"""

import json
import struct
from collections.abc import Mapping
from functools import cache
from typing import Any

import google_crc32c
import numpy as np

from emo.errors import StoreError
from emo.machine.untrusted.documents import shortened

FORMAT_VERSION = 1
"""Version of the part format; raised when readers of the last version cannot read new parts."""
CHUNK_BYTES = 2**20
"""About how many bytes of tokens share one checksum and one entry of the shard index."""
SHARD_ENTRY_BYTES = 16
"""Bytes of a chunk's entry in the index of a shard."""
_ENTRY_BYTES = SHARD_ENTRY_BYTES + 4  # and 4 in crc32c
_LAYOUT_FIELDS = (
    "zarr_format", "node_type", "shape", "data_type", "chunk_grid", "chunk_key_encoding", "codecs",
)  # fmt: skip


@cache
def stored_dtype(name: str) -> np.dtype[Any]:
    """Return the little-endian numpy dtype of a stored stream; Zarr uses the same name.

    Raises:
        StoreError: ``name`` is not a plain number type.
    """
    try:
        dtype = np.dtype(name)
    except (TypeError, ValueError, SyntaxError):  # numpy parses text such as "(1,"
        dtype = np.dtype(object)
    if dtype.kind not in "fiub" or dtype.itemsize > 8 or dtype.subdtype:
        words = shortened(repr(name), 60)
        raise StoreError(f"dtype {words}: expected bool, int8 … uint64, float16, 32 or 64")
    return dtype.newbyteorder("<")


def chunk_rows(rows: int, row_bytes: int, chunk_bytes: int | None = None) -> int:
    """Choose the rows of an inner chunk: about 1 MiB, with little padding in the last chunk.

    Equal chunks of ``ceil(rows / chunks)`` rows need less than one row of padding each. For rows of
    many kilobytes (face crops) that is still 1 % of the file, so slightly smaller chunks are tried.

    >>> chunk_rows(43_690, 1536)  # 64 MiB of 768 float16: 66 chunks, 2 rows of padding
    662

    Args:
        rows: tokens of the stream in the part.
        row_bytes: size of one token.
        chunk_bytes: wanted size of a chunk; None: ``CHUNK_BYTES``.
    """
    chunks = max(1, round(rows * row_bytes / (chunk_bytes or CHUNK_BYTES)))
    most = -(-rows // chunks)
    tried = np.arange(max(1, most - 64), most + 1)[::-1]
    overhead = -rows % tried * row_bytes + -(-rows // tried) * _ENTRY_BYTES
    return int(tried[overhead.argmin()])


def group_document(attributes: Mapping[str, Any]) -> bytes:
    """Return the bytes of a group's ``zarr.json``, in plain ASCII."""
    return _dump({"zarr_format": 3, "node_type": "group", "attributes": attributes})


def array_document(
    shape: tuple[int, ...], dtype: np.dtype[Any], *, rows: int | None = None
) -> dict[str, Any]:
    """Return the contents of an array's ``zarr.json``.

    Args:
        shape: shape of the array.
        dtype: dtype of a cell.
        rows: rows of an inner chunk, for an array in one shard; None: one plain chunk.
    """
    codecs: list[dict[str, Any]] = [_bytes_codec(dtype)]
    outer = list(shape)
    if rows is not None:
        inner = [rows, *shape[1:]]
        outer = [-(-shape[0] // rows) * rows, *shape[1:]]
        codecs = [{"name": "sharding_indexed", "configuration": _sharding(inner, codecs)}]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": _name(dtype),
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": outer}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": False if dtype.kind == "b" else 0,
        "codecs": codecs,
        "attributes": {},
    }


def dump_document(document: Mapping[str, Any]) -> bytes:
    """Return the bytes of a ``zarr.json``."""
    return _dump(document)


def shard_index(chunks: int, chunk_bytes: int) -> bytes:
    """Return the last bytes of a shard: position and size of each inner chunk, then a CRC-32C."""
    table = np.empty((chunks, 2), dtype="<u8")
    table[:, 0] = np.arange(chunks, dtype=np.uint64) * np.uint64(chunk_bytes)
    table[:, 1] = chunk_bytes
    index = table.tobytes()
    return index + struct.pack("<I", google_crc32c.value(index))


def is_plain(document: Mapping[str, Any]) -> bool:
    """Return whether an array is stored as one chunk of raw bytes, readable without Zarr."""
    return _agrees(document, None)


def inner_rows(document: Mapping[str, Any]) -> int | None:
    """Return the rows of an inner chunk of an array in one shard of raw chunks, else None."""
    try:
        rows = document["codecs"][0]["configuration"]["chunk_shape"][0]
    except (KeyError, IndexError, TypeError):
        return None
    is_count = type(rows) is int and rows > 0
    return int(rows) if is_count and _agrees(document, rows) else None


def _agrees(document: Mapping[str, Any], rows: int | None) -> bool:
    """Return whether the array is stored just as this version would store it."""
    try:
        shape = tuple(document["shape"])
        if not all(type(size) is int and size >= 0 for size in shape):
            return False
        ours = array_document(shape, stored_dtype(document["data_type"]), rows=rows)
    except (KeyError, TypeError, ValueError, StoreError):
        return False
    if document.get("storage_transformers"):
        return False
    return all(document.get(name) == ours[name] for name in _LAYOUT_FIELDS)


def _sharding(inner: list[int], codecs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "chunk_shape": inner,
        "codecs": codecs,
        "index_codecs": [_bytes_codec(np.dtype("<u8")), {"name": "crc32c"}],
        "index_location": "end",
    }


@cache
def _name(dtype: np.dtype[Any]) -> str:
    return dtype.name  # cached: numpy needs 5 µs for it


def _bytes_codec(dtype: np.dtype[Any]) -> dict[str, Any]:
    if dtype.itemsize == 1:  # a byte has no order
        return {"name": "bytes"}
    return {"name": "bytes", "configuration": {"endian": "little"}}


def _dump(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii")
