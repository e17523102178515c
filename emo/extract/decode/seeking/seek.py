"""Give wanted pictures of a track by seeks, each with the bits that a whole decode gives it.

A picture is given only if all of this holds; anything else raises :class:`Unsure`:

1. The container and codec are known to number their pictures truly (`listing.is_listed`).
2. The packets' times are complete, unique and consistent (`listing.why_unsought`).
3. Decoding starts at a true start by its bits (`starts.py`), not by the container's flag.
4. The packets from there on are those of the list, one by one.
5. The pictures come out as listed, in order and without a gap; the first is a keyframe, none is
   flagged as damaged, and their kind does not change. One is given only when all that were decoded
   before it are out: a damaged picture may come after its B-frames.
6. The decoder is told to fail at every error (``err_detect=explode``).
7. MPEG-4 is not interlaced: FFmpeg drops B-frames of it after a seek.
8. H.264's ``frame_num`` has no gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from emo.extract.decode.container import packets_of
from emo.extract.decode.seeking.expected import Expected
from emo.extract.decode.seeking.frame_numbers import FrameNumbers
from emo.extract.decode.seeking.listing import MISSING, PacketTable, why_unsought
from emo.extract.decode.seeking.unsure import Unsure
from emo.machine.libraries import late

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
else:
    av = late("av")

_LEAST_SAVED = 4
"""Packets that need not be decoded, to be worth a new start."""
_READ_ON = 100
"""Packets up to which reading on is cheaper than a seek."""
_OVERSHOT = 64
"""Packets that may be read behind the last wanted one; a container without an index cannot go
back."""


class Seeker:
    """Decodes wanted pictures of one open file; see the rule at the top of this file."""

    def __init__(self, container: InputContainer, stream: Any, table: PacketTable) -> None:
        """Prepare the decoder.

        Args:
            container: the file, opened anew, or read by this process for ``table`` alone.
            stream: its video track; no packet of it was decoded.
            table: the list of its packets.

        Raises:
            Unsure: no picture of this track may be had by a seek.
        """
        if reason := why_unsought(table):
            raise Unsure(reason)
        self._container, self._stream, self._table = container, stream, table
        context = stream.codec_context
        stream.thread_count = 1  # several clips run in parallel instead
        context.options = {**context.options, "err_detect": "explode"}
        self._codec = context.codec.canonical_name
        self._can_seek = table.can_go_back
        self._packets: Iterator[Packet[Any]] | None = None
        self._next = 0
        """Index in the table of the packet that is read next."""
        self._kind: tuple[Any, ...] | None = None
        """Size, format, rotation and colour of the pictures; None: none came out."""

    def pictures(self, wanted: np.ndarray) -> Iterator[VideoFrame]:
        """Yield the pictures of some packets.

        Args:
            wanted: int64 (F,), indices of packets in the table, in the order of presentation.

        Raises:
            Unsure: the next picture cannot be shown to be that of a whole decode.
        """
        for start, indices in self._runs(wanted):
            yield from self._run(start, indices)

    def _runs(self, wanted: np.ndarray) -> list[tuple[int, list[int]]]:
        """Return where to start anew, and the wanted packets that are decoded from there."""
        runs: list[tuple[int, list[int]]] = []
        saved, reach = _LEAST_SAVED if self._can_seek else _OVERSHOT, -1
        for index in wanted.tolist():
            start = self._start_of(index)
            if runs and start <= reach + saved:
                runs[-1][1].append(index)
            else:
                runs.append((start, [index]))
            reach = max(reach, index)
        return runs

    def _start_of(self, index: int) -> int:
        """Return the last start from which a packet's picture can be decoded."""
        starts, pts = self._table.starts, self._table.pts
        for at in range(int(np.searchsorted(starts, index, side="right")) - 1, -1, -1):
            if pts[starts[at]] <= pts[index]:
                return int(starts[at])
        raise Unsure("no true start before the picture")

    def _run(self, start: int, indices: list[int]) -> Iterator[VideoFrame]:
        """Yield wanted pictures of one run of packets, each once all before it are out."""
        table, last = self._table, max(indices)
        expected = Expected(table, start, indices, is_first=self._kind is None)
        until = np.maximum.accumulate(table.pts[start : last + 1])
        # time of a wanted picture -> time of the last picture that was decoded before it
        held_until = {int(table.pts[index]): int(until[index - start]) for index in indices}
        held: list[tuple[int, VideoFrame]] = []
        fed: list[int] = []
        for frame in self._decoded(start, fed, expected):
            if (ticks := expected.take(frame)) is None:
                continue
            self._expect_sound(frame)
            if ticks in held_until:
                held.append((held_until[ticks], frame))
            while held and expected.is_looked_at and held[0][0] <= ticks:
                yield held.pop(0)[1]
        expected.finish(fed)
        yield from (frame for _, frame in held)

    def _decoded(self, start: int, fed: list[int], expected: Expected) -> Iterator[VideoFrame]:
        """Decode from a start until enough pictures are out, and those that the decoder holds.

        Args:
            start: index of the first packet.
            fed: the indices of the decoded packets are appended to it.
            expected: says when enough pictures are out.
        """
        packet: Packet[Any] | None = self._packet_at(start)
        index, count, context = start, len(self._table.pts), self._stream.codec_context
        numbers = FrameNumbers(context.extradata) if self._codec == "h264" else None
        assert self._packets is not None
        try:
            while packet is not None and packet.size:
                self._expect_listed(packet, index)
                if numbers is not None:
                    numbers.expect_next(memoryview(packet))
                fed.append(index)
                self._next = index = index + 1
                yield from packet.decode()
                if expected.is_enough or index >= count:  # what follows the stretch is not listed
                    break
                packet = next(self._packets, None)
            yield from context.decode(None)
        except av.error.FFmpegError as error:
            raise Unsure(f"decoding broke: {error}") from error

    def _packet_at(self, start: int) -> Packet[Any]:
        """Return the packet at an index of the table; the next ones follow it."""
        table = self._table
        reads_on = self._packets is not None and 0 <= start - self._next <= _READ_ON
        if self._can_seek and not reads_on:
            by_pts = not table.has_own_dts or table.dts[start] == MISSING
            ticks = int((table.pts if by_pts else table.dts)[start])
            try:
                self._container.seek(ticks, stream=self._stream)
            except av.error.FFmpegError as error:
                raise Unsure("the file cannot seek") from error
            self._packets = packets_of(self._container, self._stream)
        elif self._packets is None:
            self._packets = packets_of(self._container, self._stream)
        self._stream.codec_context.flush_buffers()
        latest = int(table.dts[start])
        for packet in self._packets:
            if packet.size == 0:
                break
            if self._is(packet, start):
                return packet
            if table.has_own_dts and packet.dts is not None and MISSING < latest < packet.dts:
                break
        raise Unsure("the seek does not lead to the start")

    def _is(self, packet: Packet[Any], index: int) -> bool:
        table = self._table
        position = MISSING if packet.pos is None else packet.pos
        return bool(
            packet.pts == table.pts[index]
            and packet.size == table.sizes[index]
            and position == table.positions[index]
        )

    def _expect_listed(self, packet: Packet[Any], index: int) -> None:
        if not self._is(packet, index) or packet.has_sidedata("new_extradata"):
            raise Unsure("the packets are not those listed")

    def _expect_sound(self, frame: VideoFrame) -> None:
        if frame.is_corrupt:
            raise Unsure("a picture is flagged as damaged")
        if self._codec == "mpeg4" and frame.interlaced_frame:
            raise Unsure("interlaced MPEG-4")
        kind = (
            frame.width, frame.height, frame.format.name, frame.rotation, frame.colorspace,
            frame.color_range,
        )  # fmt: skip
        if self._kind not in (None, kind):
            raise Unsure("the kind of the pictures changes")
        self._kind = kind
