"""A pool of processes for independent fits: seeds, folds and search trials, one thread each.

A step of a small head is hundreds of operations of microseconds each: a second thread makes it no
faster, while a second fit in parallel doubles the throughput.

On Linux the processes are forked, so that all of them share the features in memory. On other
systems, and where there is a GPU (torch starts threads for it that a forked process lacks), they
are spawned, which takes seconds: the first fit then runs in this process, to measure whether more
processes are worth it. A spawned process imports the main program again, which a program must be
written for. The command `emo` is; in any other program fits run one after another there.
"""

import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import torch

from emo import plugins
from emo.errors import EmoError, FitError

Item = TypeVar("Item")
_Progress = TypeVar("_Progress")
Result = TypeVar("Result")
ReportProgress = Callable[[_Progress], None]
"""A function that the work calls with news of its progress, such as a finished round."""
Work = Callable[[Item, ReportProgress[_Progress]], Result]
"""A function of (an item, a report function) that returns the item's result."""

WORTH_SECONDS = 10.0
"""Seconds of work that must be left before processes are spawned for it."""
_PR_SET_PDEATHSIG = 1
_is_worker = False
"""Whether this process is one of a pool."""


def slots(count: int, *, is_small: bool) -> int:
    """Return how many of ``count`` fits run at once; 1: one after another, with all threads.

    Fits of large steps run in parallel only if there are enough of them for all threads. A process
    of a pool starts no further processes.

    Args:
        count: number of fits.
        is_small: whether one thread is enough for a fit, see
            :func:`emo.heads.fitting.threads.has_small_steps`.
    """
    threads = torch.get_num_threads()
    if _is_worker or _start_method() is None or not (is_small or count >= threads):
        return 1
    return min(threads, count)


def run_parallel(
    work: Work[Item, _Progress, Result],
    make: Callable[[int], Item],
    count: int,
    *,
    processes: int,
    ahead: int | None = None,
    report: ReportProgress[_Progress] = lambda _: None,
) -> Iterator[Result]:
    """Yield the results of ``count`` items in order, each as soon as all before it are there.

    Args:
        work: what is done with each item; the function, items and results must be picklable.
        make: returns the item of a number. It is called in order, and for number n only after the
            results up to ``n - ahead`` were yielded.
        count: number of items.
        processes: size of the pool; 1: do the work in this process, with its threads.
        ahead: see ``make``; None: items do not depend on results.
        report: called in this process with the progress that the work reports.

    Raises:
        EmoError: the work raised it; work in progress is stopped.
        FitError: a process died.
    """
    first = 0
    if processes > 1 and _start_method() == "spawn":
        began = time.monotonic()
        yield work(make(0), report)
        first, seconds = 1, time.monotonic() - began
        processes = processes if seconds * (count - 1) > WORTH_SECONDS else 1
    if processes == 1:
        for number in range(first, count):
            yield work(make(number), report)
        return
    pool = _WorkerPool(work, processes, report)
    try:
        submitted, results = first, dict[int, Result]()
        for number in range(first, count):
            while number not in results:
                while pool.idle and submitted < count and (not ahead or submitted < number + ahead):
                    pool.submit(submitted, make(submitted))
                    submitted += 1
                results.update(pool.receive())
            yield results.pop(number)
    finally:
        pool.stop()


@dataclass
class _WorkerPool(Generic[Item, _Progress, Result]):
    """Processes that do the same work on one item after another."""

    work: Work[Item, _Progress, Result]
    size: int
    """Number of processes."""
    report: ReportProgress[_Progress]
    idle: list[Connection] = field(default_factory=list)
    """Pipes to the processes without an item."""
    busy: dict[Connection, int] = field(default_factory=dict)
    """Number of the item that each other process works on, by its pipe."""
    processes: dict[Connection, BaseProcess] = field(default_factory=dict)
    """All processes by pipe."""

    def __post_init__(self) -> None:
        method = _start_method()
        context: Any = multiprocessing.get_context(method)
        for _ in range(self.size):
            ours, theirs = context.Pipe()
            inherited = [*self.processes, ours] if method == "fork" else []
            process = context.Process(
                target=_work_loop, args=(self.work, theirs, inherited, os.getpid()), daemon=True
            )
            process.start()
            theirs.close()
            self.processes[ours] = process
        self.idle = list(self.processes)

    def submit(self, number: int, item: Item) -> None:
        """Send an item to an idle process; there must be one."""
        pipe = self.idle.pop(0)
        self.busy[pipe] = number
        try:
            pipe.send_bytes(pickle.dumps(item))
        except OSError as error:
            raise self._died(pipe) from error

    def receive(self) -> dict[int, Result]:
        """Wait for messages, and return the results among them by item number; maybe none."""
        results: dict[int, Result] = {}
        ready: list[Any] = wait(list(self.busy))
        for pipe in ready:
            try:
                kind, content = pickle.loads(pipe.recv_bytes())  # from a process of our own
            except (EOFError, OSError) as error:
                raise self._died(pipe) from error
            if kind == "progress":
                self.report(content)
            elif kind == "result":
                results[self.busy.pop(pipe)] = content
                self.idle.append(pipe)
            else:
                raise content
        return results

    def stop(self) -> None:
        """Kill all processes, whatever they work on."""
        for pipe, process in self.processes.items():
            process.kill()
            process.join()
            pipe.close()

    def _died(self, pipe: Connection) -> FitError:
        """Return the error for a process that ended unexpectedly."""
        process = self.processes[pipe]
        process.join()
        code = process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return FitError(
            f"a process of this fit died ({how}). If memory was short, choose fewer --threads. "
            "Then repeat the command with --resume, which keeps what was finished."
        )


def _start_method() -> Literal["fork", "spawn"] | None:
    """Return how processes are started on this machine; None: not at all."""
    if sys.platform == "linux" and not torch.accelerator.is_available():
        return "fork"
    return "spawn" if _is_command() else None


def _is_command() -> bool:
    """Return whether the main program is `emo`, by its name or as ``python -m emo``."""
    main = sys.modules["__main__"]
    name = getattr(getattr(main, "__spec__", None), "name", None)
    return name == "emo.__main__" or Path(getattr(main, "__file__", None) or "").stem == "emo"


def _work_loop(
    work: Work[Item, _Progress, Result], pipe: Connection, inherited: list[Connection], parent: int
) -> None:
    """Do the work on items from a pipe until it closes; the main function of a pool process.

    Args:
        work: what is done with each item.
        pipe: sends items, receives progress, results and errors.
        inherited: pipes of the other processes, which a fork copied.
        parent: process id of the parent.
    """
    global _is_worker
    _is_worker = True
    _die_with_parent(parent)
    for other in inherited:  # an open copy would hide that the parent closed the pipe
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles it and kills this process
    torch.set_num_threads(1)

    def send(kind: str, content: object) -> None:
        pipe.send_bytes(pickle.dumps((kind, content)))

    while True:
        try:
            item = pickle.loads(pipe.recv_bytes())
        except EOFError:
            return
        try:
            send("result", work(item, lambda progress: send("progress", progress)))
        except EmoError as error:
            send("error", error)
        except Exception as error:
            where = plugins.where_in_own_code(error)
            if where is not None:
                send("error", FitError(f"{where}: {plugins.error_text(error)}"))
                continue
            send("error", RuntimeError(f"in a process of this fit:\n{traceback.format_exc()}"))


def _die_with_parent(parent: int) -> None:
    """Have Linux kill this process when its parent dies, so that it does not run on unnoticed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the call
            os._exit(1)
