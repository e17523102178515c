"""Run parts on this machine: in this process, or in several worker processes.

Each worker has its own pipe to the parent, so that a worker killed at any moment blocks no other;
its part is given to a new worker. Workers start from a fork server that has imported torch already
(``spawn`` where there is none), so that no worker inherits a used thread pool.
"""

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, ClassVar

from emo import plugins
from emo.errors import EmoError
from emo.extract.executor import Executor, JobReport, Progress
from emo.extract.executors._parts import PartsToDo
from emo.extract.executors._pool import RETRIES, Message, Supervisor, WorkerDied, WorkerPool
from emo.extract.executors._process import serve
from emo.extract.job.executor_options import check_at_least
from emo.extract.job.folder import JobFolder
from emo.extract.job.journal import me
from emo.extract.job.logs import TaskLog
from emo.extract.models.device import BrokenDevice
from emo.extract.worker.devices import cores, devices_of
from emo.extract.worker.reports import PartReport
from emo.extract.worker.signals import stop_on_signals
from emo.store.backend.location import Location


@dataclass(frozen=True)
class LocalOptions:
    """Options of :class:`Local`."""

    retries: int | None = field(
        default=None,
        metadata={
            "help": "Times that a part is done again after its worker process died; default: 16. "
            "When given, a single worker is a process of its own, too."
        },
    )

    def __post_init__(self) -> None:
        check_at_least(self, 0, "retries")


class Local(Executor):
    """Runs parts on this machine, in one process or one for each GPU."""

    Options: ClassVar[type] = LocalOptions
    title: ClassVar[str] = "This machine"

    def __init__(self, workers: int | None, options: LocalOptions) -> None:
        """``workers``: processes; a single one without retries is this process; None: one for
        each GPU, or one.
        """
        self.workers, self.retries = workers, options.retries

    def run(
        self,
        folder: JobFolder,
        parts: Sequence[int],
        progress: Progress,
        *,
        is_dry_run: bool = False,
    ) -> JobReport:
        """Run the parts in this process, or in several worker processes."""
        devices = devices_of(folder.job.device)
        workers = min(self.workers or len(devices), len(parts))
        if workers > 1 or self.retries is not None:
            return run_supervised(folder, parts, progress, workers=workers, retries=self.retries)
        with stop_on_signals() as is_stopping:
            return _run_here(folder, parts, progress, devices[0], is_stopping)


def run_supervised(
    folder: JobFolder,
    parts: Sequence[int] | PartsToDo,
    progress: Progress,
    *,
    workers: int | None = None,
    retries: int | None = None,
) -> JobReport:
    """Run parts in worker processes; when one dies, its part is given to another.

    Args:
        folder: the job.
        parts: numbers of the parts to run, or what hands them out.
        progress: told after every clip.
        workers: processes; None: one for each GPU, or one.
        retries: times that a part is done again after its worker died; None: 16.
    """
    devices = devices_of(folder.job.device)
    workers = min(workers or len(devices), max(1, len(parts)))
    with stop_on_signals() as is_stopping:
        pool = _Processes(folder.path, workers, devices)
        bearable = RETRIES if retries is None else retries
        return Supervisor(folder, pool, progress, is_stopping, bearable).run(parts)


def _run_here(
    folder: JobFolder,
    parts: Sequence[int],
    progress: Progress,
    device: str,
    is_stopping: Callable[[], bool],
) -> JobReport:
    # here, for they load torch: a plan of millions of clips needs the memory for itself
    from emo.extract.worker.open_worker import open_worker

    report = JobReport()
    left, in_hand = deque(parts), deque[int]()

    def take(is_ahead: bool) -> int | None:
        if not left:
            return None
        in_hand.append(left.popleft())
        return in_hand[-1]

    with (
        open_worker(folder, device=device, threads=cores()) as worker,
        TaskLog(folder.logs, parts=len(parts), device=device) as log,
    ):
        try:
            for done in worker.run_each_part(
                take, log, is_stopping=is_stopping, on_clip=progress.on_clip
            ):
                if isinstance(done, PartReport):
                    report.add(done.clips, done.failures, done.work)
                    report.is_stopped |= done.is_stopped
                else:
                    in_hand.popleft()
        except BrokenDevice as error:
            folder.journal(in_hand[0]).died(me(), str(error))
            raise EmoError(
                f"the device {device} broke ({error}) in part {in_hand[0]}. What was committed "
                "stays: the same command again goes on, and records a clip that breaks it "
                "again and again as failed; with --retries 16 it does so by itself"
            ) from error
    report.is_stopped |= is_stopping() and bool(left or in_hand)
    return report


@dataclass
class _Process:
    process: Any
    pipe: Connection
    device: str


class _Processes(WorkerPool):
    """Workers that are processes of this machine, spread evenly over its devices."""

    def __init__(self, path: Location, workers: int, devices: Sequence[str]) -> None:
        self.path, self.workers, self.devices = path, workers, devices
        self.alive: dict[Hashable, _Process] = {}
        self.context = _context()

    def slots(self) -> int:
        return self.workers

    def start(self) -> Hashable:
        used = [one.device for one in self.alive.values()]
        device = min(self.devices, key=used.count)
        ours, theirs = self.context.Pipe()
        threads = max(1, cores() // self.workers)
        process = self.context.Process(
            target=serve,
            args=(self.path, device, threads, theirs, plugins.trusted()),
            daemon=True,
        )
        process.start()
        theirs.close()
        self.alive[process.pid] = _Process(process, ours, device)
        return int(process.pid)

    def give(self, key: Hashable, part: int | None) -> None:
        try:
            self.alive[key].pipe.send(part)
        except OSError:
            return  # the worker died; `hear` notices the end of its pipe

    def hear(self, seconds: float) -> list[tuple[Hashable, Message]]:
        keys = {one.pipe: key for key, one in self.alive.items()}
        heard: list[tuple[Hashable, Message]] = []
        for pipe in wait(list(keys), timeout=seconds):
            key = keys[pipe]  # type: ignore[index]
            try:
                heard.append((key, self.alive[key].pipe.recv()))
            except (EOFError, OSError):
                heard.append((key, WorkerDied(self._on_death(key))))
        return heard

    def stop(self) -> None:
        for one in self.alive.values():
            one.process.terminate()

    def close(self) -> None:
        for one in self.alive.values():
            one.process.kill()
            one.process.join()
            one.pipe.close()

    def _on_death(self, key: Hashable) -> str:
        one = self.alive.pop(key)
        one.process.join()
        one.pipe.close()
        return _how(one.process.exitcode)


def _how(code: int) -> str:
    """Return how a process ended: ``SIGSEGV``, or ``exit code 1``."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _context() -> Any:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["emo.extract.executors.local", "emo.extract.worker.open_worker"]  # which imports torch
    )
    return context
