"""One worker: decodes, prepares, encodes and commits the clips of one part after another.

Decoding and preparing run in threads, clips in plan order; the model runs in the calling thread
on batches that never cross parts. A clip that cannot be done is recorded with its reason and the
part goes on; a stop request finishes the batch in hand and commits what is finished.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace

import torch

from emo.errors import StoreError
from emo.extract.backbone import Backbone, Prepared
from emo.extract.cached_faces import CachedFaces
from emo.extract.encode import encode_batch, prepare_one, reason_of, why_absent
from emo.extract.job import Ask, Job
from emo.extract.media import DetectFaces, Faces, Needs
from emo.extract.model import Model
from emo.extract.plan import PartPlan, still_missing
from emo.extract.segments import load_segments
from emo.extract.source import source_hash, source_of
from emo.extract.stretches import Piece, join
from emo.extract.units import Unit, groups_of, units_of
from emo.manifest import Clip
from emo.store.part import PartWriter
from emo.store.store import Store

MORE_ROWS_ON_A_GPU = 8
"""Times the rows that a model sees at once on a CPU, when nobody says; halved until they fit."""


@dataclass(frozen=True)
class ClipDone:
    """A clip after the last backbone."""

    clip_id: str
    failures: dict[str, str]
    """Recipe name -> reason."""
    seconds: dict[str, float]
    """Of one core in ``decode`` (faces included) and ``prepare``, and its share of ``encode``."""


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


@dataclass(frozen=True, eq=False)
class _Ready:
    """One unit after decoding and preparing."""

    unit: Unit
    source_hash: str
    prepared: dict[str, Prepared | str]
    """By recipe: what ``prepare`` returned, or the reason why there is nothing."""
    seconds: dict[str, float]
    """Spent on it, by stage."""


class Worker:
    """Holds the loaded backbones; does any number of parts."""

    def __init__(self, job: Job) -> None:
        """Build nothing yet; models are loaded when the first part needs them."""
        self.job = job
        self.backbones: dict[str, Backbone] = {}
        self.needs: dict[str, Needs] = {}
        self.stretch_seconds: dict[str, float | None] = {}
        self.detect: DetectFaces | None = None
        self.pieces: dict[str, list[Piece]] = {}
        """By recipe, the stretches so far of the clip that is being encoded."""
        self.store = Store(job.store)
        self.pool = ThreadPoolExecutor(
            job.threads, initializer=torch.set_num_threads, initargs=(1,)
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)

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
        began = time.monotonic()
        self.cached = CachedFaces(self.store)
        todo = self.missing(part)
        clips = [clip for clip in part.clips if any(clip.id in ids for ids in todo.values())]
        self._load(todo, clips)
        on_loaded()
        failures: dict[str, dict[str, str]] = {name: {} for name in todo}
        self.pieces = {name: [] for name in todo}
        finished, seconds = 0, Counter[str]()
        with ExitStack() as stack:
            writers = {name: stack.enter_context(self._writer(part, name)) for name in todo}
            for batch in self._batches(self._units(clips, todo), is_stopping):
                encode_began = time.monotonic()
                for name, writer in writers.items():
                    self._finish(name, writer, [r for r in batch if name in r.prepared], failures)
                share = (time.monotonic() - encode_began) / len(batch)
                for ready in batch:
                    seconds.update(ready.seconds | {"encode": share})
                    if ready.unit.is_last:
                        on_clip(_clip_done(ready.unit.clip.id, failures, seconds))
                        seconds.clear()
                        finished += 1
        return PartReport(finished, failures, finished < len(clips), time.monotonic() - began)

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

    def _load(self, names: Mapping[str, object], clips: Sequence[Clip]) -> None:
        """Build what these recipes and clips need and what is not built yet."""
        for ask in self.job.asks:
            if ask.name in names and ask.name not in self.backbones:
                self.backbones[ask.name] = self._built(ask)
                kind, options = type(self.backbones[ask.name]), self.backbones[ask.name].options
                self.needs[ask.name] = kind.needs(options)
                self.stretch_seconds[ask.name] = kind.stretch_seconds(options)
        rules = [self.needs[ask.name].faces for ask in self.job.asks if ask.name in names]
        is_face_wanted = any(rule is not None and rule.mode != "centre" for rule in rules)
        if self.detect is None and is_face_wanted and any(clip.video for clip in clips):
            from emo.extract.faces import FaceDetector  # seconds of imports that texts do not need

            self.detect = FaceDetector(device=self.job.device)

    def _built(self, ask: Ask) -> Backbone:
        backbone = ask.load(self.job.device)
        if isinstance(backbone, Model):
            more = MORE_ROWS_ON_A_GPU if self.job.device.startswith("cuda") else 1
            backbone.row_count = self.job.batch_size or backbone.row_count * more
        return backbone

    def _units(self, clips: Sequence[Clip], todo: Mapping[str, frozenset[str]]) -> Iterator[Unit]:
        for clip in clips:
            asks = [ask for ask in self.job.asks if clip.id in todo.get(ask.name, ())]
            yield from units_of(clip, source_of(clip, self.job.root), asks, self.stretch_seconds)

    def _batches(
        self, units: Iterator[Unit], is_stopping: Callable[[], bool]
    ) -> Iterator[list[_Ready]]:
        """Prepared units in order, ``batch_clips`` at a time, until a stop request."""
        ahead = 2 * self.job.threads + self.job.batch_clips
        groups = groups_of(units, self.job.batch_clips)
        queue: deque[tuple[int, Future[list[_Ready]]]] = deque()
        ready: deque[_Ready] = deque()

        def submit() -> None:
            while len(ready) + sum(count for count, _ in queue) < ahead:
                group = next(groups, None)
                if group is None:
                    return
                queue.append((len(group), self.pool.submit(self._prepare, group)))

        submit()
        while queue or ready:
            batch: list[_Ready] = []
            while (queue or ready) and len(batch) < self.job.batch_clips and not is_stopping():
                if not ready:
                    ready.extend(queue.popleft()[1].result())
                batch.append(ready.popleft())
                submit()
            if batch:
                yield batch
            if is_stopping():
                for _, future in queue:
                    future.cancel()
                return

    def _prepare(self, units: Sequence[Unit]) -> list[_Ready]:
        """Decode units once and prepare them for every backbone that wants them; in a thread."""
        hashes = [source_hash(unit.clip, self.job.root) for unit in units]
        needs = [self.needs[ask.name] for ask in units[0].asks]
        cached = [
            [self._cached_faces(unit, need, found) for need in needs]
            for unit, found in zip(units, hashes, strict=True)
        ]
        if len(units) > 1 and any(found is not None for row in cached for found in row):
            return [ready for unit in units for ready in self._prepare([unit])]
        needs = [need if c is None else replace(need, frames=None, faces=None)
                 for need, c in zip(needs, cached[0], strict=True)]  # fmt: skip
        found = []
        began = time.monotonic()
        loaded = load_segments([unit.source for unit in units], needs, detect=self.detect)
        for unit, views, known, faces in zip(units, loaded, hashes, cached, strict=True):
            decoded = time.monotonic()
            prepared: dict[str, Prepared | str]
            if isinstance(views, Exception):  # whatever a file does, the job goes on
                prepared = {ask.name: reason_of(views) for ask in unit.asks}
            else:
                prepared = {
                    ask.name: prepare_one(
                        self.backbones[ask.name],
                        media if crops is None else replace(media, faces=crops),
                    )
                    for ask, media, crops in zip(unit.asks, views, faces, strict=True)
                }
            ended = time.monotonic()
            seconds = {"decode": decoded - began, "prepare": ended - decoded}
            found.append(_Ready(unit, known, prepared, seconds))
            began = ended
        return found

    def _cached_faces(self, unit: Unit, need: Needs, source: str) -> Faces | None:
        """Crops of an earlier job; only of whole clips, because that is what it stored."""
        is_whole = unit.source == source_of(unit.clip, self.job.root)
        return self.cached.get(need, unit.clip.id, source) if is_whole else None

    def _finish(
        self,
        name: str,
        writer: PartWriter,
        batch: Sequence[_Ready],
        failures: dict[str, dict[str, str]],
    ) -> None:
        """Encode a batch for one recipe and hand complete clips to the part."""
        for ready, piece in zip(batch, self._encoded(name, batch), strict=True):
            clip_id, waiting = ready.unit.clip.id, self.pieces[name]
            waiting.append(piece)
            if not ready.unit.is_last_stretch:
                continue
            whole = join(waiting)
            waiting.clear()
            reason = whole.failure or ("" if whole.tokens else why_absent(whole.absent))
            if not reason:
                try:
                    writer.add(
                        clip_id, dict(whole.tokens), source=ready.source_hash,
                        absent=dict(whole.absent), notes=dict(whole.notes),
                    )  # fmt: skip
                except StoreError as error:
                    reason = str(error)
            if reason:
                writer.fail(clip_id, reason, source=ready.source_hash)
                failures[name][clip_id] = reason

    def _encoded(self, name: str, batch: Sequence[_Ready]) -> Iterator[Piece]:
        items = [ready.prepared[name] for ready in batch]
        usable = {
            place: item
            for place, item in enumerate(items)
            if isinstance(item, Prepared) and item.inputs
        }
        encoded = encode_batch(self.backbones[name], usable)
        for place, item in enumerate(items):
            tokens = encoded.get(place, {})
            if isinstance(item, str) or isinstance(tokens, str):
                yield Piece(failure=item if isinstance(item, str) else str(tokens))
            else:
                yield Piece(tokens, None, item.absent, item.notes)


def _clip_done(
    clip_id: str, failures: Mapping[str, Mapping[str, str]], seconds: Mapping[str, float]
) -> ClipDone:
    reasons = {name: found[clip_id] for name, found in failures.items() if clip_id in found}
    return ClipDone(clip_id, reasons, {stage: round(spent, 4) for stage, spent in seconds.items()})
