"""The decoder's contract: `Needs`, what a backbone requires; `Media`, what the decoder returns."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np


class FrameRule(Protocol):
    """Contract of a rule that selects frames of a clip by their timestamps."""

    def indices(self, seconds: np.ndarray) -> np.ndarray:
        """Return the indices of the selected frames.

        Args:
            seconds: float64 (n,), rising times of all n frames of the clip, n >= 1, in seconds
                from the start of the clip (of a long clip's stretch), not of its file. The first
                is above 0 where pictures start late.

        Returns:
            int64 (F,), not falling; an index may occur more than once.
        """
        ...


@dataclass(frozen=True)
class Uniform:
    """Select ``count`` frames, evenly from the first to the last; all of a clip with fewer."""

    count: int
    """Most frames to select, F <= count."""

    def indices(self, seconds: np.ndarray) -> np.ndarray:
        """Return int64 (F,), evenly spread indices rounded to the nearest, each one once."""
        steps = np.linspace(0, len(seconds) - 1, self.count) if len(seconds) else np.zeros(0)
        return np.unique(np.round(steps).astype(np.int64))


@dataclass(frozen=True)
class Linspace:
    """Select exactly ``count`` frames from the first to the last; short clips repeat frames.

    Source: ``np.linspace(0, n - 1, count, dtype=int)`` of LanguageBind and others.
    """

    count: int
    """Frames to select, F = count."""

    def indices(self, seconds: np.ndarray) -> np.ndarray:
        """Return int64 (count,), evenly spread indices rounded down."""
        return np.linspace(0, len(seconds) - 1, self.count, dtype=np.int64)


@dataclass(frozen=True)
class Strided:
    """Select ``count`` of n frames, the k-th is ``k * n // count``; all when n is smaller.

    Source: Video-LLaMA.
    """

    count: int
    """Most frames to select, F <= count."""

    def indices(self, seconds: np.ndarray) -> np.ndarray:
        """Return int64 (F,), indices at equal steps from the first frame on."""
        count = min(self.count, len(seconds))
        return np.arange(count) * len(seconds) // max(count, 1)


@dataclass(frozen=True)
class Rate:
    """Select exactly ``count`` frames from the first on at a fixed rate; the last one repeats.

    Where pictures start late, by a step or more, the first one stands for the time before it, so
    that pictures stay in step with sound.
    """

    count: int
    """Frames to select, F = count."""
    per_second: float
    """Frames per second of the selection."""

    def indices(self, seconds: np.ndarray) -> np.ndarray:
        """Return int64 (count,), for each moment the index of the frame that is shown then."""
        first = seconds[0] if 0 <= seconds[0] < 1 / self.per_second else 0.0
        moments = first + np.arange(self.count) / self.per_second
        after = np.searchsorted(seconds, moments + 0.5 / self.per_second)
        shown: np.ndarray = np.maximum(after - 1, 0)
        return shown


@dataclass(frozen=True)
class Windows:
    """Apply another rule to each window of a clip, one window after the other."""

    rule: FrameRule
    """Rule that selects the frames of one window."""
    seconds: float
    """Length of a window in seconds."""
    hop_seconds: float
    """Seconds from the start of a window to the start of the next."""

    def indices(self, seconds: np.ndarray) -> np.ndarray:
        """Return int64 (F,), the selections of all windows in time order.

        Windows start at the clip's start, as those of the sound do. A window in which no frame
        begins near its start has the frame before, which is shown then; windows before the first
        frame have that.
        """
        step = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.0
        is_late = not 0 <= seconds[0] <= step
        length = float(seconds[-1]) + step - (0.0 if is_late else float(seconds[0]))
        near = 1.5 * min(step, self.seconds / 4)
        found = []
        for start in window_starts(length, self.seconds, self.hop_seconds):
            low, high = np.searchsorted(seconds, [start - 1e-6, start + self.seconds - 1e-6])
            if low > 0 and (low == high or seconds[low] - start > near):
                low -= 1
            high = max(high, low + 1)
            found.append(low + self.rule.indices(seconds[low:high] - start))
        return np.concatenate(found)


WINDOWS_AT_ONCE = 8
"""Number of windows in one stretch of a long clip, see ``Backbone.stretch_seconds``."""


def window_starts(length_seconds: float, seconds: float, hop_seconds: float) -> np.ndarray:
    """Return the starts of the windows that cover a clip; the last may reach past its end.

    Args:
        length_seconds: length of the clip.
        seconds: length of a window.
        hop_seconds: seconds from the start of a window to the start of the next.

    Returns:
        float64 (W,) in seconds from the start of the clip, W >= 1.

    >>> window_starts(1.5, seconds=0.64, hop_seconds=0.64)
    array([0.  , 0.64, 1.28])
    """
    more = int(np.ceil((length_seconds - seconds) / hop_seconds - 1e-3))
    return np.arange(1 + max(0, more)) * hop_seconds


FaceMode = Literal["track", "largest", "all", "centre"]
"""Which faces are cropped. ``track``: the main face, followed through the clip; ``largest``: the
largest face of each frame; ``all``: every face of each frame from left to right; ``centre``: no
detection, the centre square of each frame."""


@dataclass(frozen=True)
class FaceRule:
    """How faces are found in the selected frames and cropped."""

    size: int = 160
    """Height and width of a crop in pixels."""
    margin: float = 0.0
    """Share of the box's side that is added on each side of the box."""
    min_probability: float = 0.9
    """Detections of MTCNN below this probability are ignored (0.9: lower values gave false faces on
    portraits)."""
    require_face: bool = False
    """True: a clip without a face in any frame has no face stream. False: the centres of its frames
    are used instead."""
    mode: FaceMode = "track"
    """Which faces are cropped, see :data:`FaceMode`."""


@dataclass(frozen=True)
class Needs:
    """What a backbone requires of the decoder; all backbones of a job share one decoding pass."""

    frames: FrameRule | None = None
    """Rule that selects the F frames to decode, also for face detection; None: no frames."""
    squash: int | None = None
    """Scale each frame to (squash, squash, 3) pixels inside the decoder, whatever its aspect ratio
    (swscale, bilinear, bit-exact with decord); None: keep the frame's own (H, W, 3)."""
    transform: Callable[[np.ndarray], np.ndarray] | None = None
    """Function uint8 (H, W, 3) -> array (…), applied to each frame as soon as it is decoded, such
    as resizing, so that long clips of large frames fit in memory. ``Media.frames`` then stacks its
    results: (F, …). None: no transform."""
    faces: FaceRule | None = None
    """How faces are cropped from the selected frames, for ``Media.faces``; None: no faces."""
    keep_frames: bool = False
    """Whether the backbone reads ``Media.frames``. False with ``faces``: the full frames are
    dropped once the crops are made."""
    audio: bool = False
    """Whether to decode the samples, float32 (channels, S)."""
    text: bool = False
    """Whether to deliver the clip's text."""
    array: str | None = None
    """Manifest column with the name of an array file (.npy or .npz), (T, D); None: no array."""
    array_key: str | None = None
    """Name of the array in an .npz file; None: the file holds only one."""


@dataclass(frozen=True, eq=False)
class Faces:
    """Face crops of one clip: one per selected frame, or in mode ``all`` one per detected face."""

    crops: np.ndarray
    """uint8 (F, size, size, 3) RGB; in mode ``all`` the first axis counts faces, not frames."""
    found: np.ndarray
    """bool (F,): whether a face was detected in each frame. Where it is False, the nearest crop of
    the track (within a second) or else the centre of the frame is used; in mode ``all`` that frame
    has no crop. All are False when the clip shows no face or in mode ``centre``. Crops read from a
    store have float64 (1,) here, the mean over frames, which is all that backbones use."""


@dataclass(frozen=True, eq=False)
class Media:
    """Decoded content of one clip for one backbone; None: not required, or the clip lacks it."""

    frames: np.ndarray | None = None
    """uint8 (F, H, W, 3) RGB as a player shows them: turned and mirrored as the file says, with
    square pixels; (F, squash, squash, 3) with ``Needs.squash``; (F, …), any dtype, with
    ``Needs.transform``."""
    frame_seconds: np.ndarray | None = None
    """float64 (F,): time at which each frame begins to be shown, in seconds from the start of the
    file; before the clip's start where no frame begins within the clip."""
    faces: Faces | None = None
    """Face crops uint8 (F, size, size, 3) and where they were found."""
    samples: np.ndarray | None = None
    """float32 (channels, S), full scale [-1, 1] but not clamped, at the file's own sample rate;
    (1, S) when the manifest's ``audio_channel`` names a channel. Sample k lies k / sample rate
    after the clip's start: where the file has no sound, there is silence. The backbone mixes and
    resamples them."""
    sample_rate: int | None = None
    """Sample rate of ``samples`` in Hz."""
    text: str | None = None
    """Text of the clip, not empty."""
    array: np.ndarray | None = None
    """(T, D), the array in the file named by the column ``Needs.array``, in the file's dtype."""
    absent: dict[str, str] = field(default_factory=dict)
    """Modality that was required but is None -> the reason: ``{"audio": "the file has no audio
    track"}``. The keys are ``video``, ``face``, ``audio``, ``text``, ``array``."""
    notes: dict[str, float] = field(default_factory=dict)
    """What is wrong with the media that were decoded for this backbone, to be stored beside the
    tokens: ``damaged_frames``, ``seconds_lacking`` (cut or damaged), ``end_missing`` (1: cut,
    nobody knows how much).
    Empty: nothing."""
    faults: tuple[str, ...] = ()
    """A phrase for people about each fault, with the name of the file and the time."""
    sound_start_seconds: float | None = None
    """Seconds from the clip's start to the first sample that the file holds; above 0 when the audio
    starts late, None when all of ``samples`` is silence that the file does not hold."""


DetectFaces = Callable[[np.ndarray], list[tuple[np.ndarray, np.ndarray]]]
"""Function that finds faces: frames uint8 (F, H, W, 3) RGB -> for each frame boxes float32 (K, 4),
x0 y0 x1 y1 in pixels, and probabilities float32 (K,)."""
