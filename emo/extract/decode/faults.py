"""What a clip's files lack or have damaged: numbers to store beside the tokens, and sentences."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

LACKING = "seconds_lacking"
"""Note: seconds of the clip that the file should hold and does not, or that are damaged."""
END_MISSING = "end_missing"
"""Note: 1 when the file is cut and nobody knows how much is missing."""
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
