"""Faces and rooms of the six synthetic speakers, and the colour of the light for each class."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """Properties of one speaker's face and room."""

    mirror: bool
    """Whether the photograph is mirrored."""
    zoom: float
    """Magnification of the photograph."""
    roll_degrees: float
    """Rotation of the head in the image plane."""
    turn: tuple[float, float]
    """Turn of the head to the side and down, as pixels of the photograph at the nose."""
    jaw: float
    """How much wider (+) or narrower (-) the jaw is, pixels of the photograph at each side."""
    eyes_apart: float
    """How much further apart (+) or nearer (-) the eyes are, pixels of the photograph for each eye.
    """
    brows_up: float
    """How much higher (+) or lower (-) the brows are, pixels of the photograph."""
    tint: tuple[float, float, float]
    """Gains of red, green and blue in the light of the speaker's room."""
    gamma: float
    """Exponent of the brightness."""
    light: tuple[float, float]
    """Logarithm of the gain of brightness from the centre to the right and to the bottom edge."""


LOOKS = (
    Look(False, 1.00, -1.0, (0.0, 0.0), 0.0, 0.0, 0.0, (1.00, 1.00, 1.00), 1.00, (0.10, 0.05)),
    Look(True, 0.96, 1.2, (1.2, 0.5), -2.5, -0.6, 0.3, (0.80, 0.72, 0.66), 1.20, (-0.25, 0.0)),
    Look(False, 1.05, 1.0, (-1.0, -0.5), 3.0, 0.7, -0.3, (1.02, 0.92, 0.82), 1.05, (0.25, -0.1)),
    Look(True, 1.02, -1.5, (0.7, -0.7), -1.2, 0.6, 0.2, (0.90, 1.00, 1.08), 0.90, (0.0, -0.2)),
    Look(False, 0.94, 1.5, (1.0, 0.7), 1.8, -0.7, 0.0, (0.70, 0.66, 0.68), 1.10, (-0.15, 0.15)),
    Look(True, 1.03, 0.0, (-1.2, 0.4), 0.8, 0.3, -0.2, (1.10, 1.00, 0.90), 0.85, (0.2, 0.2)),
)
"""Face and room of each speaker, in order."""

MOODS = {
    "angry": (1.06, 0.97, 0.95),
    "happy": (1.06, 1.05, 1.02),
    "neutral": (1.0, 1.0, 1.0),
    "sad": (0.90, 0.93, 0.97),
}
"""Class -> gains of red, green and blue in the light of a clip of the class."""
