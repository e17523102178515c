"""One worker: takes parts, has their clips decoded, prepared and encoded, and commits them.

Decoding and preparing (:class:`emo.extract.worker.decoding.prepare.ClipPreparer`) run in threads
(:class:`emo.extract.worker.decoding.prefetch.Pipeline`). The models
(:class:`emo.extract.worker.encode.BatchEncoder`) run in the calling thread, on batches that hold
clips of one part only, and that thread commits the part. In the meantime the threads work on the
next part, so that no thread waits at the end of a part. But no clip of the next part is encoded
before this part is committed: a worker that dies loses the encoded clips of one part at most. A
clip that fails is recorded with its reason and the part continues. After a stop request the worker
finishes its batch and commits what is complete.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from emo.errors import StoreError
from emo.extract.decode.source import source_hash
from emo.extract.decode.sources.bodies import begin_job
from emo.extract.decode.sources.object_listing import remember_facts
from emo.extract.job.plan import PartPlan, still_missing
from emo.extract.job.request import Job
from emo.extract.worker.collector import ClipDone, Collector
from emo.extract.worker.decoding.prefetch import PartQueue, Pipeline
from emo.extract.worker.decoding.prepare import ClipPreparer
from emo.extract.worker.decoding.units import unit_groups
from emo.extract.worker.encode import BatchEncoder
from emo.extract.worker.loaded_models import BATCH_CLIPS, LoadedModels
from emo.extract.worker.meter import StageMeter
from emo.extract.worker.reports import PartReport
from emo.extract.worker.software import software_of
from emo.store.erased_ids import ErasedIds, erased_files, read_erased
from emo.store.part.writer import PartWriter
from emo.store.store import Store

__all__ = ["ClipDone", "PartReport", "StartedPart", "Worker"]


@dataclass(frozen=True, eq=False)
class StartedPart:
    """A part whose clips are being decoded."""

    part: PartPlan
    names: tuple[str, ...]
    """Names of the recipes that lack clips of the part."""
    clips: int
    """Number of clips that at least one recipe lacks."""
    queue: PartQueue
    """Clips that are being decoded, or are ready for the models."""
    erased: ErasedIds
    """Clips that had been erased from the store when the part was started."""


class Worker:
    """A worker: the loaded models and the decoding threads, used for any number of parts."""

    def __init__(self, job: Job) -> None:
        """Start the threads; a model is loaded when the first part needs it."""
        self.job = job
        begin_job(job.hosts, job.limits)
        self.store = Store(job.store)
        self.versions = software_of(job.device)
        self.meter = StageMeter(job.threads, is_on_gpu=job.device.startswith("cuda"))
        self.models = LoadedModels(job, self.meter)
        self.preparer = ClipPreparer(job, self.models, self.meter)
        self.encoder = BatchEncoder(self.models.backbones, self.meter)
        most_units = 2 * job.threads + self.models.batch_clips
        self.pipeline = Pipeline(job.threads, most_units, self.meter)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.pipeline.close()

    def run_part(
        self,
        part: PartPlan,
        *,
        is_stopping: Callable[[], bool] = lambda: False,
        on_clip: Callable[[ClipDone], None] = lambda done: None,
        on_loaded: Callable[[], None] = lambda: None,
    ) -> PartReport:
        """Do the clips of a part that the store still lacks, and commit them.

        Args:
            part: the clips.
            is_stopping: called between batches; True commits what is complete and returns.
            on_clip: called after each clip.
            on_loaded: called once the models are loaded, before the first clip.

        Raises:
            StoreError: the store cannot be written.
            BrokenDevice: the device can do no more work.
        """
        with self.meter.working():
            started = self.start(part, on_loaded=on_loaded)
            return self.finish(started, is_stopping=is_stopping, on_clip=on_clip)

    def start(self, part: PartPlan, *, on_loaded: Callable[[], None] = lambda: None) -> StartedPart:
        """Queue the clips of a part that the store still lacks, after those of earlier parts.

        Args:
            part: the clips.
            on_loaded: called once the models are loaded, before the first clip.
        """
        remember_facts(part.objects)
        erased = read_erased(self.store.path)
        todo = self.missing(part.only({clip.id for clip in part.clips if clip.id not in erased}))
        clips = [clip for clip in part.clips if any(clip.id in ids for ids in todo.values())]
        self.models.load(todo, clips)
        on_loaded()
        most = min(self.models.batch_clips, BATCH_CLIPS)
        groups = unit_groups(self.preparer.units(clips, todo), most)
        queue = self.pipeline.open(groups, self.preparer.prepare, self.models.limits(todo))
        return StartedPart(part, tuple(todo), len(clips), queue, erased)

    def finish(
        self,
        started: StartedPart,
        *,
        is_stopping: Callable[[], bool] = lambda: False,
        on_clip: Callable[[ClipDone], None] = lambda done: None,
        on_room: Callable[[], None] = lambda: None,
    ) -> PartReport:
        """Encode and commit the part that was started first.

        Args:
            started: the part.
            is_stopping: called between batches; True commits what is complete and returns.
            on_clip: called after each clip.
            on_room: called when the threads have taken the part's last clips and could begin with
                another part; it may start one.

        Raises:
            StoreError: the store cannot be written.
            BrokenDevice: the device can do no more work.
        """
        began, finished = time.monotonic(), 0
        with self.meter.working(), ExitStack() as commits:
            writers = {
                n: commits.enter_context(self._writer(started.part, n)) for n in started.names
            }
            collector = Collector(writers)
            for batch in self.pipeline.batches(started.queue, is_stopping, on_room):
                for done in self.encoder.encode(batch, collector):
                    on_clip(done)
                    finished += 1
            with self.meter.busy("write", 1):
                commits.close()
                self._take_back_erased(started, list(writers.values()))
        seconds = time.monotonic() - began
        return PartReport(
            finished, collector.failures, finished < started.clips, seconds,
            _written_bytes(writers.values()),
        )  # fmt: skip

    def drop(self, started: StartedPart) -> None:
        """Give up a part that was started, without encoding its clips."""
        self.pipeline.drop(started.queue)

    def missing(self, part: PartPlan) -> dict[str, frozenset[str]]:
        """Return recipe name -> ids of the part's clips that no committed part holds by now."""
        found = {}
        for name, wanted in part.todo.items():
            self.store.recipes[name].refresh()
            if ids := still_missing(self.store.recipes[name], wanted):
                found[name] = ids
        return found

    def record(self, part: PartPlan, reason: str) -> PartReport:
        """Commit every missing clip of a part as failed for ``reason``, without trying it."""
        remember_facts(part.objects)
        todo = self.missing(part)
        sources = {clip.id: source_hash(clip, self.job.root) for clip in part.clips}
        for name, ids in todo.items():
            with self._writer(part, name) as writer:
                for clip_id in sorted(ids):
                    writer.fail(clip_id, reason, source=sources[clip_id])
        failures = {name: dict.fromkeys(sorted(ids), reason) for name, ids in todo.items()}
        return PartReport(len(frozenset().union(*todo.values())), failures, False, 0.0)

    def _take_back_erased(self, started: StartedPart, writers: Sequence[PartWriter]) -> None:
        """Remove what was committed of a part if an erasure of its clips began meanwhile.

        The erasure records the clips before it lists the parts: either it sees the part, or this
        sees the record.
        """
        if erased_files(self.store.path) == started.erased.files:
            return
        if not read_erased(self.store.path).among(clip.id for clip in started.part.clips):
            return
        for writer in writers:
            if writer.committed is not None and not writer.was_second:
                writer.committed.unlink(missing_ok=True)
        raise StoreError(
            f"{self.store.path}: clips of a part were erased while a worker was at it; the part is "
            "removed again. `emo job resume` does its other clips"
        )

    def _writer(self, part: PartPlan, name: str) -> PartWriter:
        folder, codes = self.store.recipes[name], self.models.codes
        code = {"code": codes[name]} if name in codes else {}
        return PartWriter(folder.path, folder.recipe, attempt=part.todo[name].attempt,
                          versions={**self.versions, **code})  # fmt: skip


def _written_bytes(writers: Iterable[PartWriter]) -> int:
    """Return the bytes of the parts that were committed, as far as they can be looked at."""
    total = 0
    for writer in writers:
        if writer.committed is not None:
            with suppress(OSError, StoreError):
                total += writer.committed.stat().st_size
    return total
