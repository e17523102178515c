"""Read an array of a part whose chunks do not lie end to end, because another tool wrote them.

No library takes part: Zarr opens whatever codec a document names, and a codec can run code or make
a gigabyte of a kilobyte. Read are arrays of Zarr format 3 with the codecs that this package writes:
``bytes``, and ``sharding_indexed`` of ``bytes``.
"""

import math
from collections.abc import Mapping
from typing import Any

import google_crc32c
import numpy as np

from emo.errors import StoreError
from emo.machine.untrusted.kinds import AnyJson, Fields, ListOf, Shape, problem
from emo.store.part.zarr_layout import stored_dtype
from emo.store.part.zip import MAX_MEMBER_BYTES, Archive, DamagedPart

_EXPECTED = "expected bytes (little-endian), or sharding_indexed of bytes with its index at the end"

_CODECS = ListOf(Fields({"name": str}, optional={"configuration": dict}))
_ARRAY = Fields(
    {
        "zarr_format": int,
        "node_type": str,
        "shape": ListOf(int),
        "data_type": str,
        "chunk_grid": Fields(
            {"name": str, "configuration": Fields({"chunk_shape": ListOf(int)})},
        ),
        "chunk_key_encoding": Fields(
            {"name": str}, optional={"configuration": Fields({}, optional={"separator": str})}
        ),
        "codecs": _CODECS,
    }
)
"""The document of an array."""
_SHARDING = Fields({"chunk_shape": ListOf(int), "codecs": _CODECS, "index_codecs": _CODECS})
"""The configuration of the codec ``sharding_indexed``."""


class _Refused(ValueError):
    """The document of an array, or its chunks, are not what this package reads."""


def read_chunked(archive: Archive, name: str, document: Mapping[str, Any]) -> np.ndarray:
    """Read a whole array chunk by chunk.

    Args:
        archive: the open file of the part.
        name: name of the array.
        document: its ``zarr.json``.

    Raises:
        DamagedPart: another format or codec, or a missing chunk (Zarr would read zeros).
    """
    try:
        return _read(archive, name, document)
    except _Refused as error:
        raise DamagedPart(archive.path, f"{name}: {error}") from error


