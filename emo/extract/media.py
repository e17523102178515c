"""Media: what was decoded of one clip; Needs: what a backbone asks the decoder for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np


class FrameRule(Protocol):
    """Which frames of a clip are wanted, told from their timestamps alone."""

    def indices(self, seconds: np.ndarray) -> np.ndarray:
        """Timestamps of all frames (n,), rising -> indices (F,) of the wanted ones, rising."""
        ...


@dataclass(frozen=True)
class Uniform:
    """``count`` frames spread evenly from the first to the last (fewer when the clip has fewer)."""

    count: int

    def indices(self, seconds: np.ndarray) -> np.ndarray:
        """As in :class:`FrameRule`."""
        steps = np.linspace(0, len(seconds) - 1, self.count) if len(seconds) else np.zeros(0)
        return np.unique(np.round(steps).astype(np.int64))


@dataclass(frozen=True)
class FaceRule:
    """How the main face of each wanted frame is found and cropped."""

    size: int = 160
    """Pixels, height and width of a crop."""
    margin: float = 0.0
    """Share of the box's side added around it."""
    min_probability: float = 0.9
    """Detections of MTCNN below this are ignored (lower gave false faces on portraits)."""
    require_face: bool = False
    """A clip without a face in any frame has no faces; else centres of its frames stand in."""


@dataclass(frozen=True)
class Needs:
    """What a backbone asks the decoder for; the union of all needs is served in one pass."""

    frames: FrameRule | None = None
    """Which frames, as RGB; None: no frames. Also the frames on which faces are looked for."""
    faces: FaceRule | None = None
    """Crops of the main face on those frames; None: no faces. Without ``keep_frames`` the full
    frames are dropped once the crops are made."""
    keep_frames: bool = False
    """The backbone reads ``Media.frames`` itself (and not only the face crops)."""
    audio: bool = False
    text: bool = False


@dataclass(frozen=True, eq=False)
class Faces:
    """Crops of the main face, one a frame."""

    crops: np.ndarray
    """(F, size, size, 3) uint8 RGB."""
    found: np.ndarray
    """(F,) bool; False: nothing was detected there and the nearest crop of the track (within a
    second) or else the centre of the frame stands in. All False: the clip shows no face."""


@dataclass(frozen=True, eq=False)
class Media:
    """One clip as one backbone sees it; what was not asked for, or does not exist, is None."""

    frames: np.ndarray | None = None
    """(F, H, W, 3) uint8 RGB, rotation applied."""
    frame_seconds: np.ndarray | None = None
    """(F,) float64, from the start of the file."""
    faces: Faces | None = None
    samples: np.ndarray | None = None
    """(channels, S) float32 in [-1, 1], at the file's own rate; one channel when the manifest's
    ``audio_channel`` names one. Down-mix and resampling belong to the backbone."""
    sample_rate: int | None = None
    """Hz."""
    text: str | None = None
    absent: dict[str, str] = field(default_factory=dict)
    """Why a modality asked for is None: ``{"audio": "the file has no audio track"}``; the keys
    are ``video``, ``face``, ``audio``, ``text``."""


DetectFaces = Callable[[np.ndarray], list[tuple[np.ndarray, np.ndarray]]]
"""(F, H, W, 3) uint8 -> for each frame boxes (K, 4) x0 y0 x1 y1 in pixels, probabilities (K,)."""
