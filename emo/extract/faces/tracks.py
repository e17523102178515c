"""Follow the main face through the frames of a clip and crop it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from emo.extract.media import FaceRule, Faces
from emo.machine.libraries import late

if TYPE_CHECKING:
    from PIL import Image
else:
    Image = late("PIL.Image")

Detections = list[tuple[np.ndarray, np.ndarray]]
"""For each frame boxes float32 (K, 4), x0 y0 x1 y1 in pixels, and probabilities float32 (K,)."""
_SAME_FACE_OVERLAP = 0.1
"""Least intersection over union of one face's boxes in neighbouring frames, both boxes enlarged to
twice their sides (a moving face leaves its own box within half a second)."""
_LEAST_SIDE_PIXELS = 2
_STAND_IN_SECONDS = 1.0
"""A frame without the face may use the crop of a frame at most so far away."""


def main_face(
    frames: np.ndarray, seconds: np.ndarray, detections: Detections, rule: FaceRule
) -> Faces | str:
    """Crop the faces that ``rule`` selects.

    A track starts at the largest face of a frame and continues by overlap, forwards and backwards;
    the main track is the one that covers the largest area. A frame without that face uses the
    nearest crop of the track within a second, else the centre of the frame. A clip without faces
    uses the centres of its frames, unless ``rule.require_face``.

    Args:
        frames: uint8 (F, H, W, 3) RGB.
        seconds: float64 (F,), times of the frames in seconds.
        detections: all boxes found in each frame, at any probability; ignored in mode ``centre``.
        rule: which faces are cropped, their size, margin and least probability.

    Returns:
        The crops and where faces were found, or the reason why there are none.
    """
    if rule.mode == "centre":
        crops = _crops(frames, [_centre(frames.shape[1:3])] * len(frames), rule)
        return Faces(crops, np.zeros(len(frames), dtype=bool))
    boxes = [_valid(*found, rule.min_probability, frames.shape[1:3]) for found in detections]
    if rule.require_face and not any(len(found) for found in boxes):
        return (
            f"no face found in {len(frames)} frame{'s' if len(frames) > 1 else ''} "
            f"(MTCNN at p >= {rule.min_probability:g})"
        )
    if rule.mode == "all" and any(len(found) for found in boxes):
        rows = [index for index, found in enumerate(boxes) for _ in found]
        ordered = [box for found in boxes for box in sorted(found, key=lambda box: float(box[0]))]
        crops = _crops([frames[row] for row in rows], ordered, rule)
        return Faces(crops, np.array([len(found) > 0 for found in boxes]))
    track = _main_track(boxes) if rule.mode == "track" else _largest(boxes)
    found = np.array([box is not None for box in track])
    sources, chosen = [], []
    for index, box in enumerate(track):
        source = index if box is not None else _nearest_found(index, seconds, found)
        near = track[source]
        sources.append(source)
        chosen.append(_centre(frames.shape[1:3]) if near is None else near)
    return Faces(_crops([frames[source] for source in sources], chosen, rule), found)


def _crops(frames: Iterable[np.ndarray], boxes: list[np.ndarray], rule: FaceRule) -> np.ndarray:
    pairs = zip(frames, boxes, strict=True)
    return np.stack([crop(frame, box, rule) for frame, box in pairs])


def _largest(boxes: list[np.ndarray]) -> list[np.ndarray | None]:
    return [max(found, key=_area, default=None) for found in boxes]


def crop(frame: np.ndarray, box: np.ndarray, rule: FaceRule) -> np.ndarray:
    """Crop the square around a box with its margin and resize it, bilinear with antialiasing.

    Pillow resizes, because its result does not depend on the number of threads.

    Args:
        frame: uint8 (H, W, 3).
        box: (4,), x0 y0 x1 y1 in pixels; the square is clipped to the frame.
        rule: size and margin of the crop.

    Returns:
        uint8 (size, size, 3).
    """
    centre, side = (box[:2] + box[2:]) / 2, float(max(box[2:] - box[:2])) * (1 + 2 * rule.margin)
    height, width = frame.shape[:2]
    corner = np.concatenate([centre - side / 2, centre + side / 2])
    x0, y0, x1, y1 = np.clip(np.round(corner), 0, [width, height, width, height]).astype(int)
    image = Image.fromarray(frame[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)])
    return np.asarray(image.resize((rule.size, rule.size), Image.Resampling.BILINEAR))


def _valid(
    boxes: np.ndarray, probabilities: np.ndarray, least: float, size: tuple[int, ...]
) -> np.ndarray:
    """Clip boxes (K, 4) to the frame; drop those of low probability or less than 2 pixels."""
    inside: np.ndarray = np.clip(boxes, 0, [size[1], size[0], size[1], size[0]])
    sides = inside[:, 2:] - inside[:, :2]
    kept: np.ndarray = inside[(probabilities >= least) & (sides >= _LEAST_SIDE_PIXELS).all(axis=1)]
    return kept


def _main_track(boxes: list[np.ndarray]) -> list[np.ndarray | None]:
    """Return the main track: for each frame its box (4,), or None.

    One track starts at the largest face of each frame; the main one covers the largest area summed
    over all frames. (The largest single face may be a person who only passes by.)
    """
    starts = [index for index, found in enumerate(boxes) if len(found)]
    tracks = [_track(boxes, start) for start in starts]
    return max(tracks, key=_covered, default=[None] * len(boxes))


def _track(boxes: list[np.ndarray], start: int) -> list[np.ndarray | None]:
    """Follow the largest face of frame ``start`` by overlap, forwards and backwards."""
    track: list[np.ndarray | None] = [None] * len(boxes)
    track[start] = largest = max(boxes[start], key=_area)
    for order in (range(start + 1, len(boxes)), range(start - 1, -1, -1)):
        last = largest
        for index in order:
            overlaps = [_overlap(box, last) for box in boxes[index]]
            if overlaps and max(overlaps) >= _SAME_FACE_OVERLAP:
                last = boxes[index][int(np.argmax(overlaps))]
                track[index] = last
    return track


def _covered(track: list[np.ndarray | None]) -> float:
    return sum(_area(box) for box in track if box is not None)


def _nearest_found(index: int, seconds: np.ndarray, found: np.ndarray) -> int:
    """Return the nearest frame with the face, within a second; ``index`` itself when none is."""
    distances = np.where(found, np.abs(seconds - seconds[index]), np.inf)
    nearest = int(np.argmin(distances))
    return nearest if distances[nearest] <= _STAND_IN_SECONDS else index


def _centre(size: tuple[int, ...]) -> np.ndarray:
    height, width = size
    side = min(height, width)
    x0, y0 = (width - side) / 2, (height - side) / 2
    return np.array([x0, y0, x0 + side, y0 + side])


def _area(box: np.ndarray) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _overlap(box: np.ndarray, other: np.ndarray) -> float:
    """Return the intersection over union of both boxes, enlarged to twice their sides."""
    box, other = _grown(box), _grown(other)
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    if (sides <= 0).any():
        return 0.0
    shared = float(sides.prod())
    return shared / (_area(box) + _area(other) - shared)


def _grown(box: np.ndarray) -> np.ndarray:
    half = (box[2:] - box[:2]) / 2
    return np.concatenate([box[:2] - half, box[2:] + half])
