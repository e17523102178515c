"""Tell by the bits of a packet whether decoding may start there.

The keyframe flags of containers are not used: false and missing ones are common. H.264's recovery
points are no starts: after them, lost references go unseen.

Sources: ITU-T H.264 table 7-1, H.265 table 7-1, H.262 section 6; ISO/IEC 14496-2 section 6.2; the
bitstream guides of VP8 (RFC 6386), VP9, AV1 and Theora.
"""

from collections.abc import Callable
from typing import NamedTuple

from emo.extract.decode.seeking.nal_units import H264_WIDTH, HEVC_WIDTH, NalUnit, nal_units


class DecodeStart(NamedTuple):
    """What the bits of a packet say about a start of decoding."""

    is_true: bool
    """Whether no later picture refers to one before this packet, leading pictures aside."""
    sets: bytes = b""
    """The parameter sets that the packet brings with it."""


_NO, _YES = DecodeStart(False), DecodeStart(True)
StartReader = Callable[[NalUnit, bytes | None], DecodeStart]
"""Function (packet, configuration of the codec or None) -> what its bits say.

Raises:
    Unsure, IndexError: the packet is damaged.
"""


def _h264(data: NalUnit, extradata: bytes | None) -> DecodeStart:
    """An IDR picture."""
    sets = b""
    for unit in nal_units(data, extradata, H264_WIDTH):
        kind = unit[0] & 31
        if kind in (7, 8, 13):
            sets += bytes(unit).rstrip(b"\0")
        elif kind in (1, 2, 5):
            return DecodeStart(kind == 5, sets) if sets else _YES if kind == 5 else _NO
    return _NO


def _hevc(data: NalUnit, extradata: bytes | None) -> DecodeStart:
    """An IRAP picture: IDR, CRA or BLA."""
    sets = b""
    for unit in nal_units(data, extradata, HEVC_WIDTH):
        kind = unit[0] >> 1 & 63
        if 32 <= kind <= 34:
            sets += bytes(unit).rstrip(b"\0")
        elif kind < 32:
            return DecodeStart(16 <= kind <= 21, sets)
    return _NO


def _mpeg12(data: NalUnit, extradata: bytes | None) -> DecodeStart:
    """An I picture after a sequence header."""
    data = bytes(data)
    sequence = data.find(b"\0\0\1\xb3")
    picture = data.find(b"\0\0\1\0", max(sequence, 0))
    if not 0 <= sequence < picture or picture + 6 > len(data):
        return _NO
    return DecodeStart(data[picture + 5] >> 3 & 7 == 1)


def _mpeg4(data: NalUnit, extradata: bytes | None) -> DecodeStart:
    """An I-VOP."""
    data = bytes(data)
    picture = data.find(b"\0\0\1\xb6")
    sets = b""
    if data.startswith((b"\0\0\1\xb0", b"\0\0\1\0", b"\0\0\1\x20")):
        group = data.find(b"\0\0\1\xb3", 0, picture)  # its time code differs each time
        sets = data[: group if group >= 0 else picture]
    return DecodeStart(0 <= picture < len(data) - 4 and data[picture + 4] >> 6 == 0, sets)


def _vp8(data: NalUnit, extradata: bytes | None) -> DecodeStart:
    """A key frame with its start code."""
    return DecodeStart(len(data) > 9 and data[0] & 1 == 0 and data[3:6] == b"\x9d\x01\x2a")


def _vp9(data: NalUnit, extradata: bytes | None) -> DecodeStart:
    """A key frame with its start code; no frame that only shows an earlier one."""
    if len(data) < 10 or data[0] >> 6 != 2:
        return _NO
    profile = (data[0] >> 5 & 1) | (data[0] >> 4 & 1) << 1
    shift = 2 if profile < 3 else 1
    is_key = not data[0] >> (shift + 1) & 1 and not data[0] >> shift & 1
    return DecodeStart(is_key and (profile == 3 or data[1:4] == b"\x49\x83\x42"))


def _av1(data: NalUnit, extradata: bytes | None) -> DecodeStart:
    """A key frame that is shown, after a sequence header."""
    at, sequence = 0, b""
    while at < len(data):
        kind, has_extension, has_size = data[at] >> 3 & 15, data[at] >> 2 & 1, data[at] >> 1 & 1
        at += 1 + has_extension
        size, width = _leb128(data, at) if has_size else (len(data) - at, 0)
        at += width
        if kind == 1:
            sequence = bytes(data[at : at + size])
        elif kind in (3, 6):
            if not sequence or at >= len(data):
                return _NO
            is_still = sequence[0] >> 3 & 1  # a header of the short form: always a key frame
            return DecodeStart(bool(is_still) or data[at] >> 4 == 0b0001, sequence)
        at += size
    return _NO


def _leb128(data: NalUnit, at: int) -> tuple[int, int]:
    """Return a number of variable length and how many bytes it takes."""
    value = 0
    for width, byte in enumerate(data[at : at + 8], 1):
        value |= (byte & 127) << 7 * (width - 1)
        if not byte & 128:
            return value, width
    return value, len(data) - at


def _theora(data: NalUnit, extradata: bytes | None) -> DecodeStart:
    """An intra frame."""
    return DecodeStart(bool(data) and data[0] & 0xC0 == 0)


STARTS: dict[str, StartReader] = {
    "h264": _h264, "hevc": _hevc, "mpeg1video": _mpeg12, "mpeg2video": _mpeg12,
    "mpeg4": _mpeg4, "vp8": _vp8, "vp9": _vp9, "av1": _av1, "theora": _theora,
}  # fmt: skip
"""FFmpeg's name of a codec -> how its starts are told."""
