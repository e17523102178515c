"""The bounded queue of requests, the threads that decode, and the thread that has the models.

A request takes a slot before its body is read, and gives it back with its answer. Each decoding
thread has a child process. What is ready when the models are free becomes their next batch; nobody
waits for a batch to fill.
"""

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import torch

from emo.errors import EmoError
from emo.extract.models.device import BrokenDevice
from emo.manifest import Clip
from emo.predict.one_clip import Prediction
from emo.predict.serve.decoder import DecoderProcess, DecodingTask, Views, decode_clip
from emo.predict.serve.limits import MIB, RequestError, ServiceLimits
from emo.predict.serve.metrics import ServiceMetrics
from emo.predict.serve.resident import PreparedClip, ResidentRun

READY_BYTES = 1024 * MIB
"""Bytes of prepared clips that may wait for the models; a single clip may be larger."""


@dataclass(eq=False)
class ClipWork:
    """One clip on its way through the threads."""

    clip: Clip
    root: Path
    """Folder of its file."""
    end: float
    """Time of the monotonic clock after which nobody waits for the answer."""
    answer: "Future[Prediction]" = field(default_factory=Future)
    prepared: PreparedClip | None = None

    def fail(self, error: Exception) -> None:
        """Answer with an error, unless there is an answer already."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Slots:
    """Counts the requests in hand; threads may call it."""

    def __init__(self, most: int) -> None:
        """Begin with ``most`` free slots."""
        self._lock, self._most, self.taken = threading.Lock(), most, 0

    def take(self) -> bool:
        """Take a slot; False: none is free."""
        with self._lock:
            if self.taken >= self._most:
                return False
            self.taken += 1
            return True

    def give(self, _: object = None) -> None:
        """Give a slot back."""
        with self._lock:
            self.taken -= 1


class ClipPipeline:
    """The threads of a service; clips go in, answers come as futures."""

    def __init__(
        self, resident: ResidentRun, limits: ServiceLimits, metrics: ServiceMetrics
    ) -> None:
        """Start the threads and the processes that decode."""
        self._resident, self._limits, self.metrics = resident, limits, metrics
        self.broken = ""
        """Why the device can do no more work; empty: it can."""
        kinds = {
            name: (type(backbone), backbone.options)
            for name, backbone in resident.models.backbones.items()
        }
        self._task = DecodingTask(resident.requests, kinds, limits)
        self._waiting: queue.SimpleQueue[ClipWork | None] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[ClipWork | None] = queue.SimpleQueue()
        self._model_threads = torch.get_num_threads()  # of the calling thread, as in `emo predict`
        self._ready_bytes, self._room = 0, threading.Condition()
        self.decoders = [DecoderProcess(self._task) for _ in range(limits.decoders)]
        self._threads = [
            threading.Thread(target=self._decode_all, args=(each,), daemon=True)
            for each in self.decoders
        ]
        self._model = threading.Thread(target=self._predict_all, daemon=True)
        for thread in (*self._threads, self._model):
            thread.start()

    def wait_until_ready(self) -> None:
        """Wait until every process that decodes has loaded its libraries.

        Raises:
            EmoError: one did not start.
        """
        try:
            for decoder in self.decoders:
                decoder.wait_until_ready()
        except RequestError as error:
            raise EmoError("a process that decodes did not start") from error

    def submit(self, work: ClipWork) -> None:
        """Queue a clip; its future gets the prediction, an EmoError or a RequestError."""
        if self.broken:
            work.fail(RequestError(503, "The device of the models is broken; restart the service."))
        else:
            self._waiting.put(work)

    def close(self) -> None:
        """End the threads after all queued clips are answered, and the processes that decode."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()
        self._ready.put(None)
        self._model.join()
        for decoder in self.decoders:
            decoder.close()

    def _decode_all(self, decoder: DecoderProcess) -> None:
        """Decode and prepare one clip after the other; one decoding thread."""
        _use_threads(1)  # as in a job
        while (work := self._waiting.get()) is not None:
            began = time.monotonic()
            try:
                if began > work.end:
                    raise RequestError(504, "The request waited too long.")
                work.prepared = self._prepared(work, decoder)
            except BrokenDevice as error:
                self._break(error, [work])
            except Exception as error:
                work.fail(error)
            else:
                self._hand_over(work, work.prepared.size_bytes)
            self.metrics.worked("decode", time.monotonic() - began)

    def _prepared(self, work: ClipWork, decoder: DecoderProcess) -> PreparedClip:
        """Decode and prepare a clip; a text alone needs no other process."""
        views: Iterator[Views] = (
            decoder.decode(work.clip, work.root)
            if work.clip.video
            else decode_clip(work.clip, work.root, self._task)
        )
        stretches, size = [], 0
        for each in views:
            stretches.append(self._resident.prepare(each))
            size += stretches[-1].size_bytes
            if size > 2 * self._limits.clip_bytes:
                raise RequestError(413, "The clip is too long: it takes too much memory.")
        return PreparedClip(work.clip, stretches)

    def _hand_over(self, work: ClipWork, size: int) -> None:
        """Give a clip to the models once there is room for its bytes."""
        with self._room:
            self._room.wait_for(
                lambda: not self._ready_bytes or self._ready_bytes + size <= READY_BYTES
            )
            self._ready_bytes += size
        self._ready.put(work)

    def _predict_all(self) -> None:
        """Predict batch after batch; the thread that has the models."""
        _use_threads(self._model_threads)
        while batch := self._batch():
            began = time.monotonic()
            for work in batch:
                if began > work.end:
                    work.fail(RequestError(504, "The request waited too long."))
            wanted = [work for work in batch if not work.answer.done()]
            clips = [work.prepared for work in wanted if work.prepared is not None]
            try:
                found = self._resident.predict(clips)
            except BrokenDevice as error:
                self._break(error, wanted)
            except Exception as error:
                for work in wanted:
                    work.fail(error)
            else:
                self.metrics.batched(len(clips))
                for work, one in zip(wanted, found, strict=True):
                    _answer(work, one)
            self.metrics.worked("model", time.monotonic() - began)
            size = sum(work.prepared.size_bytes for work in batch if work.prepared is not None)
            with self._room:
                self._ready_bytes -= size
                self._room.notify_all()

    def _batch(self) -> Sequence[ClipWork]:
        """Return what waits for the models, at least one clip; empty: the service ends."""
        first = self._ready.get()
        batch = [] if first is None else [first]
        while batch and len(batch) < self._limits.batch:
            try:
                more = self._ready.get_nowait()
            except queue.Empty:
                break
            if more is None:
                self._ready.put(None)  # for the next call
                break
            batch.append(more)
        return batch

    def _break(self, error: BrokenDevice, works: Sequence[ClipWork]) -> None:
        self.broken = type(error).__name__
        for work in works:
            work.fail(RequestError(503, "The device of the models is broken; restart the service."))


def _use_threads(count: int) -> None:
    """Set the number of threads that torch uses in this thread alone."""
    torch.get_num_threads()  # it takes over the number of other threads, once
    torch.set_num_threads(count)


def _answer(work: ClipWork, found: Prediction | EmoError) -> None:
    if isinstance(found, EmoError):
        work.fail(found)
    elif not work.answer.done():
        work.answer.set_result(found)
