"""Tell in which files a seek ends where it should, or can be checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.container import InputContainer


BYTE_EXACT = frozenset({"wav", "w64", "aiff", "au", "caf"})
"""Containers in which the position in bytes tells the time, if the codec is PCM."""
_INDEXED = frozenset({"mov", "matroska"})
"""Containers with an index; whether it is right is seen from the times after the seek."""
SKIPPABLE = frozenset({"ogg", "avi", "mpegts", "mpeg", "mp3"})
"""Containers without an index that can be believed, but with times: packets before a stretch are
read and not decoded."""
_SAME_BITS = frozenset({"mp3"})
"""Containers of SKIPPABLE whose sound has the same bits wherever decoding began: MP3 needs at most
five packets before, and a second holds thirteen or more."""


def seeks_truly(container: InputContainer, stream: Any) -> bool:
    """Return whether a seek may be tried, because the times after it are true or can be checked.

    Others (ADPCM in WAV, raw AC-3, Ogg Vorbis …) are decoded from the start: their times after a
    seek are guessed from a byte rate, or blocks are of lengths that only decoding tells.
    """
    formats = set(container.format.name.split(","))
    if formats & BYTE_EXACT:
        return _has_true_byte_rate(stream)
    if formats & SKIPPABLE:
        return "vorbis" not in stream.codec_context.name
    return bool(formats & (_INDEXED | {"flac"}))


def has_same_bits(container: InputContainer) -> bool:
    """Return whether a stretch has the same bits wherever decoding began before it."""
    return bool(_SAME_BITS & set(container.format.name.split(",")))


def _has_true_byte_rate(stream: Any) -> bool:
    """Return whether the sound is PCM and the header states its byte rate, which FFmpeg uses."""
    codec = stream.codec_context
    bits = re.fullmatch(r"pcm_(?:[suf](\d+)(?:[bl]e)?|mulaw|alaw)", codec.name)
    if bits is None:
        return False
    true_rate = codec.sample_rate * codec.channels * int(bits[1] or 8)
    return codec.bit_rate in (None, 0, true_rate)
