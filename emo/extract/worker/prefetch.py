"""The queue between the decoding threads and the model: clips in plan order, a bounded way ahead.

One thread carries a clip through decoding, finding faces and preparing; what is ready waits here
until the model takes it, batch by batch. Several parts may be in the queue, one behind the other;
a batch never holds clips of two. Bounded are the clips under way and, once the first have shown
how large they are, their bytes: long clips are few at a time.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

from emo.extract.backbone import Prepared
from emo.extract.worker.meter import StageMeter
from emo.extract.worker.units import WorkUnit

MOST_BYTES = 2 * 2**30
"""Of prepared clips that wait for the model, when more than one does."""


@dataclass(frozen=True, eq=False)
class PreparedUnit:
    """One unit after decoding and preparing."""

    unit: WorkUnit
    source_hash: str
    prepared: dict[str, Prepared | str]
    """By recipe: what ``prepare`` returned, or the reason why there is nothing."""
    seconds: dict[str, float]
    """Spent on it, by stage."""

    @cached_property
    def size_bytes(self) -> int:
        """Of the arrays and tensors that wait for the model."""
        items = (item.inputs for item in self.prepared.values() if isinstance(item, Prepared))
        return sum(map(size_of, items))


@dataclass(frozen=True)
class BatchLimits:
    """What the models are handed together; one clip at least."""

    clips: int
    """At most."""
    size_bytes: int = 2**29
    """Of them after preparing, at most."""


PrepareUnits = Callable[[Sequence[WorkUnit]], list[PreparedUnit]]
"""What a thread does with units that are decoded in one pass."""


@dataclass(eq=False)
class Line:
    """The units of one part, those under way and those that are ready."""

    groups: Iterator[Sequence[WorkUnit]]
    work: PrepareUnits
    limits: BatchLimits
    is_submitted: bool = False
    """No group is left to hand to a thread."""
    under_way: deque[tuple[int, Future[list[PreparedUnit]]]] = field(default_factory=deque)
    ready: deque[PreparedUnit] = field(default_factory=deque)

    @property
    def is_empty(self) -> bool:
        """Everything was taken."""
        return self.is_submitted and not self.under_way and not self.ready


class Pipeline:
    """Threads that decode and prepare, and what they have done and nobody has taken."""

    def __init__(
        self, threads: int, most_units: int, meter: StageMeter, *, most_bytes: int = MOST_BYTES
    ) -> None:
        """Start the threads.

        Args:
            threads: that decode and prepare, each one clip (or several of one file) at a time.
            most_units: that are under way or wait, when they are small.
            meter: told of queues.
            most_bytes: see :data:`MOST_BYTES`.
        """
        self.threads, self.most_units = threads, most_units
        self.most_bytes, self.meter = most_bytes, meter
        self.lines: deque[Line] = deque()
        self._sizes: deque[int] = deque(maxlen=2 * threads)
        """Bytes of the units that were prepared last."""
        self._pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))

    def close(self) -> None:
        """End the threads; what waits is dropped."""
        self._pool.shutdown(cancel_futures=True)

    def open(
        self, groups: Iterator[Sequence[WorkUnit]], work: PrepareUnits, limits: BatchLimits
    ) -> Line:
        """Queue the units of a part behind those of the parts before."""
        line = Line(groups, work, limits)
        self.lines.append(line)
        self.fill()
        return line

    def drop(self, line: Line) -> None:
        """Forget what is left of a part."""
        if line not in self.lines:
            return
        for count, future in line.under_way:
            if future.cancel():
                self.meter.queue("decode", -count)
            else:
                future.add_done_callback(lambda _, n=count: self.meter.queue("encode", -n))  # type: ignore[misc]
        self.meter.queue("encode", -len(line.ready))
        self.lines.remove(line)

    def batches(
        self, line: Line, is_stopping: Callable[[], bool], more: Callable[[], None]
    ) -> Iterator[list[PreparedUnit]]:
        """Prepared units in order, some at a time, until a stop request.

        Which ones share a batch follows from their order and size alone, never from timing.

        Args:
            line: the first that is open.
            is_stopping: asked before each unit is taken.
            more: called when threads have room and this line has nothing left for them; may open
                another line.
        """
        assert line is self.lines[0]
        self.fill()
        try:
            while not line.is_empty and not is_stopping():
                batch: list[PreparedUnit] = []
                size_bytes = 0
                while not line.is_empty and len(batch) < line.limits.clips and not is_stopping():
                    ready = self._first(line)
                    size_bytes += ready.size_bytes
                    if batch and size_bytes > line.limits.size_bytes:
                        break
                    batch.append(line.ready.popleft())
                    self.meter.queue("encode", -1)
                    self.fill()
                    if line.is_submitted and self._has_room():
                        more()
                if batch:
                    yield batch
        finally:
            self.drop(line)

    def fill(self) -> None:
        """Hand units to the threads, those of the first line first, as long as there is room."""
        for line in self.lines:
            while not line.is_submitted and (self._is_hungry(line) or self._has_room()):
                group = next(line.groups, None)
                if group is None:
                    line.is_submitted = True
                else:
                    self.meter.queue("decode", len(group))
                    future = self._pool.submit(self._done, line.work, group)
                    line.under_way.append((len(group), future))

    def _done(self, work: PrepareUnits, group: Sequence[WorkUnit]) -> list[PreparedUnit]:
        self.meter.queue("decode", -len(group))
        try:
            return work(group)
        finally:
            self.meter.queue("encode", len(group))

    def _first(self, line: Line) -> PreparedUnit:
        """The next unit of a line that is not empty; waits for it."""
        if not line.ready:
            found = line.under_way.popleft()[1].result()
            self._sizes.extend(ready.size_bytes for ready in found)
            line.ready.extend(found)
        return line.ready[0]

    def _is_hungry(self, line: Line) -> bool:
        """The model would wait for ever, however little room there is."""
        return line is self.lines[0] and not line.under_way and not line.ready

    def _has_room(self) -> bool:
        """For one more unit, when all that are under way turn out as large as the last ones."""
        under_way = sum(count for line in self.lines for count, _ in line.under_way)
        ready = sum(len(line.ready) for line in self.lines)
        if not self._sizes:
            return sum(len(line.under_way) for line in self.lines) < self.threads
        ready_bytes = sum(each.size_bytes for line in self.lines for each in line.ready)
        size_bytes = ready_bytes + (under_way + 1) * max(self._sizes)
        return under_way + ready < self.most_units and size_bytes <= self.most_bytes


def size_of(value: Any) -> int:
    """Bytes of the arrays and tensors in a value, however they are nested."""
    if isinstance(value, Mapping):
        return sum(map(size_of, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(size_of, value))
    return int(getattr(value, "nbytes", 0))
