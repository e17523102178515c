"""One worker: decodes, prepares, encodes and commits the clips of one part after another.

Decoding and preparing run in threads (:mod:`emo.extract.worker.prefetch`); the model runs in the
calling thread on batches that never cross parts, and that thread commits. While it does, the
threads go on with the next part, so that a part boundary stops nobody; but no clip of the next
part is encoded before this one is committed: a worker that dies loses the encoded clips of one
part at most. A clip that cannot be done is recorded with its reason and the part goes on; a stop
request finishes the batch in hand and commits what is finished.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from emo.extract.backbone import Prepared
from emo.extract.decode.one_pass import load_segments
from emo.extract.decode.source import source_hash, source_of
from emo.extract.decode.stretches import StretchResult
from emo.extract.job.plan import PartPlan, still_missing
from emo.extract.job.request import Job
from emo.extract.job.timings import WorkTotals
from emo.extract.media import Media, Needs
from emo.extract.worker.cached_faces import CachedFaces
from emo.extract.worker.collector import ClipDone, Collector
from emo.extract.worker.encode import encode_batch, prepare_one, reason_of
from emo.extract.worker.face_stage import StageClock
from emo.extract.worker.loaded_models import BATCH_CLIPS, LoadedModels
from emo.extract.worker.meter import StageMeter
from emo.extract.worker.prefetch import Line, Pipeline, PreparedUnit
from emo.extract.worker.units import WorkUnit, unit_groups, units_of
from emo.manifest import Clip
from emo.store.part.writer import PartWriter
from emo.store.store import Store

__all__ = ["ClipDone", "PartReport", "Started", "Worker"]


@dataclass(frozen=True)
class PartReport:
    """How a part ended."""

    clips: int
    """Clips worked on, failed ones included."""
    failures: dict[str, dict[str, str]]
    """Recipe name -> clip id -> reason."""
    is_stopped: bool
    """A stop request left clips of the part undone."""
    wall_seconds: float
    work: WorkTotals = field(default_factory=WorkTotals)
    """Where the worker's time went since its report before."""


@dataclass(frozen=True, eq=False)
class Started:
    """A part whose clips are being decoded."""

    part: PartPlan
    names: tuple[str, ...]
    """Recipes of which something is missing."""
    clips: int
    """Of which anything is."""
    line: Line


