"""Turns the arrays of a part into members of its zip file."""

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import google_crc32c
import numpy as np

from emo.ragged import offsets_of
from emo.store.archive import ArchiveWriter
from emo.store.layout import (
    array_document,
    chunk_rows,
    dump_document,
    group_document,
    shard_index,
)


def write_members(
    file: BinaryIO,
    streams: Mapping[str, tuple[Sequence[np.ndarray], Sequence[int]]],
    attributes: Mapping[str, Any],
) -> None:
    """Write a whole part: the tokens first, all that is small behind them, the root last of all.

    Args:
        file: empty, open for writing.
        streams: by name, the (T, D) tokens of the clips that have it, in the stored dtype, and the
            length of every clip, 0 where it is absent.
        attributes: of the root group, JSON values.
    """
    archive = ArchiveWriter(file)
    small: dict[str, bytes] = {}
    for name, (tokens, lengths) in streams.items():
        small[f"{name}/zarr.json"] = group_document({})
        small |= _plain(f"{name}/offsets", offsets_of(np.asarray(lengths, dtype=np.int64)))
        if tokens:
            small |= _sharded(archive, name, np.concatenate(tokens))
    for name, data in small.items():
        archive.write(name, [data])
    archive.write("zarr.json", [group_document(attributes)])
    archive.finish()


def _sharded(archive: ArchiveWriter, name: str, values: np.ndarray) -> dict[str, bytes]:
    """Write the shard of a stream's tokens; returns the members that describe it."""
    row_bytes = values.dtype.itemsize * values.shape[1]
    rows = chunk_rows(len(values), row_bytes)
    data = values.reshape(-1).view(np.uint8)
    padding = bytes(-len(values) % rows * row_bytes)
    crcs = _checksums(data, rows * row_bytes, padding)
    index = shard_index(len(crcs), rows * row_bytes)
    archive.write(f"{name}/values/c/0/0", [data.data, padding, index])
    document = array_document(values.shape, values.dtype, rows=rows)
    return {f"{name}/values/zarr.json": dump_document(document)} | _plain(f"{name}/crc32c", crcs)


def _plain(name: str, array: np.ndarray) -> dict[str, bytes]:
    """The members of a small array in one chunk."""
    return {
        f"{name}/zarr.json": dump_document(array_document(array.shape, array.dtype)),
        f"{name}/c/0": array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes(),
    }


def _checksums(data: np.ndarray, chunk_bytes: int, padding: bytes) -> np.ndarray:
    """CRC-32C of each inner chunk, the padding of the last one included."""
    data.flags.writeable = False  # google_crc32c takes nothing that could change meanwhile
    starts = range(0, len(data), chunk_bytes)
    crcs = [google_crc32c.value(data[start : start + chunk_bytes]) for start in starts]
    crcs[-1] = google_crc32c.extend(crcs[-1], padding)
    return np.asarray(crcs, dtype="<u4")
