"""List the packets of a track as plain numbers, and note at which of them decoding may start."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from emo.extract.decode.seeking.starts import STARTS, StartReader
from emo.extract.decode.seeking.unsure import Unsure

MISSING = -(1 << 62)
"""Stands for a time that a packet does not have."""
WITHIN = frozenset({"mov", "matroska", "mpegts"})
"""Containers in which pictures have times of their own and a seek may be tried."""
FORWARD = frozenset({"flv", "mpeg", "ivf"})
"""Containers with such times but no index: they are read on to the start, undecoded."""
_COLUMNS = 7


@dataclass(frozen=True, eq=False)
class PacketTable:
    """The packets of a stretch of a track, in the order of the file; n of them."""

    pts: np.ndarray
    """int64 (n,), presentation times in ticks; :data:`MISSING`: the packet has none."""
    dts: np.ndarray
    """int64 (n,), decoding times in ticks; :data:`MISSING`: the packet has none."""
    positions: np.ndarray
    """int64 (n,), where the packets lie in the file, in bytes; :data:`MISSING`: not known."""
    sizes: np.ndarray
    """int64 (n,), bytes of each packet."""
    durations: np.ndarray
    """int64 (n,), ticks for which each packet is shown; 0: not known."""
    is_shown: np.ndarray
    """bool (n,), False: an edit list hides the picture."""
    is_corrupt: np.ndarray
    """bool (n,), whether FFmpeg flags the packet as damaged."""
    starts: np.ndarray
    """int64 (s,), indices of the packets at which decoding may start."""
    is_to_end: bool
    """Whether the track was read to its end."""
    changes: bool = False
    """Whether the codec's parameters change within the stretch."""
    can_go_back: bool = True
    """Whether the container can be sought; False: it is read from its start."""
    has_own_dts: bool = True
    """Whether the decoding times are the file's; False: FFmpeg guesses them (Matroska)."""
    is_moved: bool = False
    """Whether times differ from those that FFmpeg gives, because chunks of an AVI are lost."""

    @cached_property
    def order(self) -> np.ndarray:
        """int64 (n,), indices of the packets in the order of presentation."""
        return np.argsort(self.pts, kind="stable")


def list_packets(
    container: Any,
    stream: Any,
    packets: Iterable[Any],
    is_behind: Callable[[int], bool] | None,
    late_ticks: Callable[[Any], int] | None,
) -> PacketTable:
    """List packets; nothing is decoded.

    The list ends with the first packet that has no presentation time.

    Args:
        container: the open file.
        stream: its video track.
        packets: the packets of the track.
        is_behind: says of a time in ticks whether it lies behind the stretch; None: it has no end.
        late_ticks: says how many ticks later than FFmpeg counts a packet is shown; None: none is.
    """
    codec = stream.codec_context.codec
    look = STARTS.get(codec.canonical_name) if is_listed(container, stream) else None
    extradata, names = stream.codec_context.extradata, set(container.format.name.split(","))
    numbers: list[int | None] = []  # flat: a tuple for each packet would start the collector
    add = numbers.extend
    starts: list[int] = []
    sets: set[bytes] = set()
    late, is_moved, changes, is_to_end = 0, False, False, True
    for packet in packets:
        size = packet.size
        if not size:
            continue
        if look is not None and packet.is_keyframe:
            if _may_start(look, packet, extradata, sets):
                starts.append(len(numbers) // _COLUMNS)
            changes = changes or packet.has_sidedata("new_extradata")
        pts, dts = packet.pts, packet.dts
        if late_ticks is not None and pts is not None:
            late = late_ticks(packet)
            is_moved, pts = is_moved or late > 0, pts + late
        add((
            pts, dts, packet.pos, size, packet.duration, packet.is_discard, packet.is_corrupt
        ))  # fmt: skip
        if pts is None:
            break
        if is_behind is not None and is_behind(pts if dts is None else dts + late):
            is_to_end = False
            break
    if None in numbers:
        numbers = [MISSING if number is None else number for number in numbers]
    table = np.array(numbers, np.int64).reshape(-1, _COLUMNS)
    pts_, dts_, positions, sizes, durations, hidden, corrupt = np.ascontiguousarray(table.T)
    all_start = codec.intra_only and look is None
    return PacketTable(
        pts_, dts_, positions, sizes, durations, hidden == 0, corrupt > 0,
        np.arange(len(pts_)) if all_start else np.array(starts, np.int64),
        is_to_end, changes or len(sets) > 1, not FORWARD & names, "matroska" not in names,
        is_moved,
    )  # fmt: skip


def _may_start(look: StartReader, packet: Any, extradata: bytes | None, sets: set[bytes]) -> bool:
    """Return whether decoding may start at a packet, and note its parameter sets."""
    try:
        start = look(memoryview(packet), extradata)
    except (Unsure, IndexError):
        return False
    if start.is_true:
        sets.add(start.sets)
    return start.is_true


def is_listed(container: Any, stream: Any) -> bool:
    """Return whether the rule of seeking covers a track's container and codec."""
    codec, names = stream.codec_context.codec, set(container.format.name.split(","))
    if codec.intra_only:
        return bool(names & (WITHIN | FORWARD | {"avi"}))
    return codec.canonical_name in STARTS and bool(names & (WITHIN | FORWARD))


def why_unsought(table: PacketTable) -> str | None:
    """Return why no picture of a listed stretch may be had by a seek; None: it may."""
    pts = table.pts
    dts = table.dts if table.has_own_dts else np.full_like(table.dts, MISSING)
    checks = {
        "no packets": not len(pts),
        "packets without times": bool((pts == MISSING).any()),
        "a packet is flagged as damaged": bool(table.is_corrupt.any()),
        "the codec's parameters change": table.changes,
        "chunks are lost": table.is_moved,
        "two pictures at one time": bool((np.diff(pts[table.order]) == 0).any()),
        "decoding times do not rise": bool((np.diff(dts[dts != MISSING]) <= 0).any()),
        "a picture is shown before it is decoded": bool((pts < dts).any()),
    }
    return next((reason for reason, is_so in checks.items() if is_so), None)
