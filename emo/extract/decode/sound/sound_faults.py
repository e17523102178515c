"""Note which sound of a file is missing or damaged, while the file is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emo.extract.decode.container import origin_seconds
from emo.extract.decode.cut_files import file_end
from emo.extract.decode.faults import CUT, END_MISSING, LACKING, NO_FAULTS, Faults, join_faults
from emo.extract.decode.sound.sound_source import SoundSource
from emo.extract.decode.sound.timeline import AlignedSound
from emo.extract.decode.sources.media_file import MediaPath
from emo.extract.decode.structure.file_end import FileEnd
from emo.extract.decode.structure.matroska import damaged_spans

if TYPE_CHECKING:
    from av.container import InputContainer

_SILENT_CODECS = frozenset({"opus", "libopus", "speex", "libspeex", "amrnb", "amrwb", "g729"})
"""Codecs that may leave out packets in silence (DTX), for :data:`_SILENCE_SECONDS` at most."""
_SILENCE_SECONDS = 0.5
_START_SECONDS = 0.1
"""Gaps before this time are left by encoders, or by recorders that begin within a packet."""
_SLACK_SECONDS = 0.05
"""Headers may promise so much more than there is: padding of the last block."""


class SoundFaults:
    """Holes and damage of one track, as samples from the start of the file."""

    def __init__(
        self, path: MediaPath, container: InputContainer, stream: Any, source: SoundSource
    ) -> None:
        """Know of nothing yet.

        Args:
            path: the file.
            container: the open file.
            stream: its audio track.
            source: what decodes the track.
        """
        self._path, self._container, self._stream, self._source = path, container, stream, source
        self._damaged: list[tuple[int, int]] = []
        self._missing: list[tuple[int, int]] = []
        self._end: FileEnd | None = None
        self._least_hole_seconds = (
            _SILENCE_SECONDS if stream.codec_context.name in _SILENT_CODECS else 0.0
        )

    def add(self, block: AlignedSound) -> None:
        """Note the gap before a decoded block."""
        gap = (block.start - block.gap, block.start)
        if not block.gap or block.start <= _START_SECONDS * block.rate:
            return
        is_silence = block.gap <= self._least_hole_seconds * block.rate
        if block.is_after_damage or (is_silence and self._is_in_damage(block)):
            self._damaged.append(gap)
        elif gap[0] and not is_silence:
            self._missing.append(gap)

    def _is_in_damage(self, block: AlignedSound) -> bool:
        """Return whether the gap before a block lies where a Matroska file is damaged.

        Its clock may be off by a block from the places of the samples.
        """
        if "matroska" not in self._container.format.name:
            return False
        origin, late = origin_seconds(self._container), block.samples.shape[1] / block.rate
        before, after = (block.start - block.gap) / block.rate, block.start / block.rate
        return any(
            low - origin - late < after and before < high - origin + late
            for low, high in damaged_spans(self._path)
        )

    def is_damaged(self, first: int, stop: int) -> bool:
        """Return whether one damage covers all samples from ``first`` to ``stop``."""
        return any(low <= first and stop <= high for low, high in self._damaged)

    @property
    def why_short(self) -> str:
        """Why the audio ends where it does, when the file is cut; ``""``: it is not known to be."""
        return CUT if self._end and (self._end.is_cut or self._end.seconds) else ""

    def within(self, first: int, end: int | None, rate: int, reached: int | None) -> Faults:
        """Return what a stretch lacks.

        Args:
            first: its first sample.
            end: the sample after its last; None: the end of the audio.
            rate: sample rate in Hz.
            reached: where the audio ended; None: it goes on after the stretch.
        """
        found = [
            _spans(self._damaged, first, end, rate, f"{self._path.name}: the audio is damaged"),
            _spans(self._missing, first, end, rate, f"{self._path.name}: audio is missing"),
        ]
        if reached is not None:
            found.append(self._at_the_end(first, end, rate, reached))
        return join_faults(found)

    def _at_the_end(self, first: int, end: int | None, rate: int, reached: int) -> Faults:
        if self._end is None:
            self._end = file_end(self._path, self._container, self._stream, reached / rate)
        if end is not None and end <= reached:
            return NO_FAULTS
        name, told = self._path.name, self._end.seconds
        ends = f"{name}: {CUT}: the audio ends at {reached / rate:.2f} s"
        if told is not None and (told - _SLACK_SECONDS) * rate > reached:
            should = round(told * rate) if end is None else min(end, round(told * rate))
            lacking = max(0, should - max(reached, first)) / rate
            return (
                Faults({LACKING: lacking}, (f"{ends} of {told:.2f} s",)) if lacking else NO_FAULTS
            )
        lost = self._source.open_damage
        # tags at the end of an MP3 look like broken packets
        is_lost = lost is not None and self._container.format.name != "mp3"
        is_broken_off = self._source.is_cut_short or is_lost
        if self._end.is_cut or (told is None and is_broken_off):
            notes = {LACKING: lost} if lost and lost > _SLACK_SECONDS else {}
            return Faults({**notes, END_MISSING: 1.0}, (ends,))
        return NO_FAULTS


def _spans(
    spans: list[tuple[int, int]], first: int, end: int | None, rate: int, what: str
) -> Faults:
    """Return what spans of samples cover of a stretch."""
    inside = [
        (max(low, first), high if end is None else min(high, end))
        for low, high in spans
        if high > first and (end is None or low < end)
    ]
    lacking = sum(high - low for low, high in inside)
    if not lacking:
        return NO_FAULTS
    low, high = (sample / rate for sample in inside[0])
    more = f" and at {len(inside) - 1} more places" if len(inside) > 1 else ""
    reason = f"{what} from {low:.2f} s to {high:.2f} s{more}: silence in its place"
    return Faults({LACKING: lacking / rate}, (reason,))
