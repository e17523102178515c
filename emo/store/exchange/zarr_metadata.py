"""Hold every document of a Zarr folder against lists of what is read, before Zarr opens it.

A codec or filter of Zarr is found by the name in the document: numcodecs before 0.16.6 unpickles
for the filter ``pickle``, and other packages may register codecs of any kind. Allowed are the names
below, formats 2 and 3, one compression an array, and chunks that decode to the size of a chunk.
"""

import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from emo.errors import StoreError
from emo.machine.untrusted.budget import Budget
from emo.machine.untrusted.documents import read_checked, shortened
from emo.machine.untrusted.files import first_odd_entry
from emo.machine.untrusted.kinds import AnyJson, Fields, ListOf, OneOf, Where

COMPRESSIONS = {
    "zstd": "claims its size", "blosc": "claims its size", "gzip": "at most 1,032-fold",
    "zlib": "at most 1,032-fold",
}  # fmt: skip
"""Compressions that are read, and what bounds the size of the data."""
_CODECS = {"bytes", "transpose", "crc32c", "vlen-utf8", "vlen-bytes", "sharding_indexed"}
_FILTERS = {"vlen-utf8", "shuffle", "delta"}
_NAMED = {
    "fixed_length_utf32", "null_terminated_bytes", "variable_length_bytes", "numpy.datetime64",
    "numpy.timedelta64",
}  # fmt: skip
_NUMBERS = re.compile(r"bool|(?:u?int|float|complex)(\d+)")
_DTYPE = re.compile(r"[<>|=]?([fiubcSUmM])(\d{1,7})(?:\[\w+\])?")
_METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
_SIZES = ListOf(Where(int, lambda size: 0 <= size < 2**62, "a size from 0"))
_NAME = Fields({"name": str}, optional={"configuration": dict})
_V3 = Fields(
    {
        "shape": _SIZES,
        "data_type": OneOf([str, _NAME]),
        "chunk_grid": Fields(
            {
                "name": Where(str, lambda name: name == "regular", "'regular'"),
                "configuration": Fields({"chunk_shape": _SIZES}),
            }
        ),
        "codecs": ListOf(_NAME),
    }
)
_ID = OneOf([None, Fields({"id": str})])
_V2 = Fields(
    {"shape": _SIZES, "chunks": _SIZES, "dtype": str, "compressor": _ID},
    optional={"filters": OneOf([None, ListOf(Fields({"id": str}))])},
)
_MEMORY = 2**26


def check_zarr(root: Path, budget: Budget) -> None:
    """Check all documents and chunks of a Zarr folder; no library opens anything.

    Args:
        root: the folder.
        budget: bytes that the arrays may take.

    Raises:
        StoreError: a link, a codec, filter or type that is not read, or too many bytes.
    """
    if not root.is_dir():
        raise StoreError(f"{root}: not a Zarr group: expected a folder")
    if odd := first_odd_entry(root):
        raise StoreError(f"{odd[0]}: refused: {odd[1]}; copy the data itself into {root}")
    for folder, _, names in os.walk(root):
        for name in sorted({*names} & {*_METADATA}):
            _check_document(Path(folder, name), budget)


def _check_document(file: Path, budget: Budget) -> None:
    """Check one document, and the chunks of the array that it describes."""
    document = read_checked(
        file, dict, most_bytes=_MEMORY, error=StoreError, advice="export the array again"
    )
    if file.name == ".zmetadata":
        return  # a copy of the other documents, which is not used
    read_checked(file, AnyJson(), most_bytes=_MEMORY, error=StoreError)
    is_array = file.name == ".zarray" or document.get("node_type") == "array"
    if document.get("zarr_format", 2) not in (2, 3):
        raise StoreError(f"{file}: refused: expected Zarr format 2 or 3")
    if not is_array:
        return
    is_v2 = file.name == ".zarray"
    read_checked(file, _V2 if is_v2 else _V3, most_bytes=_MEMORY, error=StoreError)
    try:
        item, compression = (_v2 if is_v2 else _v3)(document)
    except _Refused as error:
        raise StoreError(
            f"{file}: refused: {error}. Write the array again with zstd, blosc, gzip or without "
            "compression, and plain numbers or text"
        ) from error
    grid = document["chunks"] if is_v2 else document["chunk_grid"]["configuration"]["chunk_shape"]
    chunk_bytes = math.prod(grid) * item
    budget.check_piece(chunk_bytes, f"a chunk of {file.parent.name}")
    budget.take(math.prod(document["shape"]) * item, f"array {file.parent.name}")
    if compression:
        is_text = item == _TEXT_BYTES
        _check_chunks(file.parent, compression, None if is_text else chunk_bytes, budget)


class _Refused(ValueError):
    """A document names something that is not read."""


_TEXT_BYTES = 8
"""Bytes counted for a text of any length: a pointer. The chunks say how long the texts are."""


