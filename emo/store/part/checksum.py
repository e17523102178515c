"""The checksum of the tokens in a part: CRC-32C of each inner chunk.

Another checksum is a change of this file and of the format: raise ``FORMAT_VERSION`` in
:mod:`emo.store.part.zarr_layout`, add a golden store, and keep the old one readable.
"""

from collections.abc import Iterable

import google_crc32c
import numpy as np

MEMBER = "crc32c"
"""Name of the array beside a stream's values that holds the checksums."""


def chunk_checksum(data: np.ndarray) -> int:
    """Return the checksum of the bytes of one inner chunk, uint8 (bytes,) and read-only."""
    return int(google_crc32c.value(data))


def chunk_checksums(pieces: Iterable[np.ndarray], chunk_bytes: int, padding: bytes) -> np.ndarray:
    """Return uint32 (chunks,): the checksum of each inner chunk of a stream.

    Args:
        pieces: the bytes of the stream in order, uint8 and read-only, cut anywhere.
        chunk_bytes: size of an inner chunk.
        padding: what fills the last chunk.
    """
    crcs, crc, room = [], 0, chunk_bytes
    for data in pieces:
        start = 0
        while start < len(data):
            piece = data[start : start + room]
            crc, room, start = google_crc32c.extend(crc, piece), room - len(piece), start + room
            if not room:
                crcs.append(crc)
                crc, room = 0, chunk_bytes
    if room < chunk_bytes:
        crcs.append(google_crc32c.extend(crc, padding))
    return np.asarray(crcs, dtype="<u4")