class Worker:
    """Holds the loaded backbones; does any number of parts."""

    def __init__(self, job: Job) -> None:
        """Build nothing yet; models are loaded when the first part needs them."""
        self.job = job
        self.store = Store(job.store)
        self.cached = CachedFaces(Store(job.store))  # its own view, that threads may read
        self.meter = StageMeter(job.threads, is_on_gpu=job.device.startswith("cuda"))
        self.loaded = LoadedModels(job, self.meter)
        most = 2 * job.threads + self.loaded.batch_clips
        self.pipeline = Pipeline(job.threads, most, self.meter)

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
        """Do what the store still lacks of ``part`` and commit it.

        Args:
            part: the clips.
            is_stopping: asked between batches; True commits what is finished and returns.
            on_clip: told after each clip.
            on_loaded: told when the models are there and the first clip comes next.

        Raises:
            StoreError: the store cannot be written.
        """
        with self.meter.working():
            started = self.start(part, on_loaded=on_loaded)
            return self.finish(started, is_stopping=is_stopping, on_clip=on_clip)

    def start(self, part: PartPlan, *, on_loaded: Callable[[], None] = lambda: None) -> Started:
        """Begin to decode what the store still lacks of ``part``, behind the parts before it."""
        todo = self.missing(part)
        clips = [clip for clip in part.clips if any(clip.id in ids for ids in todo.values())]
        self.loaded.load(todo, clips)
        on_loaded()
        most = min(self.loaded.batch_clips, BATCH_CLIPS)
        groups = unit_groups(self._units(clips, todo), most)
        limits = self.loaded.limits(todo)
        line = self.pipeline.open(groups, self._prepare, limits)
        return Started(part, tuple(todo), len(clips), line)

    def finish(
        self,
        started: Started,
        *,
        is_stopping: Callable[[], bool] = lambda: False,
        on_clip: Callable[[ClipDone], None] = lambda done: None,
        more: Callable[[], None] = lambda: None,
    ) -> PartReport:
        """Encode and commit a part; the one that was started first.

        Args:
            started: the part.
            is_stopping: as in :meth:`run_part`.
            on_clip: as in :meth:`run_part`.
            more: called when the part's last clips are being decoded; may start another part.

        Raises:
            StoreError: the store cannot be written.
        """
        began, finished = time.monotonic(), 0
        with self.meter.working(), ExitStack() as commits:
            writers = {
                n: commits.enter_context(self._writer(started.part, n)) for n in started.names
            }
            collector = Collector(writers)
            for batch in self.pipeline.batches(started.line, is_stopping, more):
                for done in self._encode(batch, collector):
                    on_clip(done)
                    finished += 1
            with self.meter.busy("write", 1):
                commits.close()
        seconds = time.monotonic() - began
        return PartReport(finished, collector.failures, finished < started.clips, seconds)

    def drop(self, started: Started) -> None:
        """Give a part back that was started and is not wanted any more."""
        self.pipeline.drop(started.line)

    def missing(self, part: PartPlan) -> dict[str, frozenset[str]]:
        """By recipe, the clips of ``part`` that nobody has committed since it was planned."""
        found = {}
        for name, wanted in part.todo.items():
            self.store.recipes[name].refresh()
            if ids := still_missing(self.store.recipes[name], wanted):
                found[name] = ids
        return found

    def record(self, part: PartPlan, reason: str) -> PartReport:
        """Commit every missing clip of ``part`` as failed, without trying it."""
        todo = self.missing(part)
        sources = {clip.id: source_hash(clip, self.job.root) for clip in part.clips}
        for name, ids in todo.items():
            with self._writer(part, name) as writer:
                for clip_id in sorted(ids):
                    writer.fail(clip_id, reason, source=sources[clip_id])
        failures = {name: dict.fromkeys(sorted(ids), reason) for name, ids in todo.items()}
        return PartReport(len(frozenset().union(*todo.values())), failures, False, 0.0)

    def _writer(self, part: PartPlan, name: str) -> PartWriter:
        folder = self.store.recipes[name]
        return PartWriter(folder.path, folder.recipe, attempt=part.todo[name].attempt)

    def _units(
        self, clips: Sequence[Clip], todo: Mapping[str, frozenset[str]]
    ) -> Iterator[WorkUnit]:
        for clip in clips:
            requests = [
                request for request in self.job.requests if clip.id in todo.get(request.name, ())
            ]
            yield from units_of(
                clip, source_of(clip, self.job.root), requests, self.loaded.stretch_seconds
            )

    def _prepare(self, units: Sequence[WorkUnit]) -> list[PreparedUnit]:
        """Decode units once and prepare them for every backbone that wants them; in a thread."""
        hashes = [source_hash(unit.clip, self.job.root) for unit in units]
        needs = [self.loaded.needs[request.name] for request in units[0].requests]
        crops = [
            [self._cached_faces(unit, need, found) for need in needs]
            for unit, found in zip(units, hashes, strict=True)
        ]
        if len(units) > 1 and any(found is not None for row in crops for found in row):
            return [ready for unit in units for ready in self._prepare([unit])]
        needs = [need if c is None else replace(need, frames=None, faces=None)
                 for need, c in zip(needs, crops[0], strict=True)]  # fmt: skip
        found = []
        clock = StageClock(self.loaded.detect)
        loaded = load_segments([unit.source for unit in units], needs, detect=self.loaded.detect)
        for unit, views, known, faces in zip(units, loaded, hashes, crops, strict=True):
            seconds = clock.decoded()
            prepared: dict[str, Prepared | str]
            if isinstance(views, Exception):  # whatever a file does, the job goes on
                prepared = {request.name: reason_of(views) for request in unit.requests}
            else:
                prepared = {
                    request.name: prepare_one(
                        self.loaded.backbones[request.name],
                        media
                        if own is None
                        else replace(media, faces=own.faces, notes={**media.notes, **own.notes}),
                        is_strict=self.job.is_strict,
                    )
                    for request, media, own in zip(unit.requests, views, faces, strict=True)
                }
            seconds["prepare"] = clock.lap()
            for stage in ("decode", "prepare"):
                self.meter.add(stage, seconds[stage], unit.is_last)
            found.append(PreparedUnit(unit, known, prepared, seconds))
        return found

    def _cached_faces(self, unit: WorkUnit, need: Needs, source: str) -> Media | None:
        """Crops of an earlier job; only of whole clips, because that is what it stored."""
        is_whole = unit.source == source_of(unit.clip, self.job.root)
        return self.cached.get(need, unit.clip.id, source) if is_whole else None

    def _encode(self, batch: Sequence[PreparedUnit], collector: Collector) -> Iterator[ClipDone]:
        """A batch through every model; its clips that are complete."""
        began = time.monotonic()
        for name in collector.writers:
            mine = [ready for ready in batch if name in ready.prepared]
            for ready, piece in zip(mine, self._encoded(name, mine), strict=True):
                collector.add(name, ready, piece)
        seconds = time.monotonic() - began
        self.meter.add("encode", seconds, sum(ready.unit.is_last for ready in batch))
        for ready in batch:
            if done := collector.done(ready, seconds / len(batch)):
                yield done

    def _encoded(self, name: str, batch: Sequence[PreparedUnit]) -> Iterator[StretchResult]:
        items = [ready.prepared[name] for ready in batch]
        usable = {
            index: item
            for index, item in enumerate(items)
            if isinstance(item, Prepared) and item.inputs
        }
        encoded = encode_batch(self.loaded.backbones[name], usable)
        for index, item in enumerate(items):
            tokens = encoded.get(index, {})
            if isinstance(item, str) or isinstance(tokens, str):
                yield StretchResult(failure=item if isinstance(item, str) else str(tokens))
            else:
                yield StretchResult(tokens, None, item.absent, item.notes)
