"""Decode the sound of a file from its start, or from where a seek is known to end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, dropwhile, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from emo.extract.decode.container import origin_seconds, packets_from, packets_of, reason_of_ffmpeg
from emo.extract.decode.sound.ogg_pages import begins_with_loss, read_pages
from emo.extract.decode.sound.packet_times import DecodedPacket, with_true_times
from emo.extract.decode.sound.restarts import Restarts
from emo.extract.decode.sound.seekable import BYTE_EXACT, SKIPPABLE
from emo.extract.decode.sound.stray_blocks import without_strays
from emo.extract.decode.sound.timeline import (
    JUMP_SECONDS,
    AlignedSound,
    DecodedSound,
    Grid,
    align,
    grid_of,
)
from emo.extract.decode.sources.media_file import MediaPath
from emo.machine.libraries import late

if TYPE_CHECKING:
    import av
    from av.audio.frame import AudioFrame
    from av.container import InputContainer
else:
    av = late("av")

_JUMPY = frozenset({"mpegts", "mpeg", "vob"})
"""Containers whose clock may jump within a recording."""
_CHECKED_CODECS = frozenset({"flac", "wavpack", "tta", "ac3", "eac3"})
"""Codecs with a checksum in each packet; FFmpeg heeds it only when told to."""
_EQUAL_CODECS = frozenset({"ac3", "eac3", "dca", "mp2", "mp2float", "mp1", "mp1float"})
_RAW = frozenset({"ac3", "eac3", "dts", "mp3"})
"""Codecs whose packets are usually of one size, and their containers, which are nothing but
packets: one that is smaller at the end is cut."""
_LEAST_PACKETS, _SMALLER = 8, 0.98
"""How many packets must agree in size before that is seen, and to which share."""
_HEAD_BLOCKS = 6
"""Blocks at the start of a file that tell how long each is."""
_DECODED_BLOCKS = 16
"""Blocks at the start of a file that are decoded before others are skipped."""
_PREROLL_SECONDS = 1.0
"""Seconds of sound before a stretch that are decoded: codecs need what precedes."""
_JUMP_BACK_SECONDS, _JUMP_SECONDS = 0.1, 10.0
"""Jumps of the times that make it uncertain where skipped packets lie."""
_CHECKED_BLOCKS = 4
"""Blocks after a seek that must start where blocks of the file start."""


class SoundSource:
    """The sound of one track, decoded and aligned, and what went wrong while it was decoded."""

    def __init__(self, path: MediaPath, container: InputContainer, stream: Any) -> None:
        """Decode nothing yet.

        Args:
            path: the file.
            container: the open file, of which nothing was read.
            stream: its audio track.
        """
        stream.thread_count = 1  # several clips run in parallel instead
        if stream.codec_context.name in _CHECKED_CODECS:
            stream.codec_context.options = {"err_detect": "crccheck+explode"}
        self._path, self._container, self._stream = path, container, stream
        self._origin = origin_seconds(container)
        if container.format.name == "ogg" and self._origin and begins_with_loss(read_pages(path)):
            self._origin = 0.0  # FFmpeg begins to count after the damage
        formats = set(container.format.name.split(","))
        self._is_skippable = bool(SKIPPABLE & formats)
        self._is_jumpy = bool(_JUMPY & formats)
        self._is_exact = bool((BYTE_EXACT | {"flac"}) & formats)
        self._has_equal_packets = (
            bool(_RAW & formats) and stream.codec_context.name in _EQUAL_CODECS
        )
        self._restarts = Restarts(path)
        self._has_jumped = False
        """Whether the times jumped among skipped packets."""
        self.broken: str | None = None
        """Reason of FFmpeg for the first packet that could not be decoded; None: all could."""
        self.open_damage: float | None = None
        """Seconds of sound in the packets since the last block, which could not be decoded; None:
        none were lost."""
        self.is_cut_short = False
        """Whether the last packet is incomplete, or reading the file broke."""

    @property
    def tick_seconds(self) -> float:
        """Step of the container's clock."""
        return float(self._stream.time_base)

    def from_start(self) -> Iterator[AlignedSound]:
        """Decode everything, from the first packet on."""
        blocks = self._decode(packets_of(self._container, self._stream))
        return self._aligned(blocks)

    def near(self, start_seconds: float) -> Iterator[AlignedSound] | None:
        """Decode from a second before ``start_seconds`` on, after a seek or after skipped packets.

        Returns:
            Blocks, the first of which starts no later than ``start_seconds``; or None where it
            is not certain at which sample they start. The file must then be opened anew.
        """
        grid, blocks = (
            self._skipped(start_seconds) if self._is_skippable else self._sought(start_seconds)
        )
        if grid is None:
            return None
        next(blocks, None)  # the first block may begin within a packet
        checked = list(islice(blocks, _CHECKED_BLOCKS))
        starts = [_snapped(block, grid) for block in checked]
        if not checked or self._has_jumped or any(start is None for start in starts):
            return None
        first = checked[0]
        assert starts[0] is not None
        if starts[0] > round(start_seconds * first.rate):
            return None
        self.broken = None if self.open_damage is None else self.broken
        moved = DecodedSound(starts[0] / first.rate, first.rate, first.samples)
        return self._aligned(chain([moved, *checked[1:]], blocks), grid)

    def _sought(self, start_seconds: float) -> tuple[Grid | None, Iterator[DecodedSound]]:
        """Return the grid of the track, and the blocks after a seek."""
        grid = self._exact_grid()
        if grid is None:
            head = islice(self._decode(packets_of(self._container, self._stream)), _HEAD_BLOCKS)
            grid = self._grid_of(list(head))
        self.broken = self.open_damage = None
        packets = packets_from(self._container, self._stream, start_seconds)
        return grid, self._decode(packets)

    def _skipped(self, start_seconds: float) -> tuple[Grid | None, Iterator[DecodedSound]]:
        """Return the grid of the track, and the blocks after packets that were not decoded."""
        low = start_seconds - _PREROLL_SECONDS
        blocks = self._decode(packets_of(self._container, self._stream), skip_until=low)
        head = list(islice(blocks, _HEAD_BLOCKS))
        grid = self._exact_grid() or self._grid_of(head)
        return grid, dropwhile(lambda block: (block.seconds or 0.0) < low, blocks)

    def _aligned(
        self, blocks: Iterator[DecodedSound], grid: Grid | None = None
    ) -> Iterator[AlignedSound]:
        return align(
            blocks, name=self._path.name, tick_seconds=self.tick_seconds,
            is_jumpy=self._is_jumpy, grid=grid, restart=self._restarts.offset,
        )  # fmt: skip

    def _exact_grid(self) -> Grid | None:
        """Return the grid of a track whose clock counts samples; None: it does not."""
        codec = self._stream.codec_context
        is_exact = self._is_exact or codec.name.startswith("pcm_")
        is_fine = self.tick_seconds * codec.sample_rate <= 1.001
        return Grid(0, 1, self.tick_seconds) if is_exact and is_fine else None

    def _grid_of(self, head: list[DecodedSound]) -> Grid | None:
        """Return the samples at which blocks may start, from the first blocks of the file."""
        blocks = list(self._aligned(iter(head)))
        most = max(self.tick_seconds / 2, JUMP_SECONDS)
        is_true = all(
            own.seconds is not None and abs(own.seconds - block.start / block.rate) <= most
            for own, block in zip(head, blocks, strict=True)
        )
        is_long = len(blocks) == _HEAD_BLOCKS
        return grid_of(blocks, self.tick_seconds) if is_true and is_long else None

    def _decode(
        self, packets: Iterable[Any], skip_until: float | None = None
    ) -> Iterator[DecodedSound]:
        read = self._read(packets)
        decoded = self._decoded(read) if skip_until is None else self._after(read, skip_until)
        name = self._container.format.name
        timed = with_true_times(self._path, name, self._stream, self._origin, decoded)
        return without_strays(timed)

    def _decoded(self, packets: Iterable[Any]) -> Iterator[DecodedPacket]:
        for packet in packets:
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                self.broken = self.broken or reason_of_ffmpeg(error)
                lost = float((packet.duration or 0) * packet.time_base)
                self.open_damage = (self.open_damage or 0.0) + lost
                continue
            yield packet, [self._block(frame) for frame in frames]

    def _after(self, packets: Iterator[Any], low: float) -> Iterator[DecodedPacket]:
        """Decode the head of the file and what follows after ``low``; skip what is between."""
        count = 0
        for packet, blocks in self._decoded(packets):
            yield packet, blocks
            count += len(blocks)
            if count >= _DECODED_BLOCKS:
                break
        last: float | None = None
        base = self._stream.time_base  # without fractions: hours of packets are passed over
        ticks, unit = base.numerator, base.denominator
        for packet in packets:
            pts = packet.pts
            seconds = None if pts is None else pts * ticks / unit - self._origin
            if seconds is None and packet.size:
                continue
            if seconds is None or seconds >= low:
                if last is not None:
                    self._stream.codec_context.flush_buffers()
                    self.broken = self.open_damage = None
                yield from self._decoded(chain([packet], packets))
                return
            if last is not None:
                is_usual = -_JUMP_BACK_SECONDS < seconds - last < _JUMP_SECONDS
                self._has_jumped = self._has_jumped or not is_usual
            last = seconds
            yield packet, []

    def _read(self, packets: Iterable[Any]) -> Iterator[Any]:
        """Yield packets until the end of the file, or until reading it breaks."""
        iterator = iter(packets)
        count, least, most = 0, 0, 0
        while True:
            try:
                packet = next(iterator)
            except StopIteration:
                return
            except av.error.FFmpegError as error:
                self.broken = self.broken or reason_of_ffmpeg(error)
                self.is_cut_short = True
                return
            if packet.size:
                # PCM of a length that nobody stated ends within a packet, too
                self.is_cut_short = packet.is_corrupt and not self._is_exact
                if self._has_equal_packets:
                    is_known = count >= _LEAST_PACKETS and least >= _SMALLER * most
                    self.is_cut_short |= is_known and packet.size < _SMALLER * least
                    count, most = count + 1, max(most, packet.size)
                    least = min(least or most, packet.size)
            yield packet

    def _block(self, frame: AudioFrame) -> DecodedSound:
        seconds = None if frame.time is None else frame.time - self._origin
        is_after_damage, self.open_damage = self.open_damage is not None, None
        return DecodedSound(seconds, frame.rate, samples_of(frame), is_after_damage)


def _snapped(block: DecodedSound, grid: Grid) -> int | None:
    return None if block.seconds is None else grid.snap(block.seconds, block.rate)


def samples_of(frame: AudioFrame) -> np.ndarray:
    """Return the samples of a decoded frame, float32 (channels, S); full scale is [-1, 1]."""
    raw: np.ndarray = frame.to_ndarray()  # planar: (channels, S); packed: (1, S * channels)
    if not frame.format.is_planar:
        raw = raw.reshape(-1, frame.layout.nb_channels).T
    if raw.dtype.kind == "f":
        return raw.astype(np.float32)
    if raw.dtype.kind == "u":
        raw = raw.astype(np.int16) - 128
        return raw.astype(np.float32) / 128
    full_scale = 2.0 ** (8 * raw.itemsize - 1)
    return (raw / full_scale).astype(np.float32)
