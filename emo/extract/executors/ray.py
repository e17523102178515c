"""Run parts on a Ray cluster: actors load the models once and take part after part.

Ray itself restarts no actor and repeats no call: the supervisor here sees each death, gives the
part to another actor, and starts as many actors as the cluster has room for at that moment, so that
nodes may leave and join. Job folder, store and media must be in a bucket, or on a file system that
all nodes share.
"""

import logging
import math
import re
import socket
import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from emo import plugins
from emo.errors import EmoError
from emo.extract.executor import Executor, JobReport, Progress
from emo.extract.executors._pool import (
    Message,
    Supervisor,
    WorkerDied,
    WorkerPool,
    WorkerReady,
)
from emo.extract.job.executor_options import check_at_least, check_single_words
from emo.extract.job.folder import JobError, JobFolder, open_job
from emo.extract.job.journal import me
from emo.extract.job.logs import TaskLog
from emo.extract.worker.devices import devices_of
from emo.extract.worker.open_worker import open_worker
from emo.extract.worker.signals import stop_on_signals


@dataclass(frozen=True)
class RayOptions:
    """Options of :class:`Ray`."""

    address: str | None = field(
        default=None,
        metadata={
            "help": "The cluster: auto or HOST:PORT; default: a Ray that is started here.",
            "metavar": "ADDRESS",
        },
    )
    cpus_per_task: int = field(default=1, metadata={"help": "CPU cores of a worker."})
    gpus_per_task: float | None = field(
        default=None,
        metadata={"help": "GPUs of a worker, such as 0.5; default: 1 if the cluster has any."},
    )
    retries: int = field(
        default=16, metadata={"help": "Times that a part is done again after its worker died."}
    )

    def __post_init__(self) -> None:
        check_at_least(self, 0, "retries", "gpus_per_task")
        check_at_least(self, 1, "cpus_per_task")
        check_single_words(self, "address")


class Ray(Executor):
    """Runs parts on a Ray cluster, in as many workers as it has room for."""

    Options: ClassVar[type] = RayOptions

    def __init__(self, workers: int | None, options: RayOptions) -> None:
        """``workers``: actors at most; None: as many as the cluster has room for."""
        self.workers, self.options = workers, options

    def run(
        self,
        folder: JobFolder,
        parts: Sequence[int],
        progress: Progress,
        *,
        is_dry_run: bool = False,
    ) -> JobReport:
        """Run the parts in actors; if this process is connected to a Ray already, that one is used.

        Raises:
            JobError: the cluster cannot be reached.
        """
        is_ours = not ray.is_initialized()
        if is_ours:
            _connect(self.options.address)
        try:
            with stop_on_signals() as is_stopping:
                pool = _Actors(folder, self.workers or len(parts), self._share(folder))
                supervisor = Supervisor(folder, pool, progress, is_stopping, self.options.retries)
                return supervisor.run(parts)
        finally:
            if is_ours:
                ray.shutdown()

    def _share(self, folder: JobFolder) -> dict[str, float]:
        """Return the CPU cores and GPUs that one actor takes of a node."""
        gpus = self.options.gpus_per_task
        if gpus is None:
            is_on_gpu = folder.job.device.startswith("cuda")
            is_on_gpu |= folder.job.device == "auto" and _total("GPU") > 0
            gpus = 1.0 if is_on_gpu else 0.0
        if gpus and not _total("GPU"):
            warnings.warn("no node of the Ray cluster has a GPU yet; waiting for one", stacklevel=2)
        return {"CPU": float(self.options.cpus_per_task), "GPU": gpus}


@dataclass
class _Member:
    """One actor, and the call of which it still owes the result."""

    actor: Any
    call: Any = None
    """Ray's reference to the result: of a part, or of the first call, which says it is ready."""


