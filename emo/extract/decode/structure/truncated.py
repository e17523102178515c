"""Tell from a container's structure whether a file was cut off, and how long it once was."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

from emo.extract.decode.container import declared_seconds
from emo.extract.decode.sources.media_file import MediaPath
from emo.extract.decode.structure.transport import packet_kind

if TYPE_CHECKING:
    from av.container import InputContainer

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
"""Identifier of the file properties in ASF's header."""
_MXF_PARTITION = bytes.fromhex("060e2b34020501010d01020101")
"""Beginning of the key of MXF's header partition; three bytes of the key follow."""
_NUT_INDEX = bytes.fromhex("4e58dd672f23e64e")
"""Start code of NUT's index."""
_DECLARING = frozenset({"matroska", "flv", "mov", "mxf"})
"""Containers whose headers declare their length."""
_TAIL_BYTES = 2**17
"""At most so much is read at the end of a file to find the last packet; PES packets are shorter."""


def is_truncated(path: MediaPath, format_name: str) -> bool:
    """Return whether the last element of a file reaches beyond its end.

    Files that are cut exactly between two elements are not recognised, and neither are containers
    without sizes (raw streams).

    Args:
        path: a file that FFmpeg opened.
        format_name: FFmpeg's name of its container.
    """
    with path.open("rb") as file:
        size_bytes = file.seek(0, 2)
        for name, reaches_beyond in _READERS.items():
            if name in format_name.split(","):
                return reaches_beyond(file, size_bytes)
    return False


def whole_seconds(path: MediaPath, container: InputContainer, stream: Any) -> float | None:
    """Return how long a file that is cut says it once was; None: its headers do not tell.

    FFmpeg corrects the length of a cut AVI, but not its number of frames; of a cut ASF it forgets
    the length; for containers without a declared length (MPEG, Ogg) it returns the length of what
    is left.
    """
    if container.format.name == "asf":
        with path.open("rb") as file:
            header = asf_header(file.read(2**16))
        return None if header is None else header[1]
    if container.format.name == "avi":
        known = stream.frames and stream.average_rate
        return float(stream.frames / stream.average_rate) if known else None
    declares = not _DECLARING.isdisjoint(container.format.name.split(","))
    return declared_seconds(container) if declares else None


def _matroska(file: BinaryIO, size_bytes: int) -> bool:
    """Walk over EBML headers and segments; joined files have several of each."""
    position = 0
    while position < size_bytes:
        file.seek(position)
        head = file.read(12)
        if head[:4] not in (_EBML, _SEGMENT):
            return False
        length = _vint_length(head[4]) if len(head) > 4 else 9
        if len(head) < 4 + length:
            return True
        size = int.from_bytes(head[4 : 4 + length]) & ((1 << 7 * length) - 1)
        if size == (1 << 7 * length) - 1:  # unknown, as in live recordings
            return False
        position += 4 + length + size
    return position > size_bytes


def _vint_length(first: int) -> int:
    """Return the bytes of an EBML number that begins with ``first``."""
    return 9 - first.bit_length() if first else 9


def _riff(file: BinaryIO, size_bytes: int) -> bool:
    """Walk over the RIFF chunks of an AVI; large ones have several."""
    position = 0
    while position + 8 <= size_bytes:
        file.seek(position)
        head = file.read(8)
        size = int.from_bytes(head[4:], "little")
        if head[:4] != b"RIFF" or size in (0, 2**32 - 1):  # 0: the recorder never finished it
            return False
        position += 8 + size + size % 2
    return position > size_bytes + 1


def _flv(file: BinaryIO, size_bytes: int) -> bool:
    """Compare the last tag with the size that follows it."""
    file.seek(max(0, size_bytes - 4))
    size = int.from_bytes(file.read(4))
    if not 11 <= size <= size_bytes - 4:
        return True
    file.seek(size_bytes - 4 - size)
    return int.from_bytes(file.read(4)[1:]) + 11 != size


def _mpeg(file: BinaryIO, size_bytes: int) -> bool:
    """Find the last packet of a program stream and compare its length with what is left."""
    start = max(0, size_bytes - _TAIL_BYTES)
    file.seek(start)
    tail = file.read()
    position = 0
    while (position := tail.find(b"\0\0\1", position)) >= 0:
        code = tail[position + 3 : position + 4]
        if code and code[0] >= 0xBC and position + 6 <= len(tail):
            length = int.from_bytes(tail[position + 4 : position + 6])
            if position + 6 + length > len(tail):
                return True
            position += 6 + length
        else:
            position += 3
    return False