def _v3(document: Mapping[str, Any]) -> tuple[int, str | None]:
    """Return the bytes of a cell, and the name of the compression; format 3."""
    if document.get("storage_transformers"):
        raise _Refused("storage transformers")
    compressions = []
    for codec in document["codecs"]:
        name = codec["name"]
        if name in COMPRESSIONS:
            compressions.append(name)
        elif name not in _CODECS:
            raise _Refused(f"codec {shortened(repr(name), 60)} is not among those that are read")
        if name == "sharding_indexed":
            _check_shard(codec.get("configuration", {}))
    if len(compressions) > 1:
        raise _Refused("several compressions of one array")
    return _item_v3(document["data_type"]), (compressions or [None])[0]


def _check_shard(configuration: Mapping[str, Any]) -> None:
    """Raise _Refused unless the chunks inside a shard are not compressed."""
    for name in ("codecs", "index_codecs"):
        codecs = configuration.get(name)
        if not isinstance(codecs, list) or not all(isinstance(each, dict) for each in codecs):
            raise _Refused("a shard without a list of codecs")
        for each in codecs:
            if each.get("name") not in ("bytes", "crc32c", "transpose"):
                raise _Refused(f"codec {shortened(repr(each.get('name')), 60)} inside a shard")


def _item_v3(kind: Any) -> int:
    """Return the bytes of a cell of a data type of format 3."""
    if isinstance(kind, str):
        if kind == "string":
            return _TEXT_BYTES
        if found := _NUMBERS.fullmatch(kind):
            return max(1, int(found[1] or 8) // 8)
    elif kind["name"] in _NAMED:
        size = kind.get("configuration", {}).get("length_bytes", 8)
        if type(size) is int and 0 < size < 2**31:
            return size
    raise _Refused(f"data type {shortened(str(kind), 80)}")


def _v2(document: Mapping[str, Any]) -> tuple[int, str | None]:
    """Return the bytes of a cell, and the name of the compression; format 2."""
    filters = [each["id"] for each in document.get("filters") or ()]
    for name in filters:
        if name not in _FILTERS:
            raise _Refused(f"filter {shortened(repr(name), 60)} is not among those that are read")
    compressor = (document["compressor"] or {}).get("id")
    if compressor is not None and compressor not in COMPRESSIONS:
        raise _Refused(f"compressor {shortened(repr(compressor), 60)} is not read")
    if document["dtype"] == "|O" and filters == ["vlen-utf8"]:
        return _TEXT_BYTES, compressor
    found = _DTYPE.fullmatch(document["dtype"])
    if not found or "vlen-utf8" in filters:
        raise _Refused(f"dtype {shortened(document['dtype'], 60)} with filters {filters}")
    return max(1, int(found[2])) * (4 if found[1] == "U" else 1), compressor


def _check_chunks(folder: Path, compression: str, size: int | None, budget: Budget) -> None:
    """Compare what the compressed chunks of an array say of their size with a chunk's bytes.

    Args:
        folder: folder of the array.
        compression: one of :data:`COMPRESSIONS`.
        size: bytes of a chunk; None: a chunk of texts, of any size within the budget.
        budget: bytes that may be taken.
    """
    for file in _chunks(folder):
        with open(file, "rb") as chunk:
            head = chunk.read(18)
        most = claimed_bytes(head, file.stat().st_size, compression)
        if most is None:
            raise StoreError(
                f"{file}: not a chunk of {compression} that says its size; copy it again"
            )
        if size is None:
            budget.take(most, f"chunk {file}")
        elif most > size and compression in ("zstd", "blosc"):
            raise StoreError(f"{file}: refused: decodes to {most:,} bytes, a chunk has {size:,}")
        elif most > size:
            budget.check(most, f"chunk {file}")


def _chunks(folder: Path) -> Iterator[Path]:
    """Iterate over the files of an array's chunks."""
    for inner, folders, names in os.walk(folder):
        if inner != str(folder) and {*names} & {*_METADATA}:
            folders.clear()  # another array or group
            continue
        yield from (Path(inner, name) for name in names if name not in _METADATA)


def claimed_bytes(head: bytes, file_bytes: int, compression: str) -> int | None:
    """Return how many bytes compressed data decode to at most; None: its header does not say.

    Args:
        head: the first 18 bytes of the data.
        file_bytes: size of the data.
        compression: one of :data:`COMPRESSIONS`.
    """
    if compression in ("gzip", "zlib"):
        return 1032 * file_bytes  # the most that deflate can do
    if compression == "blosc":
        return int.from_bytes(head[4:8], "little") if len(head) >= 16 else None
    if head[:4] != b"\x28\xb5\x2f\xfd" or len(head) < 6:
        return None
    flags = head[4]
    is_single = flags >> 5 & 1
    start = 5 + (1 - is_single) + (0, 1, 2, 4)[flags & 3]
    width = (is_single, 2, 4, 8)[flags >> 6]
    if not width or len(head) < start + width:
        return None
    number = int.from_bytes(head[start : start + width], "little")
    return number + 256 if width == 2 else number
