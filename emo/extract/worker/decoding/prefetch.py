"""The queue between the decoding threads and the models: clips in plan order, limited in size.

One thread takes a clip through decoding, finding faces and preparing. Prepared clips wait here
until the models take them, batch by batch. Several parts may be queued, one after the other; a
batch holds clips of one part only. The number of clips in the queue is limited and, once the first
ones have shown their size, also their bytes, so that only few long clips are in memory at a time.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from emo.extract.backbone import Prepared
from emo.extract.worker.decoding.units import WorkUnit
from emo.extract.worker.meter import StageMeter

MOST_QUEUED = 2 * 2**30
"""Most bytes of prepared clips that wait in a worker's queue; a single clip may be larger."""


@dataclass(frozen=True, eq=False)
class PreparedUnit:
    """A unit of decoding (a clip, or a stretch of one) after decoding and preparing."""

    unit: WorkUnit
    source_hash: str
    """Hash of the clip's row and files, see :func:`emo.extract.decode.source.source_hash`."""
    prepared: dict[str, Prepared | str]
    """Recipe name -> what the backbone's ``prepare`` returned, or the reason why that failed."""
    seconds: dict[str, float]
    """Stage -> core seconds spent on the unit."""
    fetched: tuple[int, int] = (0, 0)
    """Requests for media in buckets and at https URLs, and their bytes."""

    @cached_property
    def size_bytes(self) -> int:
        """Bytes of the arrays and tensors that wait for the models."""
        items = (item.inputs for item in self.prepared.values() if isinstance(item, Prepared))
        return sum(map(size_of, items))


@dataclass(frozen=True)
class BatchLimits:
    """Limits of a batch for the models; a batch has at least one clip, however large."""

    clips: int
    """Most clips of a batch."""
    size_bytes: int = 2**29
    """Most bytes of a batch's prepared clips."""


PrepareUnits = Callable[[Sequence[WorkUnit]], list[PreparedUnit]]
"""Function that a thread calls: decodes units in one pass and prepares each."""


@dataclass(eq=False)
class PartQueue:
    """The units of one part that are not started, in progress, or ready for the models."""

    groups: Iterator[Sequence[WorkUnit]]
    """Units that are not started, in groups that one pass decodes."""
    work: PrepareUnits
    limits: BatchLimits
    is_submitted: bool = False
    """Whether every group was handed to a thread."""
    in_progress: deque[tuple[int, Future[list[PreparedUnit]]]] = field(default_factory=deque)
    """Groups that threads work on, in order: number of units, and the future of the result."""
    ready: deque[PreparedUnit] = field(default_factory=deque)
    """Prepared units that the models have not taken, in order."""

    @property
    def is_empty(self) -> bool:
        """Whether the models have taken every unit."""
        return self.is_submitted and not self.in_progress and not self.ready


