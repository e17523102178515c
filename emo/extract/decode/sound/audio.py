"""Decode the audio of a clip: float32, every channel, at the file's own sample rate.

Sample k of a clip lies k / sample rate after the clip's start. Where the file has no sound (a track
that starts late, lost packets, pauses) there is silence, as a player would play it.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from emo.errors import MediaError
from emo.extract.decode.budget import LEAST_RATE, ClipBudget
from emo.extract.decode.container import declared_seconds, expect_whole, open_media
from emo.extract.decode.faults import NO_FAULTS, Faults
from emo.extract.decode.limits import media_limits
from emo.extract.decode.sound.audio_track import pick_audio
from emo.extract.decode.sound.packet_seconds import packet_seconds
from emo.extract.decode.sound.seekable import has_same_bits, seeks_truly
from emo.extract.decode.sound.sound_faults import SoundFaults
from emo.extract.decode.sound.sound_source import SoundSource
from emo.extract.decode.sound.timeline import AlignedSound
from emo.extract.decode.sources.media_file import MediaPath

Audio = tuple[np.ndarray, int]
"""Samples float32 (channels, S) and their sample rate in Hz."""
_NAMED_CHANNELS = {"left": 0, "right": 1}
_MEASURED_BYTES = 2**27
"""Once so many bytes of a stretch are decoded, its other packets are counted before more is."""
_NEAR_SECONDS = 1.0
"""A stretch that starts earlier is decoded from the start: a seek begins this much before it."""


@dataclass(frozen=True, eq=False)
class ClipSound:
    """The decoded audio of a clip, or the reason why it has none."""

    samples: np.ndarray | None
    """float32 (channels, S), from the clip's start on; None: it has no audio."""
    sample_rate: int | None
    """Sample rate in Hz."""
    start_seconds: float | None
    """Seconds from the clip's start to the first sample that the file holds; silence is put before
    it."""
    absent: str | None = None
    """Reason why there are no samples; None: there are."""
    faults: Faults = NO_FAULTS
    """What the file lacks of the clip's audio."""


def read_audio(
    path: MediaPath, *, channel: str, start_seconds: float | None, end_seconds: float | None
) -> Audio | str:
    """Decode the audio between two times, to the sample; see :func:`read_sound`.

    Returns:
        Samples float32 (channels, S) and their sample rate, or the reason why there are none.
    """
    sound = read_sound(
        path, channel=channel, track=None, start_seconds=start_seconds, end_seconds=end_seconds
    )
    if sound.samples is None or sound.sample_rate is None:
        return sound.absent or ""
    return sound.samples, sound.sample_rate


def read_sound(
    path: MediaPath,
    *,
    channel: str,
    track: str | None,
    start_seconds: float | None,
    end_seconds: float | None,
    budget: ClipBudget | None = None,
) -> ClipSound:
    """Decode the audio between two times, to the sample.

    The channels are not mixed, because FFmpeg's own down-mix is sqrt(2) louder than their mean, and
    samples outside [-1, 1] are kept.

    Args:
        path: a media file.
        channel: ``mix`` keeps all channels; ``left``, ``right`` or a 0-based number keeps one.
        track: number or language of the audio track; None: the default one.
        start_seconds: start of the stretch; None: the start of the file.
        end_seconds: end of the stretch (exclusive); None: the end of the audio.
        budget: counts the bytes that the clip holds; None: one for this sound alone.

    Returns:
        The samples, or the reason why there are none, and what the file lacks of them.

    Raises:
        MediaError: nothing can be decoded, the track or channel does not exist, a sample is not
            finite, an mp4 is cut, a file without a video track holds no samples, or the samples
            take more than ``budget`` allows.
    """
    with AudioPass(
        path, channel=channel, track=track, start_seconds=start_seconds, budget=budget
    ) as audio:
        return audio.read(start_seconds, end_seconds)


