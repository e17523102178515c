"""What the subtitles SRT and WebVTT share: blocks of a line of times and lines of words."""

import re
from collections.abc import Iterator
from pathlib import Path

from emo.errors import ManifestError

_CLOCK = r"(?:(\d+):)?([0-5]?\d):([0-5]?\d)[.,](\d{1,3})"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}(?:\s.*)?")


def cues(text: str, path: Path) -> Iterator[tuple[int, int, list[str]]]:
    """Yield start and end in milliseconds, and the lines of words, of each cue.

    Args:
        text: the file.
        path: the file, for error messages.

    Raises:
        ManifestError: a line with ``-->`` holds no times, or there are no cues.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    found = False
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if "-->" not in line:
            continue
        match = _TIMES.fullmatch(line)
        if match is None:
            raise ManifestError(
                f"{path}: line {number}: expected times such as 00:00:01,500 --> 00:00:02,250, got "
                f"{line.strip()[:60]!r}"
            )
        words = []
        while number < len(lines) and lines[number].strip():
            words.append(lines[number].strip())
            number += 1
        found = True
        clock = match.groups()
        yield _milliseconds(clock[:4]), _milliseconds(clock[4:]), words
    if not found:
        raise ManifestError(f"{path}: no subtitles; expected lines such as 00:00:01,500 --> …")


def _milliseconds(clock: tuple[str | None, ...]) -> int:
    """Return hours, minutes, seconds and a fraction as milliseconds."""
    hours, minutes, seconds, fraction = (part or "0" for part in clock)
    whole = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    return whole * 1000 + int(fraction.ljust(3, "0"))
