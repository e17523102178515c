"""Render the synthetic face: one photograph, warped by an expression, with a pose and a light.

The photograph is skimage.data.astronaut() (NASA, public domain), which scikit-image contains.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
import skimage.data

from emo.datasets.synthetic.expression import Expression
from emo.datasets.synthetic.looks import Look
from emo.datasets.synthetic.warp import REGION, SIZE, bumps_of, displaced, part_lips

CENTRE = (224.5, 116.0)
"""x and y of the frame's centre in the photograph, pixels."""
_OFFSETS = np.linspace(-REGION / 2, REGION / 2, SIZE, dtype=np.float32)
"""float32 (SIZE,): offsets of a frame's pixels from its centre, in pixels of the photograph."""


def render(
    rng: np.random.Generator,
    look: Look,
    expression: Expression,
    opening: np.ndarray,
    mood: tuple[float, float, float],
) -> Iterator[np.ndarray]:
    """Iterate over the frames of one clip, each uint8 (256, 256, 3) RGB.

    Args:
        rng: the clip's generator, for pose, light and small movements of the head.
        look: face and room of the speaker.
        expression: an expression of (F,) arrays.
        opening: float (F,), how far the jaw is open, 0 to 1, from the speech envelope.
        mood: gains of red, green, blue for the shown class.
    """
    jaws = (opening * rng.uniform(3.0, 5.5)).astype(np.float32)
    lips = np.broadcast_to(np.float32(expression.closed), len(jaws))
    poses = _poses(rng, look, len(jaws))  # (F, 2, 3)
    light = _light(rng, look) * np.array(mood, dtype=np.float32)[:, None, None]
    photo, waves = _photo(look.gamma), bumps_of(look, expression, len(jaws))
    for pose, bumps, closed, jaw in zip(poses, waves, lips, jaws, strict=True):
        points = displaced(_points(pose), pose, bumps)  # (2, SIZE, SIZE)
        dark = part_lips(points, pose, closed, jaw)
        colours = _sample(photo, points) * light  # (3, SIZE, SIZE)
        colours[:, *dark.box] *= dark.gain
        yield np.stack(list(np.rint(np.clip(colours, 0, 255)).astype(np.uint8)), axis=-1)


def _poses(rng: np.random.Generator, look: Look, frames: int) -> np.ndarray:
    """Return float (F, 2, 3), affine maps from frame to photograph; the head sways a little."""
    rate, phase = rng.uniform(0.5, 1.5, size=4), rng.uniform(size=4)
    sway = np.sin(2 * np.pi * (np.outer(np.linspace(0, 1, frames), rate) + phase))  # (F, 4)
    still = rng.normal(size=4)
    roll = np.deg2rad(look.roll_degrees + 0.7 * still[0] + 1.0 * sway[:, 0])
    zoom = look.zoom * (1 + 0.02 * still[1] + 0.01 * sway[:, 1])
    x, y = (np.array(CENTRE) + 2.0 * still[2:] + 1.5 * sway[:, 2:]).T
    cos, sin, side = np.cos(roll) / zoom, np.sin(roll) / zoom, -1 if look.mirror else 1
    maps = np.array([[side * cos, -sin, x], [side * sin, cos, y]])
    return np.ascontiguousarray(maps.transpose(2, 0, 1))


def _points(pose: np.ndarray) -> np.ndarray:
    """Return float32 (2, SIZE, SIZE), x and y in the photograph of each pixel of a frame.

    Args:
        pose: float (2, 3), affine map from frame to photograph.
    """
    right, down, shift = pose.astype(np.float32).T[..., None, None]  # (2, 1, 1) each
    points: np.ndarray = right * _OFFSETS + (down * _OFFSETS[:, None] + shift)
    return points


def _light(rng: np.random.Generator, look: Look) -> np.ndarray:
    """Return float32 (3, SIZE, SIZE), the light as gains of red, green, blue at each pixel."""
    u = np.linspace(-1, 1, SIZE)
    right, down = np.array(look.light) + 0.05 * rng.normal(size=2)
    slope = np.exp(right * u + down * u[:, None])
    tint = np.array(look.tint) * (1 + 0.03 * rng.normal(size=3)) * (1 + 0.06 * rng.normal())
    gains: np.ndarray = tint[:, None, None] * slope
    return gains.astype(np.float32)


@cache
def _photo(gamma: float) -> np.ndarray:
    """Return float32 (3, 512, 512), the photograph with values 0 to 255."""
    photo: np.ndarray = skimage.data.astronaut() / 255  # type: ignore[no-untyped-call]
    return np.moveaxis(255 * photo**gamma, -1, 0).astype(np.float32, order="C")


def _sample(photo: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return float32 (3, H, W), colours of a photograph by bilinear interpolation.

    Args:
        photo: float32 (3, height, width).
        points: float32 (2, H, W), x and y of each point in the photograph, pixels.
    """
    _, height, width = photo.shape
    x, y = np.clip(points[0], 0, width - 1.001), np.clip(points[1], 0, height - 1.001)
    left, top = x.astype(np.intp), y.astype(np.intp)
    right, down = x - left.astype(np.float32), y - top.astype(np.float32)
    corner = top * width + left
    corners = (corner, corner + 1, corner + width, corner + (width + 1))
    weights = ((1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down)
    colours = np.zeros((3, *x.shape), dtype=np.float32)
    for colour, pixels in zip(colours, photo.reshape(3, -1), strict=True):
        for index, weight in zip(corners, weights, strict=True):
            colour += weight * pixels.take(index, mode="clip")  # clip: saves the bounds check
    return colours
