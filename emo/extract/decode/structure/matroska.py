"""Walk over the elements of a Matroska or WebM file: its recordings, and where it is damaged.

FFmpeg skips to the next cluster where the elements do not follow one another, and says so in its
log alone. Source: RFC 9559 (Matroska), RFC 8794 (EBML).
"""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO

from emo.extract.decode.sources.media_file import MediaPath, mapped_media

_HEADER, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_INFO, _TICK, _DURATION = 0x1549A966, 0x2AD7B1, 0x4489
_TRACKS, _TRACK, _NUMBER = 0x1654AE6B, 0xAE, 0xD7
_TIME, _SIMPLE_BLOCK, _GROUP, _BLOCK = 0xE7, 0xA3, 0xA0, 0xA1
_IN_SEGMENT = frozenset(
    {
        _INFO, _TRACKS, _CLUSTER, 0x1C53BB6B, 0x114D9B74, 0x1254C367, 0x1043A770, 0x1941A469,
        0xEC, 0xBF,
    }
)  # fmt: skip
"""What a segment may hold: with the named ones cues, seek head, tags, chapters, attachments, void
and checksum."""
_IN_CLUSTER = frozenset({_TIME, _SIMPLE_BLOCK, _GROUP, 0xA7, 0xAB, 0x5854, 0xAF, 0xEC, 0xBF})
"""What a cluster may hold: with the named ones position, size of the one before, silent tracks,
encrypted block, void and checksum."""


@dataclass
class Recording:
    """One segment: a whole file, or a part of a joined one."""

    declared_seconds: float = 0.0
    """Length that its header declares; 0: none."""
    damaged: list[tuple[float, float]] = field(default_factory=list)
    """Times of the last block before each damage and of the first cluster after it; the last may
    be infinite."""
    tick_seconds: float = 1e-3
    """Length of a tick of its clock."""
    tracks: set[int] = field(default_factory=set)
    """Numbers of its tracks."""


def segment_starts(file: BinaryIO) -> Iterator[int]:
    """Yield where the recordings of a file begin, by the sizes that they state."""
    at = start = 0
    while True:
        file.seek(at)
        head = file.read(12)
        name = int.from_bytes(head[:4])
        if name not in (_HEADER, _SEGMENT) or len(head) < 12:
            return
        start = at if name == _HEADER else start
        if name == _SEGMENT:
            yield start
        size_bytes = 9 - head[4].bit_length()
        size = int.from_bytes(head[4 : 4 + size_bytes]) & ((1 << 7 * size_bytes) - 1)
        if size_bytes > 8 or size == (1 << 7 * size_bytes) - 1:  # unknown, as in live recordings
            return
        at += 4 + size_bytes + size


def recordings_of(path: MediaPath) -> tuple[Recording, ...]:
    """Return the segments of a file in their order.

    The file's element headers are read, not what is in the blocks.
    """
    status = path.stat()
    return _walked(path, status.st_size, status.st_mtime_ns)


def damaged_spans(path: MediaPath) -> list[tuple[float, float]]:
    """Return the damaged spans of a file of one recording, in seconds of its clock.

    Of joined files it returns none: their clocks start again.
    """
    found = recordings_of(path)
    return found[0].damaged if len(found) == 1 else []


@lru_cache(maxsize=64)
def _walked(path: MediaPath, size_bytes: int, changed: int) -> tuple[Recording, ...]:
    """Walk over a file; size and time of change tell one file from another of the same name."""
    if not size_bytes:
        return ()
    with mapped_media(path) as content:
        return tuple(_Walk(content).recordings())


