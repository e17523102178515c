"""List the times of a video track's frames, and note how each frame is found again."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from emo.extract.decode.container import (
    discard_others,
    expect_whole,
    open_media,
    origin_seconds,
    packets_from,
)
from emo.extract.decode.kept_file import KeptFile
from emo.extract.decode.pictures.avi_index import AviIndex
from emo.extract.decode.pictures.clock import are_true, rising_times, seconds_of, usual_step
from emo.extract.decode.pictures.decoder import decoded_frames, step_seconds
from emo.extract.decode.pictures.losses import (
    NO_LOSSES,
    NO_POSITIONS,
    Losses,
    PacketPositions,
    losses_of,
)
from emo.extract.decode.pictures.picture_track import film_track
from emo.extract.decode.pictures.still import is_still
from emo.extract.decode.seeking.listing import PacketTable, is_listed, list_packets
from emo.extract.decode.seeking.unsure import Unsure
from emo.extract.decode.sources.media_file import MediaPath
from emo.extract.decode.structure.joined import unread_seconds
from emo.extract.decode.structure.truncated import is_truncated, whole_seconds

if TYPE_CHECKING:
    from av.container import InputContainer

_OWN_TIMES = frozenset({"mpeg", "mpegts"})
"""Containers that hold presentation times even where each equals the decoding time."""


@dataclass(frozen=True, eq=False)
class FrameList:
    """Times of the frames in and around a stretch of a file."""

    seconds: np.ndarray
    """float64 (n,), rising, from the start of the file; n >= 1."""
    track: int = 0
    """Index of the track in the container."""
    is_counted: bool = False
    """Whether the k-th time belongs to the k-th frame that is decoded from the file's first packet.
    False: frames have these times themselves."""
    is_still: bool = False
    """Whether the file is a still picture, which is shown at any time."""
    shown_until: float = np.inf
    """Time until which the last frame is shown."""
    step: float = 0.0
    """Usual distance of two frames in seconds."""
    losses: Losses = NO_LOSSES
    """Pictures that the file lost because it is damaged."""
    is_joined: bool = False
    """Whether the file was not cut, but holds further recordings that FFmpeg does not read."""
    size: tuple[int, int] = (0, 0)
    """Height and width (H, W) as the headers declare them; of a still picture (0, 0)."""
    whole_until: float | None = None
    """Where the file was cut, or is joined: the time at which it once ended, at least a frame after
    ``shown_until``; infinite if its headers do not tell. None: it is whole, or was not read to its
    end."""
    table: PacketTable | None = None
    """The packets, by which frames may be found by seeking; None: the file is not of a kind in
    which that is tried."""

    def within(self, start_seconds: float | None, end_seconds: float | None) -> np.ndarray | str:
        """Return the times of the frames in a stretch.

        A stretch in which no frame begins has the one that is shown at its start.

        Returns:
            float64 (m,), rising, m >= 1; or why there are none.
        """
        low = -np.inf if start_seconds is None else start_seconds
        high = np.inf if end_seconds is None else end_seconds
        first, last = np.searchsorted(self.seconds, [low, high])
        if last > first:
            return self.seconds[first:last]
        if self.is_still or (first and low < self.shown_until):
            return self.seconds[max(0, first - 1) : max(1, first)]
        known = f"the last is at {self.seconds[-1]:.2f} s"
        if not first:
            known = f"the first is at {self.seconds[0]:.2f} s"
        until = "the end" if end_seconds is None else f"{end_seconds:.2f} s"
        return f"no frame between {start_seconds or 0:.2f} s and {until}: {known}"

    def indices(self, wanted: np.ndarray, origin: float, time_base: Fraction) -> np.ndarray:
        """Return the indices in :attr:`table` of the packets of some frames, int64 (F,).

        Args:
            wanted: float64 (F,), rising times among :attr:`seconds`.
            origin: time of the file's start in seconds.
            time_base: length of a tick of the track in seconds.

        Raises:
            Unsure: a time is not that of one packet.
        """
        assert self.table is not None
        order = self.table.order[self.table.is_shown[self.table.order]]
        listed = seconds_of(self.table.pts[order], time_base) - origin
        at = np.minimum(np.searchsorted(listed, wanted), len(order) - 1)
        if (listed[at] != wanted).any() or (np.diff(at) <= 0).any():
            raise Unsure("a wanted time is not listed")
        found: np.ndarray = order[at]
        return found

    def lacking_seconds(self, start_seconds: float | None, end_seconds: float | None) -> float:
        """Return how much of a stretch's end the file lacks because it was cut; 0.0: nothing.

        When neither the stretch's end nor the headers tell, it is the length of one frame.
        """
        if self.whole_until is None:
            return 0.0
        end = min(self.whole_until, np.inf if end_seconds is None else end_seconds)
        end = self.shown_until + self.step if end == np.inf else end
        return max(0.0, end - max(self.shown_until, start_seconds or 0.0))


def list_frames(
    path: MediaPath,
    *,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    kept: KeptFile | None = None,
) -> FrameList | str:
    """List the times of a stretch's frames from the packets, without decoding them.

    Where the packets' times are not those of the pictures (AVI with B-frames, B-frames that were
    copied to MKV or NUT with the times of their packets, joined recordings, missing, equal or stray
    times), the track is decoded once, and each picture gets a time of its own. The counts and
    lengths that containers declare are often wrong (266 frames declared, 209 shown) and are not
    used.

    Args:
        path: a media file or a still picture.
        start_seconds: start of the stretch, from the start of the file; None: the first frame.
        end_seconds: end of the stretch (exclusive); None: the end of the file.
        kept: keeps the file open; None: it is closed.

    Returns:
        The list, or why there are no frames.

    Raises:
        MediaError: the file cannot be read, or ends long before its own index says.
    """
    if is_still(path):
        return FrameList(np.zeros(1), is_still=True)
    with open_media(path) if kept is None else kept.opened(path) as container:
        stream = film_track(path, container)
        if stream is None:
            return "the file has no video track"
        track = stream.index
        table = _read_packets(container, stream, start_seconds, end_seconds)
        packets = _Packets(container, stream, table)
        if packets.are_true() and not (
            packets.are_in_file_order() and _head_falls(path, track, *_state(path))
        ):
            return packets.listed(path, start_seconds, end_seconds)
    return _counted(path, track, *_state(path))


class _Packets:
    """What the packets of a track say about its frames."""

    def __init__(self, container: InputContainer, stream: Any, table: PacketTable) -> None:
        self._container, self._stream, self._table = container, stream, table
        self._origin, self._base = origin_seconds(container), stream.time_base

    def _seconds(self, ticks: np.ndarray) -> np.ndarray:
        """Return times from the start of the file, float64 (n,)."""
        return seconds_of(ticks, self._base) - self._origin

    def are_true(self) -> bool:
        """Return whether the presentation times are those of the pictures."""
        table, name = self._table, self._container.format.name
        pts, reorders = table.pts[table.is_shown], bool(self._stream.codec_context.has_b_frames)
        equal = name not in _OWN_TIMES and np.array_equal(pts, table.dts)
        return are_true(
            pts, table.dts, tick_seconds=float(self._base), reorders=reorders,
            are_guessed=equal or name == "avi",
        )  # fmt: skip

    def are_in_file_order(self) -> bool:
        """Return whether times rise from packet to packet although the codec may reorder pictures.

        Either the track has no B-frames, or the times are not those of its pictures.
        """
        pts = self._table.pts[self._table.is_shown]
        rises = bool((np.diff(pts) >= 0).all())
        return bool(self._stream.codec_context.has_b_frames) and rises

    def listed(self, path: MediaPath, start: float | None, end: float | None) -> FrameList | str:
        container, stream, table = self._container, self._stream, self._table
        times = np.unique(self._seconds(table.pts[table.is_shown]))
        if table.is_to_end:
            expect_whole(
                path, container, stream, times[-1] if len(times) else 0.0,
                start_seconds=start, end_seconds=end,
            )  # fmt: skip
        if not len(times):
            return "the video has no frames"
        latest = len(table.pts) - 1 - int(table.pts[::-1].argmax())
        last = float(max(0, int(table.durations[latest])) * self._base) or step_seconds(stream)
        until = float(times[-1]) + last
        whole, is_joined = (
            _whole_until(path, container, stream, until) if table.is_to_end else (None, False)
        )
        step = usual_step(times, step_seconds(stream))
        positions = PacketPositions(self._seconds(table.pts), table.positions, table.is_corrupt)
        losses = losses_of(path, container, stream, times, positions, step)
        return FrameList(
            times, stream.index, shown_until=until, step=step, losses=losses,
            is_joined=is_joined, whole_until=whole, size=_size(stream),
            table=table if is_listed(container, stream) else None,
        )  # fmt: skip


def _read_packets(
    container: InputContainer, stream: Any, start: float | None, end: float | None
) -> PacketTable:
    """Read the packets of a stretch; of containers that are searched for a time, all packets."""
    if container.format.flags & _TIMES_MAY_JUMP:
        start = end = None
    origin, base = origin_seconds(container), stream.time_base
    ticks, unit = base.numerator, base.denominator
    discard_others(container, stream)
    return list_packets(
        container, stream, packets_from(container, stream, start),
        None if end is None else lambda reached: reached * ticks / unit - origin >= end,
        AviIndex(container, stream).late_ticks if container.format.name == "avi" else None,
    )  # fmt: skip


_TIMES_MAY_JUMP = 0x200
"""FFmpeg's AVFMT_TS_DISCONT: the container has no index, and a time may occur in it twice."""


