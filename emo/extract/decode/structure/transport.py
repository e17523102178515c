"""Find lost packets of an MPEG transport stream by the counters of its tracks.

FFmpeg flags the packet that it was reading for one of the tracks alone, and often none. Source:
ISO/IEC 13818-1, section 2.4.3.
"""

from functools import lru_cache

import numpy as np

from emo.extract.decode.sources.media_file import MediaPath, mapped_media

_KINDS = ((188, 0), (192, 4), (204, 0))
"""Bytes of a packet, and its offset: 192 with a time code before it, 204 with a checksum after."""
_HEAD_BYTES = 1024
_NULL = 0x1FFF
"""Number of the packets that fill pauses."""


def packet_kind(head: bytes) -> tuple[int, int] | None:
    """Return bytes and offset of the packets of a stream; None: it is not seen in its ``head``."""
    for size, offset in _KINDS:
        positions = range(offset, len(head), size)
        if len(positions) > 1 and all(head[position] == 0x47 for position in positions):
            return size, offset
    return None


def lost_positions(path: MediaPath) -> list[tuple[int, int]]:
    """Return where packets are missing: positions in bytes of the packets before and after."""
    status = path.stat()
    return _lost_positions(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=8)
def _lost_positions(path: MediaPath, size_bytes: int, changed: int) -> list[tuple[int, int]]:
    """Read the counters; size and time of change tell one file from another of the same name."""
    with path.open("rb") as file:
        kind = packet_kind(file.read(_HEAD_BYTES))
    if kind is None:
        return []
    size, offset = kind
    with mapped_media(path) as data:
        content = np.frombuffer(data, np.uint8)
        rows = content[: len(content) // size * size].reshape(-1, size)[:, offset : offset + 6]
        heads = np.array(rows, np.int64)
        del content, rows  # a map cannot be closed while arrays refer to it
    if not len(heads):
        return []
    tracks, controls = (heads[:, 1] & 0x1F) << 8 | heads[:, 2], heads[:, 3] >> 4
    counts = (controls & 1).astype(bool) & (tracks != _NULL)
    # a field at the start of a packet may announce that the counter starts again
    announced = (controls & 2).astype(bool) & (heads[:, 4] > 0) & (heads[:, 5] >> 7).astype(bool)
    found = []
    for track in np.unique(tracks[counts]):
        own = np.flatnonzero(counts & (tracks == track))
        steps = np.diff(heads[own, 3] & 15) % 16
        # a packet may be sent twice
        broken = np.flatnonzero((steps > 1) & ~announced[own[1:]])
        found += [(int(own[each]) * size, int(own[each + 1]) * size) for each in broken]
    return sorted(found)
