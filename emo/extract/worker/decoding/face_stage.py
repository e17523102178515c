"""Face detection as a timed stage: on a CPU in every decoding thread, on a GPU one at a time."""

import threading
import time
from contextlib import nullcontext

import numpy as np

from emo.extract.faces.tracks import Detections
from emo.extract.media import DetectFaces
from emo.extract.worker.meter import StageMeter


class FaceStage:
    """A face detector that measures the time which another detector takes.

    On a GPU one thread at a time may detect, with the frames of its clip as one batch: several
    threads would only share the GPU's time and multiply the memory. Frames of several clips are not
    put into one batch, because which clips are ready at the same moment depends on timing, and the
    numbers must not.
    """

    def __init__(self, detect: DetectFaces, meter: StageMeter, *, is_on_gpu: bool) -> None:
        """Wrap a detector.

        Args:
            detect: finds the faces.
            meter: counts seconds, clips and waiting clips of the stage ``faces``.
            is_on_gpu: whether it runs on a GPU, so that only one thread at a time may use it.
        """
        self._detect, self._meter = detect, meter
        self._lock = threading.Lock() if is_on_gpu else nullcontext()
        self._mine = threading.local()

    def __call__(self, frames: np.ndarray) -> Detections:
        """Find the faces of frames uint8 (F, H, W, 3): for each frame boxes and probabilities."""
        called = time.monotonic()
        self._meter.queue("faces", 1)
        with self._lock:
            self._meter.queue("faces", -1)
            began = time.monotonic()
            try:
                return self._detect(frames)
            finally:
                ended = time.monotonic()
                self._meter.add("faces", ended - began, 1)
                waited, busy = self.spent()
                self._mine.spent = (waited + began - called, busy + ended - began)

    def spent(self) -> tuple[float, float]:
        """Return the seconds for which the calling thread has waited for the detector, and has used
        it."""
        found: tuple[float, float] = getattr(self._mine, "spent", (0.0, 0.0))
        return found


class StageClock:
    """Stopwatch that divides the time of one thread into stages; started by creating it."""

    def __init__(self, faces: FaceStage | None) -> None:
        """Start; ``faces`` measures face detection, None: no faces are looked for."""
        self._faces = faces
        self._at, self._spent = time.monotonic(), self._faces_so_far()

    def decoded(self) -> dict[str, float]:
        """Return the seconds since the last lap by stage: ``decode``, and ``faces`` if any were
        found.

        Time spent waiting for the detector counts to neither.
        """
        (waited, busy), before = self._faces_so_far(), self._spent
        self._spent = (waited, busy)
        waited, busy = waited - before[0], busy - before[1]
        return {"decode": max(0.0, self.lap() - waited - busy)} | ({"faces": busy} if busy else {})

    def lap(self) -> float:
        """Return the seconds since the last lap and start a new lap."""
        before, self._at = self._at, time.monotonic()
        return self._at - before

    def _faces_so_far(self) -> tuple[float, float]:
        return self._faces.spent() if self._faces else (0.0, 0.0)