def _state(path: MediaPath) -> tuple[int, int]:
    """Return size and time of change of a file, to tell it from another of the same name."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


_HEAD_FRAMES = 48
"""Frames at the start of a track in which B-frames show, if it has any."""


@lru_cache(maxsize=256)
def _head_falls(path: MediaPath, track: int, size_bytes: int, changed: int) -> bool:
    """Return whether the times of a track's first frames fall in the order of the decoder."""
    with open_media(path) as container:
        frames = decoded_frames(container, container.streams[track], None, [])
        times = np.array([time for time, _ in islice(frames, _HEAD_FRAMES)])
    return bool((np.diff(times) < 0).any())


@lru_cache(maxsize=16)
def _counted(path: MediaPath, track: int, size_bytes: int, changed: int) -> FrameList | str:
    """Decode a whole track for the times of its frames, or return those found before.

    Args:
        path: the file.
        track: index of the track in the container.
        size_bytes: with ``changed``, tells one file from another of the same name.
        changed: time of its last change.
    """
    with open_media(path) as container:
        stream = container.streams[track]
        declared, size = step_seconds(stream), _size(stream)
        raw = np.array([time for time, _ in decoded_frames(container, stream, None, [])])
        if not len(raw):
            return "the video has no frames"
        times = rising_times(raw, declared)
        step = usual_step(times, declared)
        until = float(times[-1]) + step
        whole, is_joined = _whole_until(path, container, stream, until)
        own = len(times) == len(raw) and np.allclose(np.sort(raw), times)  # False with NaN
        losses = losses_of(path, container, stream, times, NO_POSITIONS, step) if own else NO_LOSSES
    return FrameList(
        times, track, is_counted=True, shown_until=until, step=step, losses=losses,
        is_joined=is_joined, whole_until=whole, size=size,
    )  # fmt: skip


def _size(stream: Any) -> tuple[int, int]:
    return stream.codec_context.height, stream.codec_context.width


def _whole_until(
    path: MediaPath, container: InputContainer, stream: Any, until: float
) -> tuple[float | None, bool]:
    """Return when the pictures of a cut or joined file once ended, at least a frame later.

    Returns:
        The time, None: all is read; and whether the file is joined from several instead of cut.
    """
    name = container.format.name
    least = until + step_seconds(stream)
    if is_truncated(path, name):
        declared = whole_seconds(path, container, stream)
        return (np.inf if declared is None else max(declared, least)), False
    unread = unread_seconds(path, name)
    return (max(until + unread, least), True) if unread else (None, False)
