"""One worker: decodes, prepares, encodes and commits the clips of one part after another.

Decoding and preparing run in threads, clips in plan order; the model runs in the calling thread
on batches that never cross parts. A clip that cannot be done is recorded with its reason and the
part goes on; a stop request finishes the batch in hand and commits what is finished.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice

import torch

from emo.errors import StoreError
from emo.extract.backbone import Backbone, Prepared
from emo.extract.decode import load_media
from emo.extract.encode import encode_batch, prepare_one, reason_of, why_absent
from emo.extract.job import Ask, Job
from emo.extract.media import DetectFaces, Needs
from emo.extract.model import Model
from emo.extract.plan import PartPlan, Todo
from emo.extract.source import source_hash, source_of
from emo.manifest import Clip
from emo.store.part import PartWriter
from emo.store.store import RecipeFolder, Store

MORE_ROWS_ON_A_GPU = 8
"""Times the rows that a model sees at once on a CPU, when nobody says; halved until they fit."""


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


@dataclass(frozen=True)
class _Ready:
    """One clip after decoding and preparing."""

    clip: Clip
    source: str
    prepared: dict[str, Prepared | str]
    """By recipe: what ``prepare`` returned, or the reason why there is nothing."""


class Worker:
    """Holds the loaded backbones; does any number of parts."""

    def __init__(self, job: Job) -> None:
        """Build nothing yet; models are loaded when the first part needs them."""
        self.job = job
        self.backbones: dict[str, Backbone] = {}
        self.detect: DetectFaces | None = None
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
        on_clip: Callable[[bool], None] = lambda failed: None,
    ) -> PartReport:
        """Do what the store still lacks of ``part`` and commit it.

        Args:
            part: the clips.
            is_stopping: asked between batches; True commits what is finished and returns.
            on_clip: told after each clip whether any recipe failed on it.

        Raises:
            StoreError: the store cannot be written.
        """
        began = time.monotonic()
        folders = self.store.recipes
        todo = {
            name: ids
            for name, wanted in part.todo.items()
            if (ids := _still_missing(folders[name], wanted))
        }
        clips = [clip for clip in part.clips if any(clip.id in ids for ids in todo.values())]
        self._load(todo, clips)
        failures: dict[str, dict[str, str]] = {name: {} for name in todo}
        finished = 0
        with ExitStack() as stack:
            writers = {
                name: stack.enter_context(
                    PartWriter(
                        folders[name].path, folders[name].recipe, attempt=part.todo[name].attempt
                    )
                )
                for name in todo
            }
            for batch in self._batches(clips, todo, is_stopping):
                for name, writer in writers.items():
                    self._finish(
                        name, writer, [r for r in batch if r.clip.id in todo[name]], failures
                    )
                for ready in batch:
                    on_clip(any(ready.clip.id in reasons for reasons in failures.values()))
                finished += len(batch)
        return PartReport(finished, failures, finished < len(clips), time.monotonic() - began)

    def _load(self, names: Mapping[str, object], clips: Sequence[Clip]) -> None:
        """Build what these recipes and clips need and what is not built yet."""
        for ask in self.job.asks:
            if ask.name in names and ask.name not in self.backbones:
                self.backbones[ask.name] = self._built(ask)
        rules = [
            _needs(self.backbones[ask.name], ask.options).faces
            for ask in self.job.asks
            if ask.name in names
        ]
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

    def _batches(
        self,
        clips: Sequence[Clip],
        todo: Mapping[str, frozenset[str]],
        is_stopping: Callable[[], bool],
    ) -> Iterator[list[_Ready]]:
        """Prepared clips in plan order, ``batch_clips`` at a time, until a stop request."""
        waiting = iter(clips)
        ahead = 2 * self.job.threads + self.job.batch_clips
        queue: deque[Future[_Ready]] = deque(
            self.pool.submit(self._prepare, clip, todo) for clip in islice(waiting, ahead)
        )
        while queue:
            batch: list[_Ready] = []
            while queue and len(batch) < self.job.batch_clips and not is_stopping():
                batch.append(queue.popleft().result())
                queue.extend(
                    self.pool.submit(self._prepare, clip, todo) for clip in islice(waiting, 1)
                )
            if batch:
                yield batch
            if is_stopping():
                for future in queue:
                    future.cancel()
                return

    def _prepare(self, clip: Clip, todo: Mapping[str, frozenset[str]]) -> _Ready:
        """Decode one clip once and prepare it for every backbone that lacks it; in a thread."""
        source = source_hash(clip, self.job.root)
        asks = [ask for ask in self.job.asks if clip.id in todo.get(ask.name, ())]
        needs = [_needs(self.backbones[ask.name], ask.options) for ask in asks]
        try:
            views = load_media(source_of(clip, self.job.root), needs, detect=self.detect)
        except Exception as error:  # whatever a file does, the job goes on
            return _Ready(clip, source, {ask.name: reason_of(error) for ask in asks})
        prepared = {
            ask.name: prepare_one(self.backbones[ask.name], media)
            for ask, media in zip(asks, views, strict=True)
        }
        return _Ready(clip, source, prepared)

    def _finish(
        self,
        name: str,
        writer: PartWriter,
        batch: Sequence[_Ready],
        failures: dict[str, dict[str, str]],
    ) -> None:
        """Encode a batch for one recipe and hand its clips to the part, failed ones as failures."""
        prepared = {
            ready.clip.id: item
            for ready in batch
            if isinstance(item := ready.prepared[name], Prepared) and item.inputs
        }
        encoded = encode_batch(self.backbones[name], prepared)
        for ready in batch:
            item = ready.prepared[name]
            tokens = encoded.get(ready.clip.id, item if isinstance(item, str) else why_absent(item))
            reason = tokens if isinstance(tokens, str) else None
            if not isinstance(tokens, str) and isinstance(item, Prepared):
                try:
                    writer.add(
                        ready.clip.id, tokens, source=ready.source,
                        absent=item.absent, notes=item.notes,
                    )  # fmt: skip
                except StoreError as error:
                    reason = str(error)
            if reason is not None:
                writer.fail(ready.clip.id, reason, source=ready.source)
                failures[name][ready.clip.id] = reason


def _still_missing(folder: RecipeFolder, wanted: Todo) -> frozenset[str]:
    """Subtract what other workers committed since the plan was made."""
    folder.refresh()
    return frozenset(
        clip_id for clip_id in wanted.ids if folder.attempts.get(clip_id, -1) < wanted.attempt
    )


def _needs(backbone: Backbone, options: Mapping[str, object]) -> Needs:
    return type(backbone).needs(type(backbone).Options(**options))
