"""Facial expressions of the classes, as displacements of mouth corners, brows and lids in time."""

from dataclasses import dataclass, fields

import numpy as np

from emo.datasets.synthetic.plan import CLASSES


@dataclass(frozen=True)
class Expression:
    """Displacements in pixels of the photograph, in which the face is 87 pixels wide and smiles.

    The values are numbers for one moment, or float (F,) over the frames of a clip.
    """

    corners_up: np.ndarray | float = 0.0
    """Movement of both corners of the mouth up (+) or down (-), pixels; 0 is the photograph's
    smile."""
    corners_out: np.ndarray | float = 0.0
    """Movement of both corners of the mouth apart (+) or together (-), pixels."""
    closed: np.ndarray | float = 1.0
    """How far the lips are closed: 1 where they meet; 0 where the teeth show as in the photograph.
    """
    lips: np.ndarray | float = 0.0
    """Thickness of the lips: fuller (+) or pressed (-), pixels."""
    brow_inner_up: np.ndarray | float = 0.0
    """Movement of the inner ends of the brows up (+) or down (-), pixels."""
    brow_outer_up: np.ndarray | float = 0.0
    """Movement of the outer ends of the brows up (+) or down (-), pixels."""
    brow_pinch: np.ndarray | float = 0.0
    """Movement of the inner ends of the brows towards each other (+), pixels."""
    lids_open: np.ndarray | float = 0.0
    """Movement of each eyelid away from the eye (+) or towards the eye (-), pixels."""


TYPICAL = {
    "angry": Expression(-7.0, -2.5, 0.9, -1.6, -5.0, 1.5, 3.5, -1.0),
    "happy": Expression(2.5, 3.0, 0.0, 0.3, 1.0, 1.0, 0.0, -0.8),
    "neutral": Expression(-4.5, -1.5, 1.0, 0.0, 0.0, 0.0, 0.0, 0.4),
    "sad": Expression(-11.0, -2.5, 1.0, 0.4, 4.5, -3.0, 1.0, -1.0),
}
"""Class -> typical expression of the class, after the action units of Ekman and Friesen 1978
(FACS): angry 4+7+24, happy 6+12+25, sad 1+4+15."""

FACE_SCATTER = Expression(0.5, 0.3, 0.06, 0.15, 0.4, 0.3, 0.2, 0.15)
"""Standard deviation of each number of a clip's expression around that of the class: pixels, for
``closed`` a share."""


def act(rng: np.random.Generator, shown: int, seconds: np.ndarray) -> Expression:
    """Return one clip's expression over time, which rises from nearly neutral to an apex and stays.

    Args:
        rng: the clip's generator.
        shown: index of the shown class in ``CLASSES``.
        seconds: float (F,), times of the frames from 0.

    Returns:
        An Expression of float (F,) arrays.
    """
    neutral, typical = _vector(TYPICAL["neutral"]), _vector(TYPICAL[CLASSES[shown]])
    strength = rng.uniform(0.85, 1.1)
    apex = neutral + strength * (typical - neutral) + _vector(FACE_SCATTER) * rng.normal(size=8)
    onset, speed = rng.uniform(0.0, 0.3), rng.uniform(0.15, 0.4)
    rise = 0.3 + 0.7 / (1 + np.exp(-(seconds - onset) / (speed / 4)))
    wave = 0.06 * np.sin(2 * np.pi * (rng.uniform(0.3, 0.8) * seconds + rng.uniform()))
    level = (rise + wave)[:, None]  # (F, 1)
    track = neutral + level * (apex - neutral)  # (F, 8)
    values = dict(zip((field.name for field in fields(Expression)), track.T, strict=True))
    values["closed"] = np.clip(values["closed"], 0.0, 1.0)
    return Expression(**values)


def _vector(expression: Expression) -> np.ndarray:
    """Return float (8,), the values of an expression of one moment."""
    return np.array([getattr(expression, field.name) for field in fields(Expression)])