def _read(archive: Archive, name: str, document: Mapping[str, Any]) -> np.ndarray:
    _check(document, AnyJson())
    _check(document, _ARRAY)
    if (document["zarr_format"], document["node_type"]) != (3, "array"):
        raise _Refused("expected an array of Zarr format 3")
    if document.get("storage_transformers"):
        raise _Refused("storage transformers are not read")
    try:
        dtype = stored_dtype(document["data_type"])
    except StoreError as error:
        raise _Refused(str(error)) from error
    shape = _sizes(document["shape"], least=0)
    chunk = _sizes(document["chunk_grid"]["configuration"]["chunk_shape"], least=1)
    keys = document["chunk_key_encoding"]
    separator = keys.get("configuration", {}).get("separator", "/")
    if (document["chunk_grid"]["name"], keys["name"], len(chunk)) != (
        "regular", "default", len(shape),
    ) or separator not in ("/", "."):  # fmt: skip
        raise _Refused("expected a regular grid of chunks with the names c/0, c/1 …")
    if math.prod(shape) * dtype.itemsize > MAX_MEMBER_BYTES:
        raise _Refused(f"its shape {shape} takes more than {MAX_MEMBER_BYTES} bytes")
    counts = [-(-size // step) for size, step in zip(shape, chunk, strict=True)]
    if math.prod(counts) > len(archive.names):
        raise _Refused(f"{math.prod(counts)} chunks do not fit its {len(archive.names)} members")
    whole = np.empty(shape, dtype)
    for index in np.ndindex(*counts):
        key = f"{name}/c{separator}{separator.join(map(str, index))}"
        if archive.member(key).whole_size > MAX_MEMBER_BYTES:
            raise _Refused(f"chunk {key} has more than {MAX_MEMBER_BYTES} bytes")
        cells = _decoded(archive.read(key), chunk, dtype, document["codecs"])
        _put(whole, index, cells)
    return whole


def _check(value: Any, kind: Shape) -> None:
    """Refuse a document, or an entry of it, that is not as described."""
    if found := problem(value, kind):
        raise _Refused(f"its zarr.json: {found}")


def _sizes(value: list[int], *, least: int) -> tuple[int, ...]:
    """Return a shape from a document as a tuple; each number must be at least ``least``."""
    if any(size < least for size in value):
        raise _Refused(f"expected a shape of numbers from {least}, got {str(value)[:80]}")
    return tuple(value)


def _decoded(
    data: bytes, shape: tuple[int, ...], dtype: np.dtype[Any], codecs: list[dict[str, Any]]
) -> np.ndarray:
    """Return the cells of one chunk, of ``shape``."""
    if len(codecs) != 1:
        raise _Refused(f"codecs {str(codecs)[:200]}: {_EXPECTED}")
    name, configuration = codecs[0]["name"], codecs[0].get("configuration", {})
    if name == "bytes" and (
        configuration == {"endian": "little"} or (configuration == {} and dtype.itemsize == 1)
    ):
        if len(data) != math.prod(shape) * dtype.itemsize:
            raise _Refused(f"a chunk has {len(data)} bytes, not those of {shape} {dtype.name}")
        return np.frombuffer(data, dtype).reshape(shape)
    if name != "sharding_indexed" or configuration.get("index_location", "end") != "end":
        raise _Refused(f"codecs {str(codecs)[:200]}: {_EXPECTED}")
    return _shard(data, shape, dtype, configuration)


def _shard(
    data: bytes, shape: tuple[int, ...], dtype: np.dtype[Any], configuration: Mapping[str, Any]
) -> np.ndarray:
    """Return the cells of a chunk that is a shard of inner chunks."""
    _check(configuration, _SHARDING)
    inner = _sizes(configuration["chunk_shape"], least=1)
    if len(inner) != len(shape) or any(n % m for n, m in zip(shape, inner, strict=True)):
        raise _Refused(f"inner chunks {inner} do not divide {shape}")
    names, inside = (
        [each["name"] for each in configuration[key]] for key in ("index_codecs", "codecs")
    )
    if names != ["bytes", "crc32c"] or inside != ["bytes"]:
        raise _Refused(f"codecs in a shard {str(configuration['codecs'])[:200]}: {_EXPECTED}")
    counts = [n // m for n, m in zip(shape, inner, strict=True)]
    start = len(data) - 16 * math.prod(counts) - 4
    if start < 0:
        raise _Refused(f"a shard of {len(data)} bytes has no room for its index")
    index = data[start:-4]
    if google_crc32c.value(index).to_bytes(4, "little") != data[-4:]:
        raise _Refused("the checksum of the index of a shard differs")
    whole, table = np.empty(shape, dtype), np.frombuffer(index, "<u8").reshape(-1, 2).tolist()
    size = math.prod(inner) * dtype.itemsize
    for number, (first, length) in enumerate(table):
        if length != size or first + length > start:
            raise _Refused(f"inner chunk {number} is missing or has another size than {size} bytes")
        cells = _decoded(data[first : first + length], inner, dtype, configuration["codecs"])
        _put(whole, tuple(map(int, np.unravel_index(number, counts))), cells)
    return whole


def _put(whole: np.ndarray, index: tuple[int, ...], cells: np.ndarray) -> None:
    """Copy a chunk to its place; what lies beyond the end of the array is dropped."""
    starts = [k * size for k, size in zip(index, cells.shape, strict=True)]
    target = whole[tuple(slice(a, a + n) for a, n in zip(starts, cells.shape, strict=True))]
    target[...] = cells[tuple(slice(0, n) for n in target.shape)]
