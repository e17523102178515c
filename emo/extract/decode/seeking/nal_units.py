"""Split packets of H.264 and HEVC into NAL units, and read numbers from their headers.

Source: ITU-T H.264, sections 7.3 and 9.1 and annex B; ISO/IEC 14496-15 for units with lengths.
"""

from collections.abc import Iterator

from emo.extract.decode.seeking.unsure import Unsure

H264_WIDTH, HEVC_WIDTH = 4, 21
"""Byte of the codec's configuration in mp4 and Matroska that says how long a unit's length is."""
_MARK = b"\0\0\1"
"""Start code before a unit of a byte stream."""


NalUnit = bytes | memoryview
"""A NAL unit, or a packet: its bytes, or a view of them that copies nothing."""


def nal_units(data: NalUnit, extradata: bytes | None, width_at: int) -> Iterator[NalUnit]:
    """Yield the NAL units of a packet without start codes and lengths.

    Args:
        data: the packet.
        extradata: the codec's configuration; it tells whether units have start codes or lengths.
        width_at: ``H264_WIDTH`` or ``HEVC_WIDTH``.

    Raises:
        Unsure: a unit is empty or reaches beyond the packet.
    """
    if extradata and extradata[0] == 1 and len(extradata) > width_at:
        return _with_lengths(data, (extradata[width_at] & 3) + 1)
    return with_marks(bytes(data))


def with_marks(data: bytes) -> Iterator[NalUnit]:
    """Yield the NAL units of a byte stream, which are separated by start codes."""
    start = data.find(_MARK)
    while start >= 0:
        end = data.find(_MARK, start + 3)
        unit = data[start + 3 : end if end >= 0 else len(data)]
        if not unit:
            raise Unsure("an empty NAL unit")
        yield unit
        start = end


def _with_lengths(data: NalUnit, width: int) -> Iterator[NalUnit]:
    """Yield the NAL units of a packet in which each has its length before it."""
    at = 0
    while at + width < len(data):
        size = int.from_bytes(data[at : at + width])
        if not 0 < size <= len(data) - at - width:
            raise Unsure("a NAL unit reaches beyond its packet")
        yield data[at + width : at + width + size]
        at += width + size


class Bits:
    """Numbers of a header, read bit by bit."""

    def __init__(self, data: NalUnit) -> None:
        """Start at the first bit of the header of a unit; ``data``: its bytes."""
        data = bytes(data).replace(b"\0\0\3", b"\0\0")  # bytes that prevent start codes
        self._value, self._left = int.from_bytes(data), 8 * len(data)

    def fixed(self, count: int) -> int:
        """Return the number in the next ``count`` bits.

        Raises:
            Unsure: the header ends before.
        """
        self._left -= count
        if self._left < 0:
            raise Unsure("a header is cut")
        return self._value >> self._left & ((1 << count) - 1)

    def golomb(self) -> int:
        """Return the next number of variable length (Exp-Golomb code)."""
        zeros = 0
        while not self.fixed(1):
            zeros += 1
        return (1 << zeros) - 1 + self.fixed(zeros)
