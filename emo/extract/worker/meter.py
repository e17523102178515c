"""Measure how long each stage of a worker is busy and how many clips wait before it."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from emo.extract.job.timings import CLIP_THREADS, STAGES, StageTotals, WorkTotals


class StageMeter:
    """Times of one worker's stages; threads may call it. Time counts only while :meth:`working`."""

    def __init__(self, threads: int, *, is_on_gpu: bool = False) -> None:
        """Start from zero.

        Args:
            threads: number of decoding threads.
            is_on_gpu: whether the models and the face detector run on a GPU.
        """
        in_threads = set(CLIP_THREADS) - ({"faces"} if is_on_gpu else set())
        self._threads = {name: threads if name in in_threads else 1 for name in STAGES}
        self._is_on_gpu = is_on_gpu
        self._lock = threading.Lock()
        self._busy: defaultdict[str, float] = defaultdict(float)
        """Stage -> seconds that the stage's threads were busy."""
        self._items: Counter[str] = Counter()
        """Stage -> number of clips (or models, or parts) that are done."""
        self._depth: Counter[str] = Counter()
        """Stage -> number of clips that wait before this stage now."""
        self._queued: defaultdict[str, float] = defaultdict(float)
        """Stage -> seconds that clips waited before this stage, summed over clips."""
        self._wall_seconds = 0.0
        self._at: float | None = None
        """Moment up to which times are summed up; None: the worker has no part in progress."""

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count wall time inside the ``with`` block; a nested use has no effect."""
        if self._at is not None:
            yield
            return
        with self._lock:
            self._at = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._pass_time()
                self._at = None

    @contextmanager
    def busy(self, stage: str, items: int = 0) -> Iterator[None]:
        """Count the time of the ``with`` block as work of one thread.

        Args:
            stage: one of :data:`emo.extract.job.timings.STAGES`.
            items: number of clips (or models, or parts) that it completes.
        """
        began = time.monotonic()
        try:
            yield
        finally:
            self.add(stage, time.monotonic() - began, items)

    def add(self, stage: str, seconds: float, items: int = 0) -> None:
        """Add work of a stage that was timed elsewhere: seconds, and number of completed items."""
        with self._lock:
            self._busy[stage] += seconds
            self._items[stage] += items

    def queue(self, stage: str, change: int) -> None:
        """Change the number of clips that wait before a stage from now on."""
        with self._lock:
            self._pass_time()
            self._depth[stage] += change

    def take(self) -> WorkTotals:
        """Return what was measured since the last call, and start again from zero."""
        with self._lock:
            self._pass_time()
            stages = {
                name: StageTotals(
                    self._busy[name], count * self._wall_seconds, self._items[name],
                    self._queued[name],
                )
                for name, count in self._threads.items()
            }  # fmt: skip
            on_gpu = self._wall_seconds if self._is_on_gpu else 0.0
            found = WorkTotals(self._wall_seconds, on_gpu, stages)
            self._busy.clear()
            self._items.clear()
            self._queued.clear()
            self._wall_seconds = 0.0
        return found

    def _pass_time(self) -> None:
        """Sum up wall time and waiting time up to now."""
        if self._at is None:
            return
        now = time.monotonic()
        for stage, depth in self._depth.items():
            self._queued[stage] += depth * (now - self._at)
        self._wall_seconds += now - self._at
        self._at = now