class _Actors(WorkerPool):
    """Workers that are actors of a Ray cluster."""

    def __init__(self, folder: JobFolder, most: int, share: dict[str, float]) -> None:
        self.folder, self.most, self.share = folder, most, share
        self.members: dict[Hashable, _Member] = {}
        self.started = 0

    def slots(self) -> int:
        room = [_total(kind) / share for kind, share in self.share.items() if share]
        return max(1, min(self.most, math.floor(min(room) + 1e-6)))

    def start(self) -> Hashable:
        self.started += 1
        kind = ray.remote(_Actor).options(
            num_cpus=self.share["CPU"], num_gpus=self.share["GPU"], max_restarts=0,
            max_task_retries=0, max_concurrency=2,
        )  # fmt: skip
        actor = kind.remote(
            str(self.folder.path), max(1, int(self.share["CPU"])), plugins.trusted()
        )
        self.members[self.started] = _Member(actor, actor.sign.remote())  # type: ignore[attr-defined]
        return self.started

    def give(self, key: Hashable, part: int | None) -> None:
        member = self.members[key]
        if part is None:
            ray.kill(member.actor)
            del self.members[key]
        else:
            member.call = member.actor.run.remote(part)

    def hear(self, seconds: float) -> list[tuple[Hashable, Message]]:
        owed = {member.call: key for key, member in self.members.items()}
        done, _ = ray.wait(list(owed), timeout=seconds) if owed else ([], [])
        heard: list[tuple[Hashable, Message]] = []
        for answer in done:
            key = owed[answer]
            try:
                heard += [(key, message) for message in ray.get(answer)]
            except RayError as error:
                heard.append((key, _meaning(error)))
                ray.kill(self.members.pop(key).actor)  # it may only be out of reach
        return heard

    def stop(self) -> None:
        for member in self.members.values():
            member.actor.stop.remote()

    def close(self) -> None:
        for member in self.members.values():
            ray.kill(member.actor)


class _Actor:
    """The worker on a node; its methods are called from elsewhere, ``stop`` also during ``run``."""

    def __init__(self, path: str, threads: int, trusted: Sequence[str]) -> None:
        import torch

        plugins.trust(*trusted)

        torch.set_num_threads(1)
        self.is_stopping = False
        self.folder = open_job(path)
        device = devices_of(self.folder.job.device)[0]
        self.worker = open_worker(self.folder, device=device, threads=threads)
        self.log = TaskLog(self.folder.logs, device=device, node=socket.gethostname())

    def sign(self) -> list[Message]:
        return [WorkerReady(me())]

    def run(self, part: int) -> list[Message]:
        clips: list[Message] = []
        left = [part]
        reports = list(
            self.worker.run_each_part(
                lambda is_ahead: left.pop() if left else None, self.log,
                is_stopping=lambda: self.is_stopping, on_clip=clips.append,
            )
        )  # fmt: skip
        return [*clips, *reports, WorkerReady(me())]

    def stop(self) -> None:
        self.is_stopping = True


def _connect(address: str | None) -> None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR,
                 include_dashboard=False if address is None else None)  # fmt: skip
    except (RayError, ConnectionError, ValueError, RuntimeError) as error:
        raise JobError(
            f"--address {address or '(none)'}: no Ray cluster answers: {error}. Start one with "
            "`ray start --head`, or leave --address away to start one here"
        ) from error


def _total(kind: str) -> float:
    totals: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return totals.get(kind, 0.0)


def _meaning(error: RayError) -> Message:
    """Return an error of ours that crossed the cluster, or how the worker died.

    The death of a node says nothing about the clips in hand, so its cause is None.
    """
    if isinstance(error, RayTaskError):
        cause = error.cause
        return (
            cause if isinstance(cause, EmoError) else WorkerDied(f"{type(cause).__name__}: {cause}")
        )
    if isinstance(error, RayActorError) and error.actor_init_failed:
        return WorkerDied(_raised(str(error)))
    if "process has died" in str(error):
        return WorkerDied("Ray: its process crashed or ran out of memory")
    return WorkerDied(None)


def _raised(traceback: str) -> str | None:
    """Return the last error in a traceback, such as ``StoreError: features is no store …``."""
    lines = re.findall(r"^(?:\w+\.)*(\w+: .*)$", traceback, re.MULTILINE)
    return lines[-1] if lines else None
