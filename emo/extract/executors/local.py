"""Runs parts on this machine: in this process, or in several worker processes.

Each worker has a pipe of its own to the parent, so a worker killed at any moment can block no
other; its part is given once more to a fresh worker. Workers start from a fork server which has
imported torch already (``spawn`` where there is none), so none inherits a used thread pool.
"""

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from emo.errors import EmoError
from emo.extract.executor import Executor, JobReport, Progress
from emo.extract.job import Job
from emo.extract.plan import PartPlan
from emo.extract.work import PartReport, Worker

TRIES = 2
"""Workers that may die on one part before it is given up."""


class Local(Executor):
    """Worker processes on this machine."""

    def __init__(self, workers: int = 1) -> None:
        """``workers``: processes; 1 runs everything in this one."""
        self.workers = workers

    def run(self, job: Job, parts: Sequence[PartPlan], progress: Progress) -> JobReport:
        """As in :class:`Executor`."""
        report = JobReport()
        with stop_on_signals() as is_stopping:
            if min(self.workers, len(parts)) <= 1:
                _run_here(job, parts, progress, report, is_stopping)
            else:
                _Crew(job, parts, progress, report, is_stopping).run(self.workers)
        return report


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """While open, SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 ask for a stop; yields the question.

    A second SIGINT interrupts at once. Outside the main thread no signal arrives and none is set.
    """
    stop = threading.Event()

    def request(number: int, _frame: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    names = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2")  # Windows lacks the last two
    numbers = [getattr(signal, name) for name in names if name in signal.Signals.__members__]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    before = {number: signal.signal(number, request) for number in numbers}
    try:
        yield stop.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run_here(
    job: Job,
    parts: Sequence[PartPlan],
    progress: Progress,
    report: JobReport,
    is_stopping: Callable[[], bool],
) -> None:
    with Worker(job) as worker:
        for part in parts:
            if is_stopping():
                report.is_stopped = True
                return
            done = worker.run_part(part, is_stopping=is_stopping, on_clip=progress.on_clip)
            _add(report, done)


def _add(report: JobReport, done: PartReport) -> None:
    report.clips += done.clips
    report.is_stopped |= done.is_stopped
    for name, reasons in done.failures.items():
        report.failures.setdefault(name, {}).update(reasons)


@dataclass
class _Member:
    """One worker process as the parent sees it."""

    process: Any
    pipe: Connection
    part: int | None = None
    """Index of the part in hand."""


class _Crew:
    """The parent's side of several worker processes."""

    def __init__(
        self,
        job: Job,
        parts: Sequence[PartPlan],
        progress: Progress,
        report: JobReport,
        is_stopping: Callable[[], bool],
    ) -> None:
        self.job, self.parts, self.progress, self.report = job, parts, progress, report
        self.is_stopping = is_stopping
        self.waiting = list(reversed(range(len(parts))))
        self.deaths = [0] * len(parts)
        self.members: list[_Member] = []
        self.error: EmoError | None = None
        self.context = _context()

    def run(self, workers: int) -> None:
        """Serve until nothing is waiting and nobody works."""
        told = False
        try:
            while True:
                if (self.is_stopping() or self.error) and not told:
                    told = True
                    self.waiting.clear()
                    for member in self.members:
                        member.process.terminate()
                while self.waiting and len(self.members) < workers:
                    self._hire()
                if not self.members:
                    break
                for pipe in wait([m.pipe for m in self.members], timeout=0.2):
                    self._hear(next(m for m in self.members if m.pipe is pipe))
        finally:
            for member in self.members:
                member.process.kill()
                member.process.join()
        self.report.is_stopped |= told and self.error is None
        if self.error:
            raise self.error

    def _hire(self) -> None:
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=_serve, args=(self.job, theirs), daemon=True)
        process.start()
        theirs.close()
        member = _Member(process, ours)
        self.members.append(member)
        self._give(member)

    def _give(self, member: _Member) -> None:
        """Hand out the next part, or send the worker home."""
        member.part = self.waiting.pop() if self.waiting else None
        try:
            member.pipe.send(None if member.part is None else self.parts[member.part])
        except OSError:
            return  # it died; the pipe's end is heard next

    def _hear(self, member: _Member) -> None:
        try:
            message = member.pipe.recv()
        except (EOFError, OSError):
            self._bury(member)
            return
        if isinstance(message, bool):
            self.progress.on_clip(message)
        elif isinstance(message, EmoError):
            self.error = message
        elif isinstance(message, PartReport):
            _add(self.report, message)
            self._give(member)

    def _bury(self, member: _Member) -> None:
        """A worker ended; if it had a part in hand and was not told to stop, it died."""
        member.process.join()
        self.members.remove(member)
        part, code = member.part, member.process.exitcode
        if part is None or self.is_stopping() or self.error:
            return
        self.deaths[part] += 1
        if self.deaths[part] < TRIES:
            self.waiting.append(part)
            return
        clips = self.parts[part].clips
        self.report.lost.append(
            f"a worker died {TRIES} times (exit code {code}) in the part of {len(clips)} clips "
            f"that begins with {clips[0].id!r}; they are undone. Run the same command again, with "
            "a smaller --part-clips to close in on the clip"
        )


def _context() -> Any:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["emo.extract.work"])
    return context


def _serve(job: Job, pipe: Connection) -> None:
    """A worker process: parts in, one bool a clip and one report a part out."""
    with stop_on_signals() as is_stopping, Worker(job) as worker:
        while not is_stopping():
            try:
                part = pipe.recv()
                if part is None:
                    return
                pipe.send(worker.run_part(part, is_stopping=is_stopping, on_clip=pipe.send))
            except EmoError as error:
                pipe.send(error)
                return
            except (EOFError, BrokenPipeError):
                return  # the parent is gone; what was finished is committed
