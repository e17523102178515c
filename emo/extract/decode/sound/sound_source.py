"""Decode the sound of a file from its start, or from where a seek is known to end."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import InputContainer

from emo.extract.decode.container import origin_seconds, packets_from, reason_of_ffmpeg
from emo.extract.decode.sound.ogg_pages import begins_with_loss, read_pages
from emo.extract.decode.sound.packet_times import DecodedPacket, with_true_times
from emo.extract.decode.sound.restarts import Restarts
from emo.extract.decode.sound.stray_blocks import without_strays
from emo.extract.decode.sound.timeline import AlignedSound, DecodedSound, Grid, align, grid_of

_BYTE_EXACT = frozenset({"wav", "w64", "aiff", "au", "caf"})
"""Containers in which the position in bytes tells the time, if the codec is PCM."""
_INDEXED = frozenset({"mov", "matroska"})
"""Containers with an index; whether it is right is seen from the times after the seek."""
_JUMPY = frozenset({"mpegts", "mpeg", "vob"})
"""Containers whose clock may jump within a recording."""
_CHECKED_CODECS = frozenset({"flac", "wavpack", "tta", "ac3", "eac3"})
"""Codecs with a checksum in each packet; FFmpeg heeds it only when told to."""
_HEAD_BLOCKS = 6
"""Blocks at the start of a file that tell how long each is."""
_CHECKED_BLOCKS = 4
"""Blocks after a seek that must start where blocks of the file start."""


def seeks_truly(container: InputContainer, stream: Any) -> bool:
    """Return whether a seek may be tried, because the times after it are true or can be checked.

    Others (ADPCM in WAV, MP3, Ogg, AVI, MPEG-TS …) are decoded from the start: their times after a
    seek are guessed from a byte rate, or counted from an index that may be wrong.
    """
    formats = set(container.format.name.split(","))
    if formats & _BYTE_EXACT:
        return _has_true_byte_rate(stream)
    return bool(formats & (_INDEXED | {"flac"}))


def _has_true_byte_rate(stream: Any) -> bool:
    """Return whether the sound is PCM and the header states its byte rate, which FFmpeg uses."""
    codec = stream.codec_context
    bits = re.fullmatch(r"pcm_(?:[suf](\d+)(?:[bl]e)?|mulaw|alaw)", codec.name)
    if bits is None:
        return False
    true_rate = codec.sample_rate * codec.channels * int(bits[1] or 8)
    return codec.bit_rate in (None, 0, true_rate)


class SoundSource:
    """The decoded and placed sound of one track, and what went wrong while it was decoded."""

    def __init__(self, path: Path, container: InputContainer, stream: Any) -> None:
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
        self._is_jumpy = bool(_JUMPY & formats)
        self._is_exact = bool((_BYTE_EXACT | {"flac"}) & formats)
        self._restarts = Restarts(path)
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
        blocks = self._decode(self._container.demux(self._stream))
        return self._aligned(blocks)

    def near(self, start_seconds: float) -> Iterator[AlignedSound] | None:
        """Decode from a seek before ``start_seconds`` on, with a second to spare.

        Returns:
            Blocks, the first of which starts no later than ``start_seconds``; or None where it
            is not certain at which sample they start. The file must then be opened anew.
        """
        grid = self._grid()
        if grid is None:
            return None
        self.broken = self.open_damage = None
        packets = packets_from(self._container, self._stream, start_seconds)
        blocks = self._decode(packets)
        next(blocks, None)  # the first block after a seek may begin within a packet
        checked = list(islice(blocks, _CHECKED_BLOCKS))
        starts = [_snapped(block, grid) for block in checked]
        if not checked or any(start is None for start in starts):
            return None
        first = checked[0]
        assert starts[0] is not None
        if starts[0] > round(start_seconds * first.rate):
            return None
        self.broken = None if self.open_damage is None else self.broken
        moved = DecodedSound(starts[0] / first.rate, first.rate, first.samples)
        return self._aligned(chain([moved, *checked[1:]], blocks), grid)

    def _aligned(
        self, blocks: Iterator[DecodedSound], grid: Grid | None = None
    ) -> Iterator[AlignedSound]:
        return align(
            blocks, name=self._path.name, tick_seconds=self.tick_seconds,
            is_jumpy=self._is_jumpy, grid=grid, restart=self._restarts.offset,
        )  # fmt: skip

    def _grid(self) -> Grid | None:
        """Return the samples at which blocks may start; decodes the head of the file."""
        is_exact = self._is_exact or self._stream.codec_context.name.startswith("pcm_")
        if is_exact and self.tick_seconds * self._stream.codec_context.sample_rate <= 1.001:
            return Grid(0, 1, self.tick_seconds)  # its clock counts samples
        head = islice(self._decode(self._container.demux(self._stream)), _HEAD_BLOCKS)
        blocks = list(self._aligned(head))
        return grid_of(blocks, self.tick_seconds) if len(blocks) == _HEAD_BLOCKS else None

    def _decode(self, packets: Iterable[Any]) -> Iterator[DecodedSound]:
        decoded = self._decoded(self._read(packets))
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

    def _read(self, packets: Iterable[Any]) -> Iterator[Any]:
        """Yield packets until the end of the file, or until reading it breaks."""
        iterator = iter(packets)
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
