"""Counts, from many threads, how long each stage of a worker works and how many clips wait."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from emo.extract.job.timings import CLIP_THREADS, STAGES, StageTotals, WorkTotals


class StageMeter:
    """Of one worker. Time counts only while a part is in hand (:meth:`working`)."""

    def __init__(self, threads: int, *, is_on_gpu: bool = False) -> None:
        """Start from nothing.

        Args:
            threads: that decode.
            is_on_gpu: the models, and the finding of faces, run there.
        """
        in_threads = set(CLIP_THREADS) - ({"faces"} if is_on_gpu else set())
        self._threads = {name: threads if name in in_threads else 1 for name in STAGES}
        self._is_on_gpu = is_on_gpu
        self._lock = threading.Lock()
        self._busy: Counter[str] = Counter()
        self._items: Counter[str] = Counter()
        self._depth: Counter[str] = Counter()
        self._queued: Counter[str] = Counter()
        self._wall_seconds = 0.0
        self._at: float | None = None
        """Up to when wall seconds and queues are summed up; None: nothing is in hand."""

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around everything that is done of a part; inside itself it changes nothing."""
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
        """Around the work of one thread."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.add(stage, time.monotonic() - began, items)

    def add(self, stage: str, seconds: float, items: int = 0) -> None:
        """Work that was timed elsewhere."""
        with self._lock:
            self._busy[stage] += seconds  # type: ignore[assignment]
            self._items[stage] += items

    def queue(self, stage: str, change: int) -> None:
        """So many clips more (or fewer) wait before a stage from now on."""
        with self._lock:
            self._pass_time()
            self._depth[stage] += change

    def take(self) -> WorkTotals:
        """What was counted since the last time."""
        with self._lock:
            self._pass_time()
            stages = {
                name: StageTotals(
                    float(self._busy[name]), count * self._wall_seconds, self._items[name],
                    float(self._queued[name]),
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
        if self._at is None:
            return
        now = time.monotonic()
        for stage, depth in self._depth.items():
            self._queued[stage] += depth * (now - self._at)  # type: ignore[assignment]
        self._wall_seconds += now - self._at
        self._at = now
