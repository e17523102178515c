"""Warp the photograph by an expression and a speaker's look, and darken the inside of the mouth.

All warps are backward maps: for each pixel of a frame, the point in the photograph from which its
colour is taken. Points are in pixels of the photograph.
"""

from dataclasses import dataclass

import numpy as np
from numpy import float32 as f32

from emo.datasets.synthetic.expression import Expression
from emo.datasets.synthetic.looks import Look

SIZE = 256
"""Height and width of a frame, pixels."""
REGION = 165.0
"""Height and width of the region that a frame shows at zoom 1, pixels of the photograph."""

# Landmarks of the photograph, x and y in its pixels, read off an enlargement.
CORNERS = ((204.5, 140.8), (244.5, 140.8))
BROWS_INNER = ((211.0, 91.5), (240.0, 93.0))
BROWS_OUTER = ((193.0, 89.0), (259.0, 93.5))
EYES = ((203.5, 101.0), (246.5, 103.5))
MOUTH = (224.5, 146.5)
MOUTH_HALF_WIDTH = 20.0
MOUTH_SAG = 5.7  # how far the middle of the mouth is below its corners
TEETH_HALF_HEIGHT = 3.1


@dataclass(frozen=True, eq=False)
class Dark:
    """Darkening of the inside of the mouth and of the line between the lips."""

    box: tuple[slice, slice]
    """Rows and columns of the frame that become darker."""
    gain: np.ndarray
    """float32 (rows, columns) of the box: factor on the brightness, 0 to 1."""


def bumps_of(look: Look, expression: Expression, frames: int) -> np.ndarray:
    """Return the displacements of a clip as K Gaussian bumps for each frame.

    Args:
        look: face of the speaker.
        expression: an expression of (F,) arrays.
        frames: number of frames, F.

    Returns:
        float64 (F, 6, K): centre x and y, displacement x and y, widths along x and y, pixels of
        the photograph.
    """
    e, rows = expression, []
    for side, corner, inner, outer, eye in zip(
        (-1, 1), CORNERS, BROWS_INNER, BROWS_OUTER, EYES, strict=True
    ):
        rows += [
            (*corner, side * e.corners_out, -e.corners_up, 9.0, 9.0),
            (*inner, -side * e.brow_pinch, -look.brows_up - e.brow_inner_up, 7.0, 5.0),
            (*outer, 0.0, -look.brows_up - e.brow_outer_up, 9.0, 5.0),
            (eye[0], eye[1] - 3.0, 0.0, -e.lids_open, 8.0, 2.5),
            (eye[0], eye[1] + 3.0, 0.0, e.lids_open, 8.0, 2.5),
            (*eye, side * look.eyes_apart, 0.0, 14.0, 12.0),
            (MOUTH[0] + side * 38.0, 155.0, side * look.jaw, 0.0, 12.0, 22.0),
        ]
    rows += [
        (MOUTH[0], 140.0, 0.0, -e.lips, 14.0, 4.0),
        (MOUTH[0], 153.0, 0.0, e.lips, 14.0, 4.0),
        (MOUTH[0], 128.0, *look.turn, 42.0, 45.0),
    ]
    table = [[np.broadcast_to(value, frames) for value in row] for row in rows]  # K, 6, F
    return np.array(table, dtype=np.float64).transpose(2, 1, 0).copy()


def displaced(points: np.ndarray, pose: np.ndarray, bumps: np.ndarray) -> np.ndarray:
    """Return points moved by the displacements of all bumps.

    Args:
        points: float32 (2, SIZE, SIZE), x and y in the photograph of each pixel.
        pose: float (2, 3), affine map from frame to photograph.
        bumps: float64 (6, K) of one frame, see :func:`bumps_of`.
    """
    moved = points.copy()
    boxes = _boxes(pose, bumps[:2] + bumps[2:4], 3.0 * bumps[4:])
    for (at_x, at_y, dx, dy, wide, high), (rows, columns) in zip(bumps.T, boxes, strict=True):
        x, y = points[:, rows, columns] - np.array([[[at_x + dx]], [[at_y + dy]]], np.float32)
        bump = np.exp(np.square(x) * f32(-0.5 / wide**2) + np.square(y) * f32(-0.5 / high**2))
        if dx:
            moved[0, rows, columns] -= f32(dx) * bump
        if dy:
            moved[1, rows, columns] -= f32(dy) * bump
    return moved


def part_lips(points: np.ndarray, pose: np.ndarray, closed: f32, jaw: f32) -> Dark:
    """Close or open the lips by changing ``points``; return what becomes dark.

    Args:
        points: float32 (2, SIZE, SIZE), changed in place.
        pose: float (2, 3), affine map from frame to photograph.
        closed: 1: the lips meet; 0: the teeth show as in the photograph.
        jaw: how far the jaw is open, pixels of the photograph.
    """
    (box,) = _boxes(pose, np.array([[MOUTH[0]], [MOUTH[1] + 10.0]]), np.array([[26.0], [36.0]]))
    x, y = points[0][box], points[1][box]
    u2 = np.square((x - f32(MOUTH[0])) / f32(MOUTH_HALF_WIDTH))
    inner = np.maximum(1 - u2, 0)  # 1 in the middle of the mouth, 0 at its corners
    half = f32(TEETH_HALF_HEIGHT) * inner
    v = y - f32(MOUTH[1]) + f32(MOUTH_SAG) * np.minimum(u2, 1.5)
    upper = -half * (1 - closed) - f32(0.15) * jaw * inner  # new edges of the lips
    lower = half * (1 - closed) + f32(0.85) * jaw * inner
    depth = v - upper  # below the edge of the upper lip
    chin = (half - lower) * np.exp(-np.square((v - lower) / 14) / 2)
    nose = (-half - upper) * np.exp(-np.square(depth / 6) / 2)
    inside = (v >= upper) & (v <= lower) & (inner > 0)
    teeth = np.minimum(depth, 2 * half - f32(0.3)) - half - v
    y += np.where(inside, teeth, np.where(v > lower, chin, nose))
    bared = 2 * half * (1 - f32(0.65) * closed)
    throat = f32(0.85) / (1 + np.exp(-np.clip((depth - bared) / f32(0.4), -30, 30)))
    line = f32(0.45) * closed * np.exp(-np.square((v - (upper + lower) / 2) / f32(0.7)) / 2)
    is_open = inside & (lower - upper > 0.5)
    return Dark(box, 1 - np.where(is_open, throat, line * np.minimum(1, 3 * inner)))


def _boxes(pose: np.ndarray, centres: np.ndarray, reach: np.ndarray) -> list[tuple[slice, slice]]:
    """Return the rows and columns of the frame around K points of the photograph.

    Args:
        pose: float (2, 3), affine map from frame to photograph.
        centres: float (2, K), x and y of the points.
        reach: float (2, K), distance in x and y to include.
    """
    inverse = np.linalg.inv(pose[:, :2]) * ((SIZE - 1) / REGION)
    middle = inverse @ (centres - pose[:, 2:]) + (SIZE - 1) / 2  # (2, K) columns, rows
    half = np.abs(inverse) @ reach
    low = np.clip(middle - half, 0, SIZE).astype(int)
    high = np.clip(middle + half + 2, 0, SIZE).astype(int)
    edges = zip(*low.tolist(), *high.tolist(), strict=True)
    return [(slice(top, bottom), slice(left, right)) for left, top, right, bottom in edges]
