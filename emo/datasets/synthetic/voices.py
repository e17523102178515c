"""Manner of speaking of each class, and voices of the six synthetic speakers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Manner:
    """Manner in which a class is spoken, relative to the speaker's own voice."""

    pitch: float
    """Semitones above the pitch of the speaker."""
    melody: float
    """Standard deviation of the pitch accents, semitones."""
    fall: float
    """Semitones by which the pitch falls from the clip's beginning to its end."""
    rate: float
    """Syllables per second, before the factor of the speaker."""
    loudness: float
    """Decibels above the loudness of the speaker."""
    breath: float
    """Share of breath noise in the sound source, 0 to 1."""
    tension: float
    """Sharpness of the glottal closure, 0 to 1; a higher value sounds brighter."""
    jitter: float
    """Standard deviation of the length of a glottal period, as a share of its mean."""


@dataclass(frozen=True)
class Voice:
    """Properties of one speaker's voice."""

    pitch: float
    """Mean pitch of the speaker, Hz."""
    tract: float
    """Factor on the frequencies of the resonances; above 1 is a shorter vocal tract."""
    rate: float
    """Factor on the rate of speaking."""
    loudness: float
    """Loudness relative to other speakers, decibels."""
    noise: float
    """Level of the noise in the room, decibels relative to full scale."""


MANNERS = {
    "angry": Manner(4.0, 2.4, 3.5, 5.8, 9.0, 0.05, 0.95, 0.02),
    "happy": Manner(9.0, 4.2, -2.5, 4.9, 3.0, 0.10, 0.50, 0.006),
    "neutral": Manner(0.0, 1.2, 1.5, 4.2, -2.0, 0.10, 0.40, 0.006),
    "sad": Manner(-3.0, 0.7, 2.5, 2.8, -10.0, 0.55, 0.05, 0.012),
}
"""Class -> manner, after Scherer 2003 (Speech Communication 40), table 2, which gives directions,
not sizes."""

VOICES = (
    Voice(178.0, 1.02, 1.00, 0.0, -62.0),
    Voice(165.0, 0.99, 1.03, 0.4, -61.0),
    Voice(188.0, 1.04, 0.98, -0.4, -62.0),
    Voice(160.0, 0.97, 0.98, 0.3, -61.0),
    Voice(170.0, 1.01, 1.02, -0.3, -61.0),
    Voice(184.0, 1.03, 1.00, 0.2, -62.0),
)
"""Voice of each speaker, in order; more similar than real voices, so that a head learns from four
speakers."""

VOICE_SCATTER = Manner(0.5, 0.3, 0.6, 0.2, 0.8, 0.03, 0.05, 0.001)
"""Standard deviation of each number of a clip's manner around that of the class, in the units of
:class:`Manner`."""