class Pipeline:
    """Threads that decode and prepare clips, and the queues of the parts that they work on."""

    def __init__(
        self, threads: int, most_units: int, meter: StageMeter, *, most_bytes: int = MOST_QUEUED
    ) -> None:
        """Start the threads.

        Args:
            threads: number of threads; each works on one clip (or several of one file) at a time.
            most_units: most units in progress and ready together.
            meter: counts how many units wait.
            most_bytes: most bytes of prepared units, see :data:`MOST_QUEUED`.
        """
        self.threads, self.most_units = threads, most_units
        self.most_bytes, self.meter = most_bytes, meter
        self.queues: deque[PartQueue] = deque()
        """Queues of the open parts; the models take from the first one."""
        self._sizes: deque[int] = deque(maxlen=2 * threads)
        """Bytes of the units that were prepared last."""
        self._pool = ThreadPoolExecutor(threads, initializer=_use_one_core)

    def close(self) -> None:
        """End the threads; units that were not started are dropped."""
        self._pool.shutdown(cancel_futures=True)

    def open(
        self, groups: Iterator[Sequence[WorkUnit]], work: PrepareUnits, limits: BatchLimits
    ) -> PartQueue:
        """Queue the units of a part after those of earlier parts.

        Args:
            groups: the units, in groups that one pass decodes.
            work: decodes and prepares a group.
            limits: limits of the part's batches.
        """
        queue = PartQueue(groups, work, limits)
        self.queues.append(queue)
        self.fill()
        return queue

    def drop(self, queue: PartQueue) -> None:
        """Remove a part's queue with the units that are left in it."""
        if queue not in self.queues:
            return
        for count, future in queue.in_progress:
            if future.cancel():
                self.meter.queue("decode", -count)
            else:
                future.add_done_callback(lambda _, n=count: self.meter.queue("encode", -n))  # type: ignore[misc]
        self.meter.queue("encode", -len(queue.ready))
        self.queues.remove(queue)

    def batches(
        self, queue: PartQueue, is_stopping: Callable[[], bool], on_room: Callable[[], None]
    ) -> Iterator[list[PreparedUnit]]:
        """Yield the part's prepared units in order, in batches, until a stop request.

        The division into batches depends on the order and size of the units only, not on timing.

        Args:
            queue: the first open queue.
            is_stopping: called before each unit is taken; True ends.
            on_room: called when the threads could take more units and this part has none left; it
                may open another queue.
        """
        assert queue is self.queues[0]
        self.fill()
        try:
            while not queue.is_empty and not is_stopping():
                batch: list[PreparedUnit] = []
                size_bytes = 0
                while not queue.is_empty and len(batch) < queue.limits.clips and not is_stopping():
                    size_bytes += self._first(queue).size_bytes
                    if batch and size_bytes > queue.limits.size_bytes:
                        break
                    batch.append(queue.ready.popleft())
                    self.meter.queue("encode", -1)
                    self.fill()
                    if queue.is_submitted and self._has_room():
                        on_room()
                if batch:
                    yield batch
        finally:
            self.drop(queue)

    def fill(self) -> None:
        """Hand units to the threads, those of the first queue first, as long as there is room."""
        for queue in self.queues:
            while not queue.is_submitted and (self._is_needed_now(queue) or self._has_room()):
                group = next(queue.groups, None)
                if group is None:
                    queue.is_submitted = True
                else:
                    self.meter.queue("decode", len(group))
                    future = self._pool.submit(self._run, queue.work, group)
                    queue.in_progress.append((len(group), future))

    def _run(self, work: PrepareUnits, group: Sequence[WorkUnit]) -> list[PreparedUnit]:
        """Decode and prepare a group and count it in the queues; called in a thread."""
        self.meter.queue("decode", -len(group))
        try:
            return work(group)
        finally:
            self.meter.queue("encode", len(group))

    def _first(self, queue: PartQueue) -> PreparedUnit:
        """Return the next unit of a queue that is not empty; waits until it is prepared."""
        if not queue.ready:
            found = queue.in_progress.popleft()[1].result()
            self._sizes.extend(unit.size_bytes for unit in found)
            queue.ready.extend(found)
        return queue.ready[0]

    def _is_needed_now(self, queue: PartQueue) -> bool:
        """Return whether the models would wait forever unless a unit of this queue is started."""
        return queue is self.queues[0] and not queue.in_progress and not queue.ready

    def _has_room(self) -> bool:
        """Return whether one more unit fits, if units in progress are as large as recent ones."""
        in_progress = sum(count for queue in self.queues for count, _ in queue.in_progress)
        ready = sum(len(queue.ready) for queue in self.queues)
        if not self._sizes:
            return sum(len(queue.in_progress) for queue in self.queues) < self.threads
        ready_bytes = sum(unit.size_bytes for queue in self.queues for unit in queue.ready)
        size_bytes = ready_bytes + (in_progress + 1) * max(self._sizes)
        return in_progress + ready < self.most_units and size_bytes <= self.most_bytes


def size_of(value: Any) -> int:
    """Return the bytes of all arrays and tensors in a value of nested dicts, lists and tuples."""
    if isinstance(value, Mapping):
        return sum(map(size_of, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(size_of, value))
    return int(getattr(value, "nbytes", 0))


def _use_one_core() -> None:
    """Let torch use one core in this thread, if a model has loaded it."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
