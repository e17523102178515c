"""Read the pages of an Ogg file: which are damaged or lost, and at which sample each ends.

Source: RFC 3533 (Ogg), section 6.
"""

import struct
import zlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from emo.extract.decode.sources.media_file import MediaPath

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_NOT_A_POSITION = 2**64 - 1


@dataclass(frozen=True)
class OggPage:
    """One undamaged page."""

    serial: int
    """Number of the track."""
    granule: int | None
    """Samples of the track up to the end of this page; None: no packet ends on it."""
    is_last: bool
    """Whether the page is marked as the last of its track."""
    is_after_loss: bool
    """Whether the page before it, which held sound or pictures, is damaged or missing."""
    start_granule: int | None = None
    """What the damaged page before it said of its own end; None: none, or it is not credible."""


def read_pages(path: MediaPath) -> Mapping[int, OggPage]:
    """Return the undamaged pages of a file by their position in bytes."""
    status = path.stat()
    return _read_pages(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=8)
def _read_pages(path: MediaPath, size_bytes: int, changed: int) -> Mapping[int, OggPage]:
    """Read the pages; size and time of change tell one file from another of the same name."""
    content = path.read_bytes()
    pages: dict[int, OggPage] = {}
    last: dict[int, _Header] = {}
    """Serial -> the last undamaged page that held sound."""
    heads: dict[int, tuple[int, int]] = {}
    """Serial -> number of its last undamaged page before the sound, and how many bytes of the file
    were skipped up to it."""
    damaged: _Header | None = None
    at = end = skipped = max(0, content.find(b"OggS"))
    while at >= 0:
        header = _header(content, at)
        if header is None or not header.is_whole:
            damaged, at = header, content.find(b"OggS", at + 1)
            continue
        skipped, end = skipped + at - end, header.end
        before = last.get(header.serial)
        start = None
        if damaged and damaged.is_before(header) and (damaged.granule or 0) > _end_of(before):
            start = damaged.granule
        if before:
            is_after_loss = before.number + 1 != header.number
        else:  # recordings of a broadcast jump from their head to any page
            number, bytes_then = heads.get(header.serial, (header.number - 1, skipped))
            is_after_loss = number + 1 != header.number and bytes_then < skipped
        pages[at] = OggPage(
            header.serial, header.granule, header.is_last, bool(start) or is_after_loss, start
        )
        if before or header.granule:
            last[header.serial] = header
        else:
            heads[header.serial] = header.number, skipped
        damaged, at = None, content.find(b"OggS", header.end)
    return pages


def begins_with_loss(pages: Mapping[int, OggPage]) -> bool:
    """Return whether the first sound of the file is on a damaged page."""
    return next((page.is_after_loss for page in pages.values() if page.granule), False)


def has_open_end(pages: Mapping[int, OggPage]) -> bool:
    """Return whether a track of the file lacks the page that is marked as its last."""
    ended: dict[int, bool] = defaultdict(bool)
    for page in pages.values():
        ended[page.serial] |= page.is_last
    return not all(ended.values())


@dataclass(frozen=True)
class _Header:
    serial: int
    number: int
    """Number of the page in its track, from 0."""
    granule: int | None
    is_last: bool
    end: int
    """Position after the page."""
    is_whole: bool
    """Whether the page's checksum is right."""

    def is_before(self, after: "_Header") -> bool:
        """Return whether this is, by its number and its end, the page before ``after``."""
        is_next = (self.serial, self.number + 1) == (after.serial, after.number)
        return is_next and (self.granule or 0) <= (after.granule or 0)


def _end_of(header: _Header | None) -> int:
    return (header.granule or 0) if header else 0


def _header(content: bytes, at: int) -> _Header | None:
    if at + 27 > len(content):
        return None
    head = at + 27 + content[at + 26]
    end = head + sum(content[at + 27 : head])
    granule, serial, number, told = struct.unpack("<QIII", content[at + 6 : at + 26])
    page = content[at : at + 22] + bytes(4) + content[at + 26 : end]
    return _Header(
        serial, number, None if granule == _NOT_A_POSITION else granule,
        is_last=bool(content[at + 5] & 4), end=end,
        is_whole=end <= len(content) and _checksum(page) == told,
    )  # fmt: skip


def _checksum(page: bytes) -> int:
    """Return Ogg's CRC-32, which is zlib's with all bits reversed and without its inversions."""
    value = zlib.crc32(page.translate(_REVERSED), 2**32 - 1) ^ (2**32 - 1)
    return int(f"{value:032b}"[::-1], 2)
