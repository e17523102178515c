"""Independent fits side by side: each in a process of its own, on one thread.

A step of a small head is hundreds of operations of microseconds: a second thread makes it no
faster, a second fit beside it doubles what is done. On Linux processes are forked, so that all
read the same features. Elsewhere, and where there is a GPU (for torch starts threads for it that a
forked process lacks), they are started, which takes seconds: the first fit runs in this process and
tells whether that pays. A started process imports the main program again, which programs must be
written for; the command is, so others than it fit one after another there.
"""

import contextlib
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
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from emo.errors import EmoError, FitError
from emo.heads.head import Batch, Head

Item = TypeVar("Item")
Result = TypeVar("Result")
Tell = Callable[[Any], None]
Work = Callable[[Item, Tell], Result]
"""(what to do, whom to tell what happens on the way) -> what came of it."""

WORTH_SECONDS = 10.0
"""What must be left to do before processes that have to be started are."""
SMALL_STEP = 2**28
"""Weights times tokens of a step; up to about as many, one thread was as fast as two."""
SOLVED = 16
"""Penalties that a solver's pass over all clips serves at once, about."""
_PR_SET_PDEATHSIG = 1
_is_worker = False


def has_small_steps(head: Head, train: Batch, batch_size: int) -> bool:
    """Each step multiplies so little that a second thread would not make it faster.

    Args:
        head: before training.
        train: pooled clips.
        batch_size: clips of a step; dialogues for a dialogue head. A solver takes all clips at
            once, for every penalty.
    """
    turns = train.in_dialogues().turns if head.unit == "dialogue" else None
    count = len(train) if turns is None else len(turns)
    tokens = max(len(ragged.values) for ragged in train.streams.values())
    weights = sum(weight.numel() for weight in head.parameters())
    share = SOLVED if head.is_solved else min(1.0, batch_size / max(count, 1))
    return weights * tokens * share <= SMALL_STEP


def slots(count: int, *, is_small: bool) -> int:
    """How many of ``count`` fits run at once; 1: one after another, each with all threads.

    Fits of large steps run side by side if they are enough for all threads. Within one of several
    fits, there is no room for others.
    """
    threads = torch.get_num_threads()
    if _is_worker or _beginning() is None or not (is_small or count >= threads):
        return 1
    return min(threads, count)


@contextlib.contextmanager
def one_thread(is_wanted: bool) -> Iterator[None]:
    """In this process, as in the others, torch has one thread inside the block."""
    before = torch.get_num_threads()
    if is_wanted:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def side_by_side(
    work: Work[Item, Result],
    make: Callable[[int], Item],
    count: int,
    *,
    at_once: int,
    ahead: int | None = None,
    tell: Tell = lambda _: None,
) -> Iterator[Result]:
    """The results of ``count`` items, in their order, each yielded as soon as it is its turn.

    Args:
        work: what is done with an item; it and its results can be pickled.
        make: the item of a number; asked in order, and of number n only when the results up to
            ``n - ahead`` were yielded.
        count: of items.
        at_once: processes; 1: this one, with its threads.
        ahead: see ``make``; None: the items depend on no results.
        tell: hears what works tell, in this process.

    Raises:
        EmoError: as of the works; what was under way is stopped.
        FitError: a process died.
    """
    first = 0
    if at_once > 1 and _beginning() == "spawn":
        began = time.monotonic()
        yield work(make(0), tell)
        first, seconds = 1, time.monotonic() - began
        at_once = at_once if seconds * (count - 1) > WORTH_SECONDS else 1
    if at_once == 1:
        for number in range(first, count):
            yield work(make(number), tell)
        return
    pool: _WorkerPool[Item, Result] = _WorkerPool(work, at_once, tell)
    try:
        started, results = first, dict[int, Result]()
        for number in range(first, count):
            while number not in results:
                while pool.idle and started < count and (not ahead or started < number + ahead):
                    pool.give(started, make(started))
                    started += 1
                results.update(pool.hear())
            yield results.pop(number)
    finally:
        pool.stop()


@dataclass
class _WorkerPool(Generic[Item, Result]):
    """Processes that do the same work on one item after another."""

    work: Work[Item, Result]
    at_once: int
    tell: Tell
    idle: list[Connection] = field(default_factory=list)
    busy: dict[Connection, int] = field(default_factory=dict)
    processes: dict[Connection, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        beginning = _beginning()
        context: Any = multiprocessing.get_context(beginning)
        for _ in range(self.at_once):
            ours, theirs = context.Pipe()
            inherited = [*self.processes, ours] if beginning == "fork" else []
            process = context.Process(
                target=_serve, args=(self.work, theirs, inherited, os.getpid()), daemon=True
            )
            process.start()
            theirs.close()
            self.processes[ours] = process
        self.idle = list(self.processes)

    def give(self, number: int, item: Item) -> None:
        """To one that is idle."""
        pipe = self.idle.pop(0)
        self.busy[pipe] = number
        try:
            pipe.send_bytes(pickle.dumps(item))
        except OSError as error:
            raise self._died(pipe) from error

    def hear(self) -> dict[int, Result]:
        """Wait for news; results by number, often none."""
        found = {}
        heard: list[Any] = wait(list(self.busy))
        for pipe in heard:
            try:
                kind, said = pickle.loads(pipe.recv_bytes())  # of a process of our own
            except (EOFError, OSError) as error:
                raise self._died(pipe) from error
            if kind == "told":
                self.tell(said)
            elif kind == "done":
                found[self.busy.pop(pipe)] = said
                self.idle.append(pipe)
            else:
                raise said
        return found

    def stop(self) -> None:
        """At once, whatever is under way."""
        for pipe, process in self.processes.items():
            process.kill()
            process.join()
            pipe.close()

    def _died(self, pipe: Connection) -> FitError:
        process = self.processes[pipe]
        process.join()
        code = process.exitcode
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return FitError(
            f"a process that fits died ({how}); if memory was short, choose fewer --threads. "
            "--resume goes on with what was finished"
        )


def _beginning() -> str | None:
    """How processes begin here; None: not at all."""
    if sys.platform == "linux" and not torch.accelerator.is_available():
        return "fork"
    return "spawn" if _is_command() else None


def _is_command() -> bool:
    """The main program is `emo`, under its name or as ``python -m emo``."""
    main = sys.modules["__main__"]
    name = getattr(getattr(main, "__spec__", None), "name", None)
    return name == "emo.__main__" or Path(getattr(main, "__file__", None) or "").stem == "emo"


def _serve(
    work: Work[Item, Result], pipe: Connection, inherited: list[Connection], parent: int
) -> None:
    """In the process: do what is given, until the pipe closes."""
    global _is_worker
    _is_worker = True
    _die_with(parent)
    for other in inherited:  # else they would never be seen to close
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and stops us
    torch.set_num_threads(1)

    def say(kind: str, said: object) -> None:
        pipe.send_bytes(pickle.dumps((kind, said)))

    while True:
        try:
            item = pickle.loads(pipe.recv_bytes())
        except EOFError:
            return
        try:
            say("done", work(item, lambda said: say("told", said)))
        except EmoError as error:
            say("failed", error)
        except Exception:
            say("failed", RuntimeError(f"in a process that fits:\n{traceback.format_exc()}"))


def _die_with(parent: int) -> None:
    """Have Linux kill this process when its parent dies, so that nobody goes on unseen."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before
            os._exit(1)
