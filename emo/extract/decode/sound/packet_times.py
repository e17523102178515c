"""Correct the times that FFmpeg counts on after damage, from what the file itself says.

Ogg Vorbis and FLAC: each page says at which sample it ends. AVI: an index lists the chunks with
their positions. Elsewhere packets carry times of their own.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from emo.extract.decode.sound.ogg_pages import OggPage, read_pages
from emo.extract.decode.sound.timeline import JUMP_SECONDS, DecodedSound
from emo.extract.decode.sources.media_file import MediaPath

_COUNTED = frozenset({"vorbis", "libvorbis", "flac"})
"""Codecs whose pages in Ogg state the sample at which they end."""

DecodedPacket = tuple[Any, Sequence[DecodedSound]]
"""A packet, and the blocks that came out of the decoder for it."""


def with_true_times(
    path: MediaPath, format_name: str, stream: Any, origin: float, decoded: Iterable[DecodedPacket]
) -> Iterator[DecodedSound]:
    """Yield the decoded blocks of an audio track with their times corrected.

    Args:
        path: the file.
        format_name: FFmpeg's name of its container.
        stream: the track.
        origin: time that counts as the start of the file, in seconds of its clock.
        decoded: the packets and blocks in the order of the file.
    """
    if format_name == "avi":
        return _by_index(stream, decoded)
    if format_name == "ogg":
        pages = {
            position: page
            for position, page in read_pages(path).items()
            if page.is_after_loss and page.granule is not None
        }
        if pages and stream.codec_context.name in _COUNTED:
            return _by_page(pages, origin, decoded)
        if pages:
            return _marked(pages, decoded)
    return (block for _, blocks in decoded for block in blocks)


def _by_page(
    pages: dict[int, OggPage], origin: float, decoded: Iterable[DecodedPacket]
) -> Iterator[DecodedSound]:
    """Let the sound of a page after a lost one end at the sample that this page states.

    The last page may state less than it holds: its sound begins where the lost page ended, if that
    is known.
    """
    for position, packets in groupby(decoded, key=lambda each: each[0].pos):
        found = [block for _, blocks in packets for block in blocks]
        page = pages.get(position)
        if page is None or page.granule is None:
            yield from found
            continue
        sample = page.granule - sum(block.samples.shape[1] for block in found)
        if page.is_last and page.start_granule is not None:
            sample = page.start_granule
        for index, block in enumerate(found):
            seconds = sample / block.rate - origin
            yield replace(block, seconds=seconds, is_after_damage=not index)
            sample += block.samples.shape[1]


def _marked(pages: dict[int, OggPage], decoded: Iterable[DecodedPacket]) -> Iterator[DecodedSound]:
    """Mark the first block of each page after a lost one."""
    for position, packets in groupby(decoded, key=lambda each: each[0].pos):
        is_after_loss = position in pages
        for block in (block for _, blocks in packets for block in blocks):
            yield replace(block, is_after_damage=True) if is_after_loss else block
            is_after_loss = False


def _by_index(stream: Any, decoded: Iterable[DecodedPacket]) -> Iterator[DecodedSound]:
    """Let each chunk lie where the index says; the index counts chunks, or bytes of PCM."""
    index = {entry.pos + 8: entry.timestamp for entry in stream.index_entries}
    unit, late = 0.0, 0.0
    for packet, blocks in decoded:
        entry = index.get(packet.pos)
        if entry is not None and packet.pts is not None:
            seconds = float(packet.pts * packet.time_base)
            unit = unit or (seconds / entry if entry else 0.0)
            late = entry * unit - seconds if unit else 0.0
        for block in blocks:
            if block.seconds is None or abs(late) <= JUMP_SECONDS:
                yield block
            else:
                yield replace(block, seconds=block.seconds + late)
