"""Name what is wrong with a clip's media, as numbers that are stored beside its tokens."""

from collections.abc import Mapping

DAMAGED_FRAMES = "damaged_frames"
"""Number of damaged pictures between the first and the last frame that a backbone reads."""
SECONDS_LACKING = "seconds_lacking"
"""Seconds at the end of the clip that its file lacks because it was cut; at least so many."""
ADDED_UP = frozenset({DAMAGED_FRAMES, SECONDS_LACKING})
"""Notes of which those of a clip's stretches are added up; others are averaged."""


def picture_notes(damaged_frames: int, seconds_lacking: float) -> dict[str, float]:
    """Return the notes about a clip's pictures; what is not wrong is left out.

    >>> picture_notes(0, 1.25)
    {'seconds_lacking': 1.25}
    """
    notes = {DAMAGED_FRAMES: float(damaged_frames), SECONDS_LACKING: round(seconds_lacking, 3)}
    return {name: value for name, value in notes.items() if value}


def fault_of(notes: Mapping[str, float]) -> str | None:
    """Return what the notes say is wrong, as a phrase for people; None: nothing.

    >>> fault_of({"damaged_frames": 3.0, "seconds_lacking": 1.25})
    '3 damaged frames; the file is cut: at least 1.25 s are lacking'
    """
    found = []
    if count := notes.get(DAMAGED_FRAMES):
        found.append(f"{count:.0f} damaged frame{'' if count == 1 else 's'}")
    if seconds := notes.get(SECONDS_LACKING):
        found.append(f"the file is cut: at least {seconds:.2f} s are lacking")
    return "; ".join(found) or None
