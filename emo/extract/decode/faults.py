"""What a clip's files lack or have damaged: numbers to store beside the tokens, and sentences."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from emo.extract.decode.sources.media_file import MediaPath

LACKING = "seconds_lacking"
"""Note: seconds of the clip that the file should hold and does not, or that are damaged."""
END_MISSING = "end_missing"
"""Note: 1 when the file is cut and nobody knows how much is missing."""
DAMAGED_FRAMES = "damaged_frames"
"""Note: damaged pictures between the first and the last frame that a backbone reads."""
CUT = "the file is cut"
"""Words with which a phrase begins that the end of a file is missing; other phrases tell damage."""
SUMMED = ("seconds_", "damaged_")
"""Beginnings of the notes that are added up when the stretches of a clip are joined."""


@dataclass(frozen=True)
class Faults:
    """What is wrong with a decoded clip that can be used nevertheless."""

    notes: Mapping[str, float] = field(default_factory=dict)
    """Name -> number, to store beside the tokens."""
    reasons: tuple[str, ...] = ()
    """A phrase for people about each fault, with the name of the file."""


NO_FAULTS = Faults()


def join_faults(parts: Iterable[Faults]) -> Faults:
    """Return the faults of several tracks as one: numbers added, :data:`END_MISSING` at most 1."""
    notes: dict[str, float] = {}
    reasons: dict[str, None] = {}
    for part in parts:
        for name, number in part.notes.items():
            notes[name] = notes.get(name, 0.0) + number
        reasons |= dict.fromkeys(part.reasons)
    if END_MISSING in notes:
        notes[END_MISSING] = 1.0
    return Faults(notes, tuple(reasons))


def join_notes(pieces: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Join the notes of a clip's stretches.

    Seconds and counts of damage are added, :data:`END_MISSING` stays 1, others are averaged.
    """
    found: dict[str, list[float]] = {}
    for piece in pieces:
        for name, number in piece.items():
            found.setdefault(name, []).append(number)
    joined = {}
    for name, numbers in found.items():
        if name == END_MISSING:
            joined[name] = max(numbers)
        elif name.startswith(SUMMED):
            joined[name] = sum(numbers)
        else:
            joined[name] = sum(numbers) / len(numbers)
    return joined


def picture_notes(damaged_frames: int, seconds_lacking: float) -> dict[str, float]:
    """Return the notes about a clip's pictures; what is not wrong is left out.

    >>> picture_notes(0, 1.25)
    {'seconds_lacking': 1.25}
    """
    notes = {DAMAGED_FRAMES: float(damaged_frames), LACKING: round(seconds_lacking, 3)}
    return {name: value for name, value in notes.items() if value}


def picture_faults(
    path: MediaPath | None, notes: Mapping[str, float], *, is_joined: bool = False
) -> list[str]:
    """Return a phrase about each fault of a clip's pictures, with the name of the file.

    Args:
        path: the file.
        notes: from :func:`picture_notes`.
        is_joined: whether seconds are lacking because the file is joined from several.

    >>> from pathlib import Path
    >>> picture_faults(Path("a.mp4"), {"damaged_frames": 3.0, "seconds_lacking": 1.25})
    ['a.mp4: 3 damaged frames', 'a.mp4: the file is cut: pictures lack at least 1.25 s']
    """
    found = []
    if count := notes.get(DAMAGED_FRAMES):
        found.append(f"{count:.0f} damaged frame{'' if count == 1 else 's'}")
    if seconds := notes.get(LACKING):
        reason = CUT
        if is_joined:
            reason = "the file is joined from several, of which not all can be read"
        found.append(f"{reason}: pictures lack at least {seconds:.2f} s")
    return [f"{path.name if path else 'video'}: {phrase}" for phrase in found]


def join_track_notes(pictures: Mapping[str, float], sound: Mapping[str, float]) -> dict[str, float]:
    """Return the notes of a clip's pictures and sound as one.

    A cut file lacks the end of both, so the larger number of lacking seconds counts.
    """
    lacking = max(pictures.get(LACKING, 0.0), sound.get(LACKING, 0.0))
    return {**pictures, **sound, **({LACKING: lacking} if lacking else {})}
