"""Read RTTM (Rich Transcription Time Marked): who speaks when.

Source: NIST, "The 2009 (RT-09) Rich Transcription Meeting Recognition Evaluation Plan", appendix A.
Ten fields a line: type, file, channel, onset, duration, words, subtype, speaker, confidence, delay.
"""

from decimal import Decimal
from pathlib import Path
from typing import ClassVar

from emo.errors import ManifestError
from emo.manifest.annotations.format import (
    AnnotationFormat,
    Annotations,
    Stretch,
    milliseconds,
    read_text,
)

_EMPTY = "<NA>"


class Rttm(AnnotationFormat):
    """RTTM, as speaker diarization writes it: turns of speakers, of one recording or several."""

    extensions: ClassVar[tuple[str, ...]] = (".rttm",)

    @classmethod
    def read(cls, path: Path) -> Annotations:
        """Read the lines SPEAKER; lines of other types are counted."""
        stretches, others = [], 0
        for number, line in enumerate(read_text(path).splitlines(), start=1):
            fields = line.split()
            if not fields or line.startswith(";;"):
                continue
            if fields[0] != "SPEAKER":
                others += 1
                continue
            where = f"{path}: line {number}"
            if len(fields) < 8:
                raise ManifestError(
                    f"{where}: expected SPEAKER FILE CHANNEL ONSET DURATION <NA> <NA> NAME, got "
                    f"{line[:60]!r}"
                )
            start = milliseconds(fields[3], where)
            # the end is the sum of the exact numbers: rounded parts could be a millisecond off
            end = milliseconds(str(_sum(fields[3], fields[4], where)), where)
            name = "" if fields[7] == _EMPTY else fields[7]
            stretches.append(Stretch(start, end, speaker=name, recording=fields[1]))
        return Annotations(stretches, left_out={"lines of other types": others} if others else {})


def _sum(onset: str, duration: str, where: str) -> Decimal:
    """Return onset and duration together, both checked."""
    milliseconds(duration, where)
    return Decimal(onset) + Decimal(duration)
