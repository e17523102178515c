"""Write the streams and attributes of a part as members of its zip file."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from emo.ragged import offsets_of
from emo.store.part.checksum import MEMBER, chunk_checksums
from emo.store.part.zarr_layout import (
    array_document,
    chunk_rows,
    dump_document,
    group_document,
    shard_index,
)
from emo.store.part.zip import ArchiveWriter


def write_members(
    file: BinaryIO,
    streams: Mapping[str, tuple[Iterable[np.ndarray], Sequence[int]]],
    attributes: Mapping[str, Any],
    *,
    chunk_bytes: int | None = None,
) -> None:
    """Write a whole part: first the tokens, then all small members, last the root document.

    Args:
        file: an empty file, open for writing.
        streams: for each stream its tokens and lengths. Tokens are arrays (T, D) in the stored
            dtype, of one clip or of several neighbours, without absent clips; they are iterated
            over several times and need not be in memory. Lengths are the tokens of every clip, 0
            for an absent one.
        attributes: attributes of the root group, JSON values.
        chunk_bytes: about how many bytes share a checksum; None: the usual size for tokens.
    """
    archive = ArchiveWriter(file)
    small: dict[str, bytes] = {}
    for name, (tokens, lengths) in streams.items():
        small[f"{name}/zarr.json"] = group_document({})
        small |= _plain(f"{name}/offsets", offsets_of(np.asarray(lengths, dtype=np.int64)))
        if any(lengths):
            small |= _sharded(archive, name, tokens, sum(lengths), chunk_bytes)
    for name, data in small.items():
        archive.write(name, [data])
    archive.write("zarr.json", [group_document(attributes)])
    archive.finish()


def _sharded(
    archive: ArchiveWriter,
    name: str,
    tokens: Iterable[np.ndarray],
    count: int,
    chunk_bytes: int | None,
) -> dict[str, bytes]:
    """Write the tokens of a stream as one shard; return the small members that describe it."""
    first = next(iter(tokens))
    row_bytes = first.dtype.itemsize * first.shape[1]
    rows = chunk_rows(count, row_bytes, chunk_bytes)
    padding = bytes(-count % rows * row_bytes)
    crcs = chunk_checksums(map(_bytes_of, tokens), rows * row_bytes, padding)
    index = shard_index(len(crcs), rows * row_bytes)
    archive.write(f"{name}/values/c/0/0", _Blocks(tokens, [padding, index]))
    document = array_document((count, first.shape[1]), first.dtype, rows=rows)
    return {f"{name}/values/zarr.json": dump_document(document)} | _plain(f"{name}/{MEMBER}", crcs)


@dataclass(frozen=True)
class _Blocks:
    """The bytes of arrays, followed by further bytes; every iteration starts from the beginning."""

    arrays: Iterable[np.ndarray]
    rest: Sequence[bytes]

    def __iter__(self) -> Iterator[bytes | memoryview]:
        yield from (_bytes_of(array).data for array in self.arrays)
        yield from self.rest


def _plain(name: str, array: np.ndarray) -> dict[str, bytes]:
    """Return the two members of a small array that is stored in one chunk."""
    return {
        f"{name}/zarr.json": dump_document(array_document(array.shape, array.dtype)),
        f"{name}/c/0": array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes(),
    }


def _bytes_of(array: np.ndarray) -> np.ndarray:
    """Return uint8 (bytes,), a read-only view of a contiguous array."""
    data = array.reshape(-1).view(np.uint8)
    data.flags.writeable = False  # google_crc32c accepts read-only buffers only
    return data