class AudioPass(AbstractContextManager["AudioPass"]):
    """Read several stretches of a file's audio in one decoding pass; see :func:`read_sound`."""

    def __init__(
        self, path: MediaPath, *, channel: str, start_seconds: float | None,
        track: str | None = None, budget: ClipBudget | None = None,
    ) -> None:  # fmt: skip
        """Open the file.

        Args:
            path: a media file.
            channel: ``mix``, ``left``, ``right`` or a 0-based number.
            start_seconds: earliest start of the stretches that will be read; None: the file's.
            track: number or language of the audio track; None: the default one.
            budget: counts the bytes of the blocks that are kept; None: one for this pass alone.
        """
        self._budget = ClipBudget(path.name) if budget is None else budget
        self._path, self._channel, self._track = path, channel, track
        self._stack = ExitStack()
        self._open()
        self.is_from_start = self._stream is None or not seeks_truly(self._container, self._stream)
        """Whether every stretch is decoded from the start of the file, even if read alone."""
        self.serves_all = self.is_from_start or has_same_bits(self._container)
        """Whether stretches have the same samples read in one pass and read alone."""
        self._has_video = bool(self._container.streams.video)
        self._kept: deque[AlignedSound] = deque()
        """Decoded blocks that may overlap this stretch or a later one."""
        self._last: AlignedSound | None = None
        """The last decoded block; None: nothing was decoded yet."""
        self._kept_bytes = 0
        """Bytes of the kept blocks."""
        self._blocks = self._aligned(start_seconds)

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def _open(self) -> None:
        self._container = self._stack.enter_context(open_media(self._path))
        self._stream = pick_audio(self._container, self._track, self._path.name)
        if self._stream is not None:
            self._source = SoundSource(self._path, self._container, self._stream)
            self._faults = SoundFaults(self._path, self._container, self._stream, self._source)

    def _aligned(self, start_seconds: float | None) -> Iterator[AlignedSound]:
        if self._stream is None:
            return iter(())
        if start_seconds and start_seconds > _NEAR_SECONDS and not self.is_from_start:
            blocks = self._source.near(start_seconds)
            if blocks is not None:
                return blocks
            self._stack.close()
            self._open()
        return self._source.from_start()

    def read(self, start_seconds: float | None, end_seconds: float | None) -> ClipSound:
        """Decode a stretch that starts no earlier than the one read before it."""
        if self._stream is None:
            return ClipSound(None, None, None, "the file has no audio track")
        self._expect_short(self._stream.codec_context, start_seconds or 0.0, end_seconds)
        self._expect_within_limit(start_seconds or 0.0, end_seconds)
        is_ended = not self._decode(start_seconds or 0.0, end_seconds)
        if is_ended:
            expect_whole(
                self._path, self._container, self._stream, self._end_seconds,
                start_seconds=start_seconds, end_seconds=end_seconds,
            )  # fmt: skip
        if self._last is None:
            return self._nothing()
        rate = self._last.rate if not self._kept else self._expect_one_format()
        first = round((start_seconds or 0.0) * rate)
        end = None if end_seconds is None else round(end_seconds * rate)
        stop = self._last.end if is_ended else end
        stop = self._last.end if stop is None else stop if end is None else min(stop, end)
        faults = self._faults.within(first, end, rate, self._last.end if is_ended else None)
        if stop <= first:
            return ClipSound(None, None, None, self._why_none(start_seconds), faults)
        samples, start = self._assemble(first, stop, is_last=end_seconds is None)
        if start is None and self._faults.is_damaged(first, stop):
            reason = f"the audio is damaged from {first / rate:.2f} s to {stop / rate:.2f} s"
            return ClipSound(None, None, None, reason, faults)
        self._expect_finite(samples, rate, first)
        return ClipSound(
            _channel(samples, self._channel), rate, None if start is None else start / rate,
            faults=faults,
        )  # fmt: skip

    def _expect_short(self, context: Any, start: float, end: float | None) -> None:
        """Refuse hours of uncompressed sound at a few Hz by the size of the file.

        Decoding them takes minutes until the memory's limit is reached. Declared lengths are often
        wrong and are not used.
        """
        rate, channels = context.sample_rate, context.channels
        if not 0 < rate < LEAST_RATE or not context.name.startswith("pcm_") or not channels:
            return
        most = self._container.size / (context.format.bytes * channels * rate)
        seconds = (most if end is None else min(end, most)) - start
        self._budget.expect(int(max(0.0, seconds) * channels * rate * 4), sample_rate=rate)

    def _expect_within_limit(self, start: float, end: float | None) -> None:
        """Refuse a stretch longer than ``--max-seconds``, if its headers say so and its packets."""
        most, declared = media_limits().clip_seconds, declared_seconds(self._container)
        if most is None or declared is None:
            return
        until = declared if end is None else min(end, declared)
        if until - start > most:
            self._expect_packets_fit(start, end)

    def _expect_packets_fit(self, start: float, end: float | None) -> None:
        """Refuse a stretch by the length of its packets, before more of it is decoded.

        Without this, hours of silence in a small file are decoded until the memory's limit is
        reached.
        """
        assert self._stream is not None
        seconds = packet_seconds(self._path, self._stream.index, start, end)
        media_limits().check_seconds(self._path.name, seconds)
        if self._last is not None:
            model = self._last
            count = int(seconds * model.rate) * len(model.samples) * 4
            self._budget.expect(max(0, count - self._kept_bytes), sample_rate=model.rate)

    @property
    def _end_seconds(self) -> float:
        return self._last.end / self._last.rate if self._last else 0.0

    def _decode(self, start: float, end: float | None) -> bool:
        """Drop blocks that ended before ``start`` and decode until a block starts after ``end``.

        Returns:
            Whether such a block came; False: the file ended before it.
        """
        while self._kept and self._kept[0].end <= start * self._kept[0].rate:
            dropped = self._kept.popleft().samples
            self._kept_bytes -= dropped.nbytes
            self._budget.release(dropped)
        is_measured = self._kept_bytes > _MEASURED_BYTES
        while end is None or self._last is None or self._last.start < end * self._last.rate:
            block = next(self._blocks, None)
            if block is None:
                return False
            self._faults.add(block)
            self._last = block
            if block.end > start * block.rate:
                self._budget.hold(block.samples, sample_rate=block.rate)
                self._kept.append(block)
                self._kept_bytes += block.samples.nbytes
                until = block.end / block.rate
                until = until if end is None else min(until, end)
                media_limits().check_seconds(self._path.name, until - start)
                if self._kept_bytes > _MEASURED_BYTES and not is_measured:
                    self._expect_packets_fit(start, end)
                    is_measured = True
        return True

    def _assemble(self, first: int, stop: int, *, is_last: bool) -> tuple[np.ndarray, int | None]:
        """Return the samples from index ``first`` to ``stop``, and where the first block lies.

        Args:
            first: index of the first sample.
            stop: index behind the last sample.
            is_last: whether the blocks are not needed afterwards; each is freed as it is copied.

        Returns:
            float32 (channels, stop - first), silence where no block is, and the index of the first
            decoded sample in it; None: all is silence.
        """
        assert self._last is not None
        model = self._kept[0] if self._kept else self._last
        channels = len(model.samples)
        count = channels * (stop - first) * 4
        if is_last:  # each block gives back what the samples take
            count = max(0, count - sum(block.samples.nbytes for block in self._kept))
        self._budget.expect(count, sample_rate=model.rate)
        samples = np.zeros((channels, stop - first), np.float32)
        start, done = None, first
        blocks = _emptied(self._kept) if is_last else iter(self._kept)
        for block in blocks:
            low, high = max(block.start, done), min(block.end, stop)
            if low < high:
                samples[:, low - first : high - first] = block.samples[
                    :, low - block.start : high - block.start
                ]
                start, done = low - first if start is None else start, high
        return samples, start

    def _expect_one_format(self) -> int:
        first = self._kept[0]
        for each in self._kept:
            if (each.rate, len(each.samples)) != (first.rate, len(first.samples)):
                raise MediaError(
                    f"{self._path.name}: the audio's format changes at "
                    f"{each.start / each.rate:.2f} s"
                )
        return first.rate

    def _expect_finite(self, samples: np.ndarray, rate: int, first: int) -> None:
        if not np.isfinite(samples).all():
            moment = (np.argmin(np.isfinite(samples).all(axis=0)) + first) / rate
            raise MediaError(
                f"{self._path.name}: the audio holds values that are not numbers at {moment:.2f} s"
            )

    def _nothing(self) -> ClipSound:
        """Return the absence of a track of which nothing came out; an error if it is damaged."""
        if self._source.broken:
            raise MediaError(
                f"{self._path.name}: decoding the audio broke at 0.00 s: {self._source.broken}"
            )
        if not self._has_video:
            raise MediaError(f"{self._path.name}: the audio has no samples")
        return ClipSound(None, None, None, "the audio track has no samples")

    def _why_none(self, start_seconds: float | None) -> str:
        cut = self._faults.why_short
        return (
            f"no audio between {start_seconds or 0:.2f} s and the end: "
            f"{f'{cut}; ' if cut else ''}it ends at {self._end_seconds:.2f} s"
        )


def _emptied(blocks: deque[AlignedSound]) -> Iterator[AlignedSound]:
    """Yield the blocks, and take each out before the next one."""
    while blocks:
        yield blocks.popleft()


def _channel(samples: np.ndarray, channel: str) -> np.ndarray:
    if channel == "mix":
        return samples
    index = _NAMED_CHANNELS.get(channel, int(channel) if channel.isdecimal() else -1)
    if not 0 <= index < len(samples):
        raise MediaError(
            f"audio_channel {channel!r}: expected mix, left, right or a number below "
            f"{len(samples)}; the audio has {len(samples)} channel(s)"
        )
    return samples[index : index + 1]
