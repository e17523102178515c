"""Follows the main face through the frames of a clip and cuts out its crops."""

from collections.abc import Iterable

import numpy as np
from PIL import Image

from emo.extract.media import FaceRule, Faces

Detections = list[tuple[np.ndarray, np.ndarray]]
"""For each frame boxes (K, 4) x0 y0 x1 y1 in pixels and probabilities (K,)."""
# Of boxes grown to twice their sides: half a second apart a moving face leaves its own box.
_SAME_FACE_OVERLAP = 0.1
_LEAST_SIDE_PIXELS = 2
_STAND_IN_SECONDS = 1.0


def main_face(
    frames: np.ndarray, seconds: np.ndarray, detections: Detections, rule: FaceRule
) -> Faces | str:
    """Crops of the wanted faces, or the reason why there are none.

    A track starts at a frame's largest face and is continued by overlap, forwards and backwards;
    the main one covers the largest area. A frame without it gets the nearest crop of the track
    within a second, else the centre of the frame; so does every frame of a clip without faces,
    unless ``rule.require_face``.

    Args:
        frames: (F, H, W, 3) uint8 RGB.
        seconds: (F,) times of the frames.
        detections: what was found in each frame, at any probability; none for ``centre``.
        rule: which faces, their size, margin and least probability.
    """
    if rule.mode == "centre":
        return Faces(_crops(frames, [_centre(frames.shape[1:3])] * len(frames), rule), _no(frames))
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


def _no(frames: np.ndarray) -> np.ndarray:
    return np.zeros(len(frames), dtype=bool)


def _largest(boxes: list[np.ndarray]) -> list[np.ndarray | None]:
    return [max(found, key=_area, default=None) for found in boxes]


def crop(frame: np.ndarray, box: np.ndarray, rule: FaceRule) -> np.ndarray:
    """(H, W, 3) and a box -> (size, size, 3): its square and margin, clipped, antialiased bilinear.

    Pillow resamples, because the result does not depend on threads and needs no torch.
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
    """Boxes clipped to the frame; the improbable and the degenerate ones are dropped."""
    inside: np.ndarray = np.clip(boxes, 0, [size[1], size[0], size[1], size[0]])
    sides = inside[:, 2:] - inside[:, :2]
    kept: np.ndarray = inside[(probabilities >= least) & (sides >= _LEAST_SIDE_PIXELS).all(axis=1)]
    return kept


def _main_track(boxes: list[np.ndarray]) -> list[np.ndarray | None]:
    """One box or None a frame: of the tracks started at each frame's largest face, the one that
    covers the largest area over all frames (the largest face alone may pass by once).
    """
    starts = [index for index, found in enumerate(boxes) if len(found)]
    tracks = [_track(boxes, start) for start in starts]
    return max(tracks, key=_covered, default=[None] * len(boxes))


def _track(boxes: list[np.ndarray], start: int) -> list[np.ndarray | None]:
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
    """The frame whose crop stands in at ``index``; ``index`` itself: none is near enough."""
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
    """Intersection over union of both boxes grown to twice their sides."""
    box, other = _grown(box), _grown(other)
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    if (sides <= 0).any():
        return 0.0
    shared = float(sides.prod())
    return shared / (_area(box) + _area(other) - shared)


def _grown(box: np.ndarray) -> np.ndarray:
    half = (box[2:] - box[:2]) / 2
    return np.concatenate([box[:2] - half, box[2:] + half])
