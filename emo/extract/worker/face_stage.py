"""Finding faces as a stage: on a CPU in the decoding threads, on a GPU one clip at a time."""

import threading
import time
from contextlib import nullcontext

import numpy as np

from emo.extract.faces.tracks import Detections
from emo.extract.media import DetectFaces
from emo.extract.worker.meter import StageMeter


class FaceStage:
    """A :data:`~emo.extract.media.DetectFaces` that counts what the one inside takes.

    On a GPU the frames of a clip are one batch, and clips take turns: many threads at once would
    only share its time, and multiply the memory. Batches of several clips are not made: which
    clips are ready at the same moment is chance, and numbers must not depend on it.
    """

    def __init__(self, detect: DetectFaces, meter: StageMeter, *, is_on_gpu: bool) -> None:
        """``detect``: finds the faces; ``is_on_gpu``: there, so that threads take turns."""
        self._detect, self._meter = detect, meter
        self._lock = threading.Lock() if is_on_gpu else nullcontext()
        self._mine = threading.local()

    def __call__(self, frames: np.ndarray) -> Detections:
        """As :data:`~emo.extract.media.DetectFaces`."""
        asked = time.monotonic()
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
                self._mine.spent = (waited + began - asked, busy + ended - began)

    def spent(self) -> tuple[float, float]:
        """Seconds that the calling thread has waited for its turn, and found faces, so far."""
        found: tuple[float, float] = getattr(self._mine, "spent", (0.0, 0.0))
        return found


class StageClock:
    """Divides what one thread does into stages; starts when it is made."""

    def __init__(self, faces: FaceStage | None) -> None:
        """``faces``: what counts the seconds of that stage; None: no faces are looked for."""
        self._faces = faces
        self._at, self._spent = time.monotonic(), self._faces_so_far()

    def decoded(self) -> dict[str, float]:
        """Seconds of decoding since the last lap, without those of finding faces."""
        (waited, busy), before = self._faces_so_far(), self._spent
        self._spent = (waited, busy)
        waited, busy = waited - before[0], busy - before[1]
        return {"decode": max(0.0, self.lap() - waited - busy)} | ({"faces": busy} if busy else {})

    def lap(self) -> float:
        """Seconds since the last lap."""
        before, self._at = self._at, time.monotonic()
        return self._at - before

    def _faces_so_far(self) -> tuple[float, float]:
        return self._faces.spent() if self._faces else (0.0, 0.0)
