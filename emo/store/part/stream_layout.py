"""Finds where the tokens of a stream lie in a part, when they lie there as one raw array."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import google_crc32c
import numpy as np

from emo.errors import StoreError
from emo.store.backend.cached_part import local_copy
from emo.store.backend.location import Location
from emo.store.part.zarr_layout import inner_rows, is_plain, shard_index, stored_dtype
from emo.store.part.zip import Archive, DamagedPart


@dataclass(eq=False)
class Layout:
    """The tokens of one stream in a part: where they lie and which of them were verified."""

    offsets: np.ndarray
    """(n+1,) int64 over the part's finished clips."""
    dim: int
    dtype: np.dtype[Any]
    start: int | None
    """Where row 0 lies, bytes from the start of the file; None: no raw array, read by Zarr."""
    rows: int
    """Of an inner chunk."""
    crcs: np.ndarray
    """(chunks,) CRC-32C of the inner chunks; empty: nothing to verify."""
    is_verified: bytearray
    """(chunks,) 1 for each chunk whose checksum was compared in this process."""
    is_trusted: bool
    """Nothing is left to verify."""

    @property
    def chunk_bytes(self) -> int:
        """Size of an inner chunk."""
        return self.rows * self.dim * self.dtype.itemsize

    def verify(self, chunk: int, data: np.ndarray) -> bool:
        """Compare a chunk's bytes with its checksum, and remember that they agreed."""
        if google_crc32c.value(data) != int(self.crcs[chunk]):
            return False
        self.is_verified[chunk] = 1
        self.is_trusted = 0 not in self.is_verified
        return True

    def distrust(self) -> None:
        """Verify every chunk again."""
        if len(self.crcs):
            self.is_verified, self.is_trusted = bytearray(len(self.crcs)), False


def locate_stream(archive: Archive, stream: str, spec: Mapping[str, Any], clips: int) -> Layout:
    """The layout of one stream.

    Args:
        archive: the part.
        stream: its name.
        spec: ``dim`` and ``dtype``, from the part's attributes.
        clips: finished clips in the part.

    Raises:
        DamagedPart: its arrays contradict each other or the recipe.
    """
    path, dim, dtype = archive.path, int(spec["dim"]), stored_dtype(spec["dtype"])
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
    crcs = _small(archive, f"{stream}/crc32c")
    if len(crcs) != -(-tokens // rows):
        raise DamagedPart(path, f"stream {stream!r}: {len(crcs)} checksums do not fit its chunks")
    return Layout(offsets, dim, dtype, start, rows, crcs, bytearray(len(crcs)), False)


def parse(data: bytes, path: Location) -> dict[str, Any]:
    """A ``zarr.json``.

    Raises:
        DamagedPart: it is none.
    """
    try:
        document: dict[str, Any] = json.loads(data)
    except ValueError as error:
        raise DamagedPart(path, f"a zarr.json in it is no JSON: {error}") from error
    return document


def read_by_zarr(path: Location, name: str) -> np.ndarray:
    """One whole array, however it is stored."""
    import zarr  # here: 1.7 s that nobody pays whose parts are mapped

    try:
        with local_copy(path) as file:
            store = zarr.storage.ZipStore(file, mode="r")
            try:
                return np.asarray(zarr.open_array(store, path=name, mode="r")[...])
            finally:
                store.close()
    except StoreError:
        raise
    except Exception as error:  # whatever Zarr or zip say of bytes that they cannot read
        raise DamagedPart(path, f"{name}: {type(error).__name__}: {error}") from error


def _small(archive: Archive, name: str) -> np.ndarray:
    """A one-dimensional array, whole."""
    document = parse(archive.read(f"{name}/zarr.json"), archive.path)
    if not is_plain(document):
        return read_by_zarr(archive.path, name)
    dtype, cells = stored_dtype(document["data_type"]), document["shape"][0]
    data = archive.read(f"{name}/c/0")
    if len(data) != cells * dtype.itemsize or len(document["shape"]) != 1:
        raise DamagedPart(archive.path, f"{name}: {len(data)} bytes do not hold {cells} numbers")
    return np.frombuffer(data, dtype)


def _raw_start(archive: Archive, stream: str, chunks: int, chunk_bytes: int) -> int | None:
    """Where the shard's data starts when the index says that its chunks lie end to end.

    Raises:
        DamagedPart: there is no shard; Zarr would read zeros.
    """
    name = f"{stream}/values/c/0/0"
    member, expected = archive.member(name), shard_index(chunks, chunk_bytes)
    if not member.is_stored or member.size != chunks * chunk_bytes + len(expected):
        return None
    start = archive.data_start(name)
    index = archive.bytes_at(start + chunks * chunk_bytes, len(expected))
    return start if index == expected else None
