"""Find where the tokens of a stream lie in a part as one raw array, and their checksums."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from emo.errors import StoreError
from emo.machine.untrusted.documents import DocumentError, checked, parse_checked
from emo.machine.untrusted.kinds import Shape
from emo.store.backend.location import Location
from emo.store.part.checksum import MEMBER, chunk_checksum
from emo.store.part.chunks import read_chunked
from emo.store.part.zarr_layout import (
    SHARD_ENTRY_BYTES,
    inner_rows,
    is_plain,
    shard_index,
    stored_dtype,
)
from emo.store.part.zip import Archive, DamagedPart

MAX_DOCUMENT_BYTES = 2**28
"""Largest ``zarr.json`` that is read: the facts of a million clips."""


@dataclass(eq=False)
class Layout:
    """Where the tokens of one stream lie in a part, and which chunks of them were verified."""

    offsets: np.ndarray
    """int64 (N+1,) over the N finished clips of the part."""
    dim: int
    """Width D of a token."""
    dtype: np.dtype[Any]
    """Dtype of the stored tokens, little-endian."""
    start: int | None
    """Position of token 0 in the file, in bytes; None: not one raw array, to be read by Zarr."""
    rows: int
    """Number of tokens in an inner chunk."""
    crcs: np.ndarray
    """uint32 (chunks,): CRC-32C of the inner chunks; empty: nothing to verify."""
    is_verified: bytearray
    """1 for each chunk whose checksum was compared in this process, else 0."""
    is_trusted: bool
    """True when nothing is left to verify."""

    @property
    def chunk_bytes(self) -> int:
        """Size of an inner chunk in bytes."""
        return self.rows * self.dim * self.dtype.itemsize

    def verify(self, chunk: int, data: np.ndarray) -> bool:
        """Return whether the bytes of a chunk match its checksum, and remember if they do."""
        if chunk_checksum(data) != int(self.crcs[chunk]):
            return False
        self.is_verified[chunk] = 1
        self.is_trusted = 0 not in self.is_verified
        return True

    def distrust(self) -> None:
        """Mark every chunk as not verified."""
        if len(self.crcs):
            self.is_verified, self.is_trusted = bytearray(len(self.crcs)), False


def locate_stream(archive: Archive, stream: str, spec: Mapping[str, Any], clips: int) -> Layout:
    """Read the layout of one stream.

    Args:
        archive: the open file of the part.
        stream: name of the stream.
        spec: ``dim`` and ``dtype``, from the part's attributes.
        clips: number of finished clips in the part.

    Raises:
        DamagedPart: the arrays of the stream contradict each other or the recipe.
    """
    path, dim = archive.path, int(spec["dim"])
    try:
        dtype = stored_dtype(spec["dtype"])
    except StoreError as error:
        raise DamagedPart(path, f"stream {stream!r}: {error}") from error
    offsets = _small(archive, f"{stream}/offsets").astype(np.int64, copy=False)
    if len(offsets) != clips + 1 or offsets[0] != 0 or (offsets[1:] < offsets[:-1]).any():
        raise DamagedPart(path, f"stream {stream!r}: its offsets do not fit {clips} clips")
    tokens = int(offsets[-1])
    nothing = Layout(offsets, dim, dtype, None, 1, np.zeros(0, np.uint32), bytearray(), True)
    if not tokens:
        return nothing
    document = parse(archive.read(f"{stream}/values/zarr.json"), path)
    if (document.get("shape"), document.get("data_type")) != ([tokens, dim], dtype.name):
        raise DamagedPart(path, f"stream {stream!r}: expected {dtype.name} ({tokens}, {dim})")
    rows = inner_rows(document)
    start = rows and _raw_start(archive, stream, -(-tokens // rows), rows * dim * dtype.itemsize)
    if rows is None or start is None:
        return nothing
    crcs = _small(archive, f"{stream}/{MEMBER}")
    if len(crcs) != -(-tokens // rows):
        raise DamagedPart(path, f"stream {stream!r}: {len(crcs)} checksums do not fit its chunks")
    return Layout(offsets, dim, dtype, start, rows, crcs, bytearray(len(crcs)), False)


def parse(data: bytes, path: Location) -> dict[str, Any]:
    """Parse a ``zarr.json`` of the part ``path``.

    Raises:
        DamagedPart: the bytes are not a JSON object.
    """
    try:
        document: dict[str, Any] = parse_checked(data, dict, most_bytes=MAX_DOCUMENT_BYTES)
    except DocumentError as error:
        raise DamagedPart(path, f"a zarr.json in it: {error}") from error
    return document


def of_kind(document: dict[str, Any], path: Location, kind: Shape) -> dict[str, Any]:
    """Return a document of the part ``path`` after checking its types.

    Raises:
        DamagedPart: an entry is missing or of another type.
    """
    try:
        return cast(dict[str, Any], checked(document, kind))
    except DocumentError as error:
        raise DamagedPart(path, f"its attributes: {error}") from error


def _small(archive: Archive, name: str) -> np.ndarray:
    """Read a small one-dimensional array of whole numbers."""
    document = parse(archive.read(f"{name}/zarr.json"), archive.path)
    if not is_plain(document):
        numbers = read_chunked(archive, name, document)
    else:
        dtype, cells = stored_dtype(document["data_type"]), math.prod(document["shape"])
        data = archive.read(f"{name}/c/0")
        if len(data) != cells * dtype.itemsize:
            what = f"{name}: {len(data)} bytes do not hold {str(cells)[:30]} numbers"
            raise DamagedPart(archive.path, what)
        numbers = np.frombuffer(data, dtype)
    if numbers.ndim != 1 or len(document["shape"]) != 1 or numbers.dtype.kind not in "iu":
        raise DamagedPart(archive.path, f"{name}: expected one row of whole numbers")
    return numbers


def _raw_start(archive: Archive, stream: str, chunks: int, chunk_bytes: int) -> int | None:
    """Return the position of a shard in the file, if its index says that chunks lie end to end.

    Returns:
        Bytes from the start of the file; None: the chunks lie otherwise.

    Raises:
        DamagedPart: the shard is missing (Zarr would read zeros).
    """
    name = f"{stream}/values/c/0/0"
    member = archive.member(name)
    if not member.is_stored or member.size != chunks * (chunk_bytes + SHARD_ENTRY_BYTES) + 4:
        return None
    expected = shard_index(chunks, chunk_bytes)
    start = archive.data_start(name)
    index = archive.bytes_at(start + chunks * chunk_bytes, len(expected))
    return start if index == expected else None
