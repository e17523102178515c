"""Read from the headers of sound files how many bytes of sound they should hold.

WAV, AIFF, CAF, W64 and AU state the size of their sound. Recorders that write to a pipe state one
that means "unknown".
"""

import struct
from collections.abc import Iterator

from emo.extract.decode.structure.file_end import FileEnd, OpenFile

_UNKNOWN_SIZES = frozenset({0, 2**32 - 1, 2**31 - 1, 2**63 - 1, 2**64 - 1})
"""Sizes that a recorder writes when it cannot know them."""
_STREAMED_BYTES = 0x7FFF0000
"""Sizes of 32 bits from here on are such, too (sox and others round them)."""


def riff_end(file: OpenFile) -> FileEnd:
    """Return the end that the chunk ``data`` of a WAV file promises.

    In RF64 its size is in a chunk of its own.
    """
    large = None
    for name, size, start in _chunks(file, 12, "<I", 4):
        if name == b"ds64":
            large = struct.unpack("<Q", file.at(start + 8, 8))[0]
        if name == b"data":
            size = large if large and size >= _STREAMED_BYTES else size
            return _by_bytes(file, start, 0 if not large and size >= _STREAMED_BYTES else size)
    return FileEnd()


def aiff_end(file: OpenFile) -> FileEnd:
    """Return the end that the chunk ``SSND`` of an AIFF file promises."""
    for name, size, start in _chunks(file, 12, ">I", 4):
        if name == b"SSND":
            return _by_bytes(file, start, size)
    return FileEnd()


def caf_end(file: OpenFile) -> FileEnd:
    """Return the end that the chunk ``data`` of a CAF file promises."""
    for name, size, start in _chunks(file, 8, ">Q", 4):
        if name == b"data":
            return _by_bytes(file, start, size)
    return FileEnd()


def w64_end(file: OpenFile) -> FileEnd:
    """Return the end that the chunk ``data`` of a Wave64 file promises."""
    for name, size, start in _chunks(file, 40, "<Q", 16):
        if name[:4] == b"data":
            return _by_bytes(file, start, size - 24)
    return FileEnd()


def au_end(file: OpenFile) -> FileEnd:
    """Return the end that the header of an AU file promises."""
    start, size = struct.unpack(">II", file.at(4, 8))
    return _by_bytes(file, start, size)


def _chunks(
    file: OpenFile, at: int, size_format: str, name_bytes: int
) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, size and start of each chunk from byte ``at`` on.

    RIFF and AIFF fill chunks up to an even size, Wave64 to a multiple of 8.
    """
    size_bytes = struct.calcsize(size_format)
    is_w64 = name_bytes == 16
    while len(head := file.at(at, name_bytes + size_bytes)) == name_bytes + size_bytes:
        (size,) = struct.unpack(size_format, head[name_bytes:])
        yield head[:name_bytes], size, at + len(head)
        if is_w64:
            at += -(-size // 8) * 8
        else:
            at += len(head) + size + (size & 1 if size_format != ">Q" else 0)


def _by_bytes(file: OpenFile, start: int, declared: int) -> FileEnd:
    """Return the end of sound of a constant byte rate, from the bytes that are declared."""
    there = file.size - start
    if declared in _UNKNOWN_SIZES or declared <= there or there <= 0:
        return FileEnd()
    return FileEnd(file.reached_seconds * declared / there, is_cut=True)
