"""Media: what was decoded of one clip; Needs: what a backbone asks the decoder for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np


class FrameRule(Protocol):
    """Which frames of a clip are wanted, told from their timestamps alone."""

    def indices(self, seconds: np.ndarray) -> np.ndarray:
        """Timestamps of all frames (n,), rising -> indices (F,) of the wanted ones; a frame may
        be wanted more than once.
        """
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
class Linspace:
    """Exactly ``count`` frames from the first to the last, rounded down; short clips repeat some.

    Source: ``np.linspace(0, n - 1, count, dtype=int)`` of LanguageBind and others.
    """

    count: int

    def indices(self, seconds: np.ndarray) -> np.ndarray:
        """As in :class:`FrameRule`."""
        return np.linspace(0, len(seconds) - 1, self.count, dtype=np.int64)


@dataclass(frozen=True)
class Strided:
    """``count`` frames (all, when there are fewer), the k-th at ``k * n // count``: Video-LLaMA."""

    count: int

    def indices(self, seconds: np.ndarray) -> np.ndarray:
        """As in :class:`FrameRule`."""
        count = min(self.count, len(seconds))
        return np.arange(count) * len(seconds) // max(count, 1)


@dataclass(frozen=True)
class Rate:
    """Exactly ``count`` frames from the first one on, ``per_second`` apart; the last repeats."""

    count: int
    per_second: float

    def indices(self, seconds: np.ndarray) -> np.ndarray:
        """As in :class:`FrameRule`: the frame that is shown at each moment."""
        moments = seconds[0] + np.arange(self.count) / self.per_second
        after: np.ndarray = np.searchsorted(seconds, moments + 0.5 / self.per_second)
        return after - 1


@dataclass(frozen=True)
class Windows:
    """The frames of another rule in each window of a longer clip, window after window."""

    rule: FrameRule
    seconds: float
    """Length of a window."""
    hop_seconds: float
    """From the start of a window to that of the next."""

    def indices(self, seconds: np.ndarray) -> np.ndarray:
        """As in :class:`FrameRule`; a window without frames has the frame before it."""
        step = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.0
        length = float(seconds[-1] - seconds[0]) + step
        found = []
        for start in seconds[0] + window_starts(length, self.seconds, self.hop_seconds):
            low, high = np.searchsorted(seconds, [start - 1e-6, start + self.seconds - 1e-6])
            low = min(low, max(high - 1, 0))
            found.append(low + self.rule.indices(seconds[low : max(high, low + 1)]))
        return np.concatenate(found)


WINDOWS_AT_ONCE = 8
"""Windows in one stretch of a long clip, see ``Backbone.stretch_seconds``."""


def window_starts(length_seconds: float, seconds: float, hop_seconds: float) -> np.ndarray:
    """(W,) starts of the windows that cover a clip, W >= 1; the last may reach past its end.

    >>> window_starts(1.5, seconds=0.64, hop_seconds=0.64)
    array([0.  , 0.64, 1.28])
    """
    more = int(np.ceil((length_seconds - seconds) / hop_seconds - 1e-3))
    return np.arange(1 + max(0, more)) * hop_seconds


FaceMode = Literal["track", "largest", "all", "centre"]
"""``track``: the main face, followed through the clip; ``largest``: each frame's largest;
``all``: every face, frame by frame from left to right; ``centre``: no detection, the middle."""


@dataclass(frozen=True)
class FaceRule:
    """How the faces of each wanted frame are found and cropped."""

    size: int = 160
    """Pixels, height and width of a crop."""
    margin: float = 0.0
    """Share of the box's side added around it."""
    min_probability: float = 0.9
    """Detections of MTCNN below this are ignored (lower gave false faces on portraits)."""
    require_face: bool = False
    """A clip without a face in any frame has no faces; else centres of its frames stand in."""
    mode: FaceMode = "track"


@dataclass(frozen=True)
class Needs:
    """What a backbone asks the decoder for; the union of all needs is served in one pass."""

    frames: FrameRule | None = None
    """Which frames, as RGB; None: no frames. Also the frames on which faces are looked for."""
    squash: int | None = None
    """Pixels: ``Media.frames`` are (F, squash, squash, 3), scaled inside the decoder whatever
    their shape (swscale, bilinear, bit-exact with decord); None: the frames' own size."""
    transform: Callable[[np.ndarray], np.ndarray] | None = None
    """Applied to each frame (H, W, 3) as soon as it is decoded, such as resizing, so that long
    clips of large frames fit in memory; ``Media.frames`` holds the results."""
    faces: FaceRule | None = None
    """Crops of the main face on those frames; None: no faces. Without ``keep_frames`` the full
    frames are dropped once the crops are made."""
    keep_frames: bool = False
    """The backbone reads ``Media.frames`` itself (and not only the face crops)."""
    audio: bool = False
    text: bool = False
    array: str | None = None
    """The column of the manifest that names a file of numbers (.npy, .npz); None: no array."""
    array_key: str | None = None
    """The name of the array in an .npz; None: its only one."""


@dataclass(frozen=True, eq=False)
class Faces:
    """Crops of the main face, one a frame (``all``: of every face)."""

    crops: np.ndarray
    """(F, size, size, 3) uint8 RGB; ``all``: any number a frame."""
    found: np.ndarray
    """(F,) bool a frame; False: nothing was detected there and the nearest crop of the track
    (within a second) or else the centre of the frame stands in (``all``: the frame gives no crop).
    All False: the clip shows no face, or nobody looked (``centre``). Its mean is what counts; of
    crops that come from a store it is all there is, (1,) float."""


@dataclass(frozen=True, eq=False)
class Media:
    """One clip as one backbone sees it; what was not asked for, or does not exist, is None."""

    frames: np.ndarray | None = None
    """(F, H, W, 3) uint8 RGB, rotation applied; or what ``Needs.transform`` made of each."""
    frame_seconds: np.ndarray | None = None
    """(F,) float64, from the start of the file."""
    faces: Faces | None = None
    samples: np.ndarray | None = None
    """(channels, S) float32 in [-1, 1], at the file's own rate; one channel when the manifest's
    ``audio_channel`` names one. Down-mix and resampling belong to the backbone."""
    sample_rate: int | None = None
    """Hz."""
    text: str | None = None
    array: np.ndarray | None = None
    """(T, D) of the file that the column ``Needs.array`` names, in the file's own dtype."""
    absent: dict[str, str] = field(default_factory=dict)
    """Why a modality asked for is None: ``{"audio": "the file has no audio track"}``; the keys
    are ``video``, ``face``, ``audio``, ``text``, ``array``."""


DetectFaces = Callable[[np.ndarray], list[tuple[np.ndarray, np.ndarray]]]
"""(F, H, W, 3) uint8 -> for each frame boxes (K, 4) x0 y0 x1 y1 in pixels, probabilities (K,)."""