class _Walk:
    """The elements of one file."""

    def __init__(self, content: mmap.mmap | bytes) -> None:
        self._content, self._size = content, len(content)
        self._last = 0.0
        """Time of the last block."""

    def recordings(self) -> Iterator[Recording]:
        at = 0
        while (element := self._element(at)) and element[0] in (_HEADER, _SEGMENT):
            name, start, end = element
            if name == _SEGMENT:
                recording = Recording()
                self._last = 0.0
                end = self._segment(recording, start, self._size if end is None else end)
                yield recording
            at = self._size if end is None else end

    def _segment(self, recording: Recording, at: int, end: int) -> int:
        """Walk over a segment, and return where it ends."""
        while at < min(end, self._size):
            element = self._element(at)
            if element is not None and element[0] == _HEADER:
                return at  # a segment of unknown length ends where another file begins
            if element is None or element[0] not in _IN_SEGMENT:
                at = self._after_damage(recording, at, end)
                continue
            name, start, after = element
            after = end if after is None else after
            if name == _CLUSTER:
                at = self._cluster(recording, start, min(after, end))
                continue
            if name in (_INFO, _TRACKS):
                self._describe(recording, name, start, after)
            at = after
        return end

    def _describe(self, recording: Recording, name: int, start: int, end: int) -> None:
        """Read the clock and the length of a recording, or the numbers of its tracks."""
        for child, low, high in self._children(start, end):
            if name == _TRACKS and child == _TRACK:
                for each, first, last in self._children(low, high):
                    if each == _NUMBER:
                        recording.tracks.add(int.from_bytes(self._content[first:last]))
            elif name == _INFO and child == _TICK:
                recording.tick_seconds = int.from_bytes(self._content[low:high]) / 1e9
            elif name == _INFO and child == _DURATION and high - low in (4, 8):
                kind = ">f" if high - low == 4 else ">d"
                ticks = struct.unpack(kind, self._content[low:high])[0]
                recording.declared_seconds = ticks * recording.tick_seconds

    def _children(self, at: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield id, start and end of the elements in another one."""
        while at < end and (element := self._element(at)):
            name, start, after = element
            if after is None or after > end:
                return
            yield name, start, after
            at = after

    def _cluster(self, recording: Recording, at: int, end: int) -> int:
        """Walk over a cluster, note damage in it, and return where to go on."""
        time = 0
        while at < min(end, self._size):
            element = self._element(at)
            if element is not None and element[0] in (_CLUSTER, _HEADER):
                return at  # a cluster of unknown length ends where another begins
            if element is not None and element[0] in _IN_SEGMENT - _IN_CLUSTER:
                return at
            name, start, after = element or (0, 0, 0)
            if name not in _IN_CLUSTER or after is None or after > end:
                if after is not None and after > self._size and name in _IN_CLUSTER:
                    return self._size  # the file is cut
                return self._after_damage(recording, at, self._size)
            if name == _TIME:
                time = int.from_bytes(self._content[start:after])
            elif name in (_SIMPLE_BLOCK, _GROUP) and not self._block(
                recording, time, name, start, after
            ):
                return self._after_damage(recording, at, self._size)
            at = after
        return end

    def _block(self, recording: Recording, time: int, name: int, start: int, end: int) -> bool:
        """Note the time of a block; return False if it is not of a track of the file."""
        if name == _GROUP:
            blocks = [low for child, low, _ in self._children(start, end) if child == _BLOCK]
            if not blocks:
                return False
            start = blocks[0]
        track, length = self._number(start)
        if recording.tracks and track not in recording.tracks:
            return False
        (offset,) = struct.unpack(">h", self._content[start + length : start + length + 2])
        self._last = (time + offset) * recording.tick_seconds
        return True

    def _after_damage(self, recording: Recording, at: int, end: int) -> int:
        """Note a damage, and return where the next cluster begins."""
        after = self._content.find(_CLUSTER.to_bytes(4), at + 1, end)
        high = float("inf")
        if after >= 0 and (cluster := self._element(after)):
            for name, low, until in self._children(cluster[1], min(cluster[1] + 64, self._size)):
                if name == _TIME:
                    ticks = int.from_bytes(self._content[low:until])
                    high = ticks * recording.tick_seconds
                    break
        recording.damaged.append((self._last, high))
        return after if after >= 0 else end

    def _element(self, at: int) -> tuple[int, int, int | None] | None:
        """Return id, start and end of the element at a position; end None: it does not say.

        None: no element begins there.
        """
        if at + 2 > self._size or not self._content[at]:
            return None
        id_bytes = 9 - self._content[at].bit_length()
        if id_bytes > 4 or at + id_bytes >= self._size or not self._content[at + id_bytes]:
            return None
        size, size_bytes = self._number(at + id_bytes)
        start = at + id_bytes + size_bytes
        name = int.from_bytes(self._content[at : at + id_bytes])
        return name, start, None if size == (1 << 7 * size_bytes) - 1 else start + size

    def _number(self, at: int) -> tuple[int, int]:
        """Return a number of variable length, and how many bytes it takes."""
        length = 9 - self._content[at].bit_length()
        value = int.from_bytes(self._content[at : at + length])
        return value & ((1 << 7 * length) - 1), length
