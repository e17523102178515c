"""Follow H.264's frame_num, whose gap tells of a reference picture that is not there.

FFmpeg's decoder fills such a gap with other pictures and does not always say so.
Source: ITU-T H.264, sections 7.3.2.1, 7.3.3 and 7.4.3.
"""

from collections.abc import Iterable
from typing import NamedTuple

from emo.extract.decode.seeking.nal_units import H264_WIDTH, Bits, NalUnit, nal_units, with_marks
from emo.extract.decode.seeking.unsure import Unsure

_SEQUENCE = 7
"""Kind of the units that hold sequence parameters."""
_PICTURE, _IDR = 1, 5
"""Kinds of the units that hold a slice of a picture, and of an IDR picture."""
_HIGH = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
"""Profiles whose parameters hold a chroma format."""


class _Layout(NamedTuple):
    """Where frame_num lies in the head of a slice."""

    bits: int
    """Width of frame_num."""
    has_plane: bool
    """Whether two bits before it name the colour plane."""


class _Slice(NamedTuple):
    is_idr: bool
    is_reference: bool
    number: int


class FrameNumbers:
    """Expects each picture from an IDR picture on to follow the one before it."""

    def __init__(self, extradata: bytes | None) -> None:
        """Start before an IDR picture.

        Args:
            extradata: the codec's configuration, which may hold the sequence parameters.
        """
        self._extradata = extradata
        self._layout: _Layout | None = None
        self._last = 0
        """frame_num of the last reference picture."""
        if extradata and extradata[0] == 1:
            size = int.from_bytes(extradata[6:8])
            self._layout = _layout_of(extradata[8 : 8 + size])
        elif extradata:
            self._read_sets(with_marks(extradata))

    def _read_sets(self, units: Iterable[NalUnit]) -> None:
        for unit in units:
            if unit[0] & 31 == _SEQUENCE:
                self._layout = _layout_of(unit)

    def expect_next(self, data: NalUnit) -> None:
        """Read the next packet.

        Raises:
            Unsure: it does not follow the packet before, or is damaged.
        """
        picture: _Slice | None = None
        for unit in nal_units(data, self._extradata, H264_WIDTH):
            kind = unit[0] & 31
            if kind == _SEQUENCE:
                self._layout = _layout_of(unit)
            elif kind in (_PICTURE, _IDR):
                one = self._slice_of(unit, is_idr=kind == _IDR)
                if picture not in (None, one):
                    raise Unsure("the slices of a picture disagree")
                picture = one
        if picture is not None:
            self._follow(picture)

    def _slice_of(self, unit: NalUnit, *, is_idr: bool) -> _Slice:
        if self._layout is None:
            raise Unsure("no sequence parameters")
        bits = Bits(unit[1:24])
        for _ in ("first macroblock", "kind of slice", "picture parameters"):
            bits.golomb()
        if self._layout.has_plane:
            bits.fixed(2)
        return _Slice(is_idr, bool(unit[0] >> 5 & 3), bits.fixed(self._layout.bits))

    def _follow(self, picture: _Slice) -> None:
        assert self._layout is not None
        following = (self._last + 1) % (1 << self._layout.bits)
        if picture.number != (0 if picture.is_idr else following):
            raise Unsure("a reference picture is missing")
        if picture.is_reference:
            self._last = picture.number


def _layout_of(sequence: NalUnit) -> _Layout:
    """Read sequence parameters up to the width of frame_num.

    Raises:
        Unsure: they are damaged, or hold scaling matrices, which are rare and not read.
    """
    bits = Bits(sequence[1:80])
    profile = bits.fixed(8)
    bits.fixed(16)
    bits.golomb()
    has_plane = False
    if profile in _HIGH:
        if bits.golomb() == 3:
            has_plane = bool(bits.fixed(1))
        bits.golomb(), bits.golomb(), bits.fixed(1)
        if bits.fixed(1):
            raise Unsure("scaling matrices")
    return _Layout(bits.golomb() + 4, has_plane)
