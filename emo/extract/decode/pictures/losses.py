"""Tell which pictures a damaged file lost, from where its structure is broken.

FFmpeg skips damaged pages, clusters and packets, so that their pictures never reach the decoder. A
longer step between two pictures is a loss only where the file is damaged: files of variable frame
rate have such steps, too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from emo.extract.decode.container import open_media, origin_seconds, packets_of
from emo.extract.decode.pictures.avi_index import HEADER_BYTES
from emo.extract.decode.sound.ogg_pages import read_pages
from emo.extract.decode.sources.media_file import MediaPath
from emo.extract.decode.structure.flv_tags import damaged_tags
from emo.extract.decode.structure.matroska import damaged_spans
from emo.extract.decode.structure.transport import lost_positions

if TYPE_CHECKING:
    from av.container import InputContainer

_LONG_STEPS = 1.5
"""A step between two pictures is long if it takes so many usual ones."""
_MOST_SECONDS = 3600.0
"""A longer gap is a clock that jumps."""

_NEIGHBOURS = 4
"""Packets on each side of a damage whose pictures it may lie between."""

Spans = list[tuple[float, float]]
"""Spans of time in seconds from the start of the file."""


@dataclass(frozen=True, eq=False)
class Losses:
    """What a damaged file lost of a track's pictures."""

    lost: np.ndarray
    """float64 (n,), rising: times at which a picture is missing."""
    doubtful: np.ndarray
    """float64 (n,), rising: times of pictures after a loss, which may be those of missing ones and
    may be predicted from them; empty where the times after a loss are right."""


NO_LOSSES = Losses(np.zeros(0), np.zeros(0))


@dataclass(frozen=True, eq=False)
class PacketPositions:
    """Where the packets of a track lie, in the order of the file; n of them."""

    seconds: np.ndarray
    """float64 (n,), presentation times from the start of the file."""
    positions: np.ndarray
    """int64 (n,), positions in the file in bytes; -1: not known."""
    is_corrupt: np.ndarray
    """bool (n,), whether FFmpeg flags the packet."""


NO_POSITIONS = PacketPositions(np.zeros(0), np.zeros(0, np.int64), np.zeros(0, bool))


def losses_of(
    path: MediaPath,
    container: InputContainer,
    stream: Any,
    times: np.ndarray,
    packets: PacketPositions,
    step_seconds: float,
) -> Losses:
    """Return what a file lost in and around the listed pictures.

    Args:
        path: the file.
        container: the same file, opened.
        stream: its video track.
        times: float64 (n,), rising: times of the pictures that the file holds.
        packets: the packets of these pictures, in the order of the file.
        step_seconds: usual distance of two pictures.
    """
    doubtful: Spans = []
    if container.format.name == "ogg":
        spans = doubtful = _lost_pages(path, stream.index)
    elif not (np.diff(times) > _LONG_STEPS * step_seconds).any():
        return NO_LOSSES
    elif container.format.name == "flv" or "matroska" in container.format.name:
        find = damaged_tags if container.format.name == "flv" else damaged_spans
        origin = origin_seconds(container)
        spans = [(low - origin, high - origin) for low, high in find(path)]
    elif container.format.name == "avi":
        spans = _lost_chunks(stream, packets)
    else:
        spans = _corrupt_spans(packets)
        if container.format.name == "mpegts":
            spans += _spans_at(lost_positions(path), packets)
    if not spans:
        return NO_LOSSES
    inside = [(times > low) & (times < high) for low, high in doubtful]
    return Losses(
        _missing(times, spans, step_seconds),
        times[np.logical_or.reduce(inside)] if inside else np.zeros(0),
    )


def _missing(times: np.ndarray, spans: Spans, step: float) -> np.ndarray:
    """Return the times of the pictures that are missing in long steps across a span."""
    found: list[float] = []
    for before, after in pairwise(times.tolist()):
        is_long = _LONG_STEPS * step < after - before < _MOST_SECONDS
        if is_long and any(low < after and high > before for low, high in spans):
            count = round((after - before) / step)
            found += np.linspace(before, after, count + 1)[1:-1].tolist()
    return np.array(found)


def _lost_chunks(stream: Any, packets: PacketPositions) -> Spans:
    """Return the spans of the chunks that the index of an AVI lists and the file does not hold."""
    found = set(packets.positions.tolist())
    tick = float(stream.time_base)
    return [
        ((entry.timestamp - 0.5) * tick, (entry.timestamp + 0.5) * tick)
        for entry in (stream.index_entries if found else ())
        if entry.size and entry.pos + HEADER_BYTES not in found
    ]


def _corrupt_spans(packets: PacketPositions) -> Spans:
    """Return the span around each packet that FFmpeg flags."""
    flagged = np.flatnonzero(packets.is_corrupt).tolist()
    return [_around(packets.seconds, at, at) for at in flagged]


def _spans_at(holes: Sequence[tuple[int, int]], packets: PacketPositions) -> Spans:
    """Return the span of the packets around each hole, a pair of positions in the file."""
    is_known = packets.positions >= 0
    positions, seconds = packets.positions[is_known].tolist(), packets.seconds[is_known]
    return [
        _around(seconds, bisect_left(positions, low), bisect_left(positions, high))
        for low, high in holes
        if positions and positions[0] <= high and low <= positions[-1]
    ]


def _around(seconds: np.ndarray, first: int, last: int) -> tuple[float, float]:
    """Return the span of some packets and of their neighbours, among which pictures reorder."""
    near = seconds[max(0, first - _NEIGHBOURS) : last + _NEIGHBOURS + 1]
    return float(near.min()), float(near.max())


def _lost_pages(path: MediaPath, track: int) -> Spans:
    """Return the span of each lost page of an Ogg track, and of the page after it.

    FFmpeg counts on after a lost page as if nothing was lost, up to the end of the next page.
    """
    positions = sorted(at for at, page in read_pages(path).items() if page.is_after_loss)
    if not positions:
        return []
    with open_media(path) as container:
        stream, origin = container.streams[track], origin_seconds(container)
        packets = [
            (packet.pos, float(packet.pts * packet.time_base) - origin)
            for packet in packets_of(container, stream)
            if packet.pts is not None and packet.pos is not None
        ]
    own = {position for position, _ in packets}
    spans: Spans = []
    for page_position in own.intersection(positions):
        before = [time for position, time in packets if position < page_position]
        after = [time for position, time in packets if position > page_position]
        spans.append((max(before, default=-np.inf), min(after, default=np.inf)))
    return sorted(spans)