def _transport(file: BinaryIO, size_bytes: int) -> bool:
    """Return whether the last packet of a transport stream is cut, or the last PES of a track.

    Packets have 188 bytes; 192 with a time code before them, 204 with a checksum behind them.
    """
    file.seek(0)
    kind = packet_kind(file.read(1024))
    if kind is None:
        return False
    packet, offset = kind
    first = max(0, size_bytes // packet - _TAIL_BYTES // packet) * packet + offset
    file.seek(first)
    return size_bytes % packet != 0 or _has_open_pes(file.read(), packet)


def _has_open_pes(tail: bytes, packet: int) -> bool:
    """Return whether some track's last PES holds fewer bytes than it declares; 0 declares none."""
    lacking: dict[int, int] = {}
    for position in range(0, len(tail) - 187, packet):
        track = int.from_bytes(tail[position + 1 : position + 3]) & 0x1FFF
        starts, control = tail[position + 1] & 0x40, tail[position + 3] >> 4
        payload = tail[
            position + 4 + (1 + tail[position + 4] if control & 2 else 0) : position + 188
        ]
        if starts and payload[:3] == b"\0\0\1" and len(payload) >= 6:
            declared = int.from_bytes(payload[4:6])
            lacking[track] = 6 + declared - len(payload) if declared else 0
        elif track in lacking and control & 1:
            lacking[track] -= len(payload)
    return any(count > 0 for count in lacking.values())


def _asf(file: BinaryIO, size_bytes: int) -> bool:
    """Compare the size that ASF's header states with the file's; a live recording states none."""
    file.seek(0)
    header = asf_header(file.read(2**16))
    return header is not None and header[0] > size_bytes


def asf_header(head: bytes) -> tuple[int, float] | None:
    """Return the bytes and seconds of a WMA or WMV by its header.

    Args:
        head: the first bytes of the file.

    Returns:
        Both, or None: the header does not tell, as in a broadcast.
    """
    at = head.find(_ASF_FILE)
    if at < 0 or len(head) < at + 92:
        return None
    size, _, _, duration = struct.unpack("<QQQQ", head[at + 40 : at + 72])
    preroll_ms, flags = struct.unpack("<QI", head[at + 80 : at + 92])
    return None if flags & 1 else (size, duration / 1e7 - preroll_ms / 1e3)


def _mxf(file: BinaryIO, size_bytes: int) -> bool:
    """Return whether the footer lies beyond the end of the file, by the header partition."""
    file.seek(0)
    head = file.read(2**17)
    at = head.find(_MXF_PARTITION) + 16
    if at < 16 or len(head) < at + 48:
        return False
    at += 1 + (head[at] & 127 if head[at] > 127 else 0)
    (footer,) = struct.unpack(">Q", head[at + 24 : at + 32])
    return bool(footer >= size_bytes)  # 0: a recorder has not written it


def _nut(file: BinaryIO, size_bytes: int) -> bool:
    """Return whether the index at the end is missing."""
    file.seek(max(0, size_bytes - 2**20))
    return _NUT_INDEX not in file.read()


def _dv(file: BinaryIO, size_bytes: int) -> bool:
    """Return whether the last picture is incomplete; each takes a multiple of one size."""
    file.seek(0)
    head = file.read(4)
    return len(head) == 4 and size_bytes % (144000 if head[3] & 128 else 120000) != 0


def _ogg(file: BinaryIO, size_bytes: int) -> bool:
    """Return whether the last page is cut."""
    file.seek(max(0, size_bytes - _TAIL_BYTES))
    tail = file.read()
    position = tail.rfind(b"OggS")
    if position < 0:
        return False
    page = tail[position:]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    return len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])


def _boxes(file: BinaryIO, size_bytes: int) -> bool:
    """Walk over the boxes of an mp4."""
    position = 0
    while position + 8 <= size_bytes:
        file.seek(position)
        head = file.read(16)
        size = int.from_bytes(head[:4])
        size = int.from_bytes(head[8:16]) if size == 1 else size
        if size < 8:  # 0: the box reaches to the end of the file
            return False
        position += size
    return position > size_bytes


_READERS: dict[str, Callable[[BinaryIO, int], bool]] = {
    "matroska": _matroska, "avi": _riff, "flv": _flv, "mpeg": _mpeg, "mpegts": _transport,
    "asf": _asf, "ogg": _ogg, "mov": _boxes, "mxf": _mxf, "nut": _nut, "dv": _dv,
}  # fmt: skip
