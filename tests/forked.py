"""Processes forked after their imports, which tell when they come to a phase and wait there.

The waiting one can be killed at exactly that place, or go on in a world that was changed meanwhile.
"""

import io
import itertools
import os
import pkgutil
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Phase:
    """A place in the work, told by a function that is called there."""

    name: str
    called: str
    """``module:function`` or ``module:Class.method``, by the name under which it is called."""
    when: str = "before"
    """``before`` or ``after`` the call; ``half way``: half of what it writes to a file is there."""


@dataclass
class Forked:
    """A child and what it has to say."""

    pid: int
    heard: int
    """The pipe by which it says that it is in its phase."""
    told: int
    """The pipe by which it is told to go on."""

    def waits(self) -> bool:
        """Return when it is in its phase (True) or has ended without coming there (False)."""
        return os.read(self.heard, 1) == b"x"

    def go_on(self) -> None:
        """Let it leave the phase."""
        os.write(self.told, b"x")

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        self.end()

    def end(self) -> int:
        """Wait for its end; how it ended, as :func:`os.waitstatus_to_exitcode`."""
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.heard)
        os.close(self.told)
        return os.waitstatus_to_exitcode(status)


def forked(run: Callable[[], int], phase: Phase | None = None, nth: int = 1) -> Forked:
    """Start ``run`` in a child; it stops at the ``nth`` call of ``phase`` until it may go on."""
    heard, saying = os.pipe()
    hearing, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(heard)
            os.close(told)
            if phase:
                calls = itertools.count(1)
                _intercept(phase, lambda: _wait(saying, hearing) if next(calls) == nth else None)
            code = run()
        finally:
            os._exit(code)
    os.close(saying)
    os.close(hearing)
    return Forked(pid, heard, told)


def calls_of(run: Callable[[], int], phase: Phase) -> int:
    """How often a run comes to a phase."""
    ours, theirs = os.pipe()

    def counting() -> int:
        _intercept(phase, lambda: os.write(theirs, b"."))
        return run()

    child = forked(counting)
    os.close(theirs)
    child.end()
    with os.fdopen(ours, "rb") as pipe:
        return len(pipe.read())


def emo_command(printed: Path, *words: object) -> Callable[[], int]:
    """`emo WORDS` for a child; what it prints, a traceback too, goes to a file."""
    from emo.cli import main

    def run() -> int:
        sys.argv = ["emo", *map(str, words)]
        with printed.open("w") as file:
            sys.stdout = sys.stderr = file
            try:
                main()
            except SystemExit as leave:
                return int(leave.code or 0)
            except BaseException:
                traceback.print_exc()
                return 1
        return 0

    return run


def _wait(saying: int, hearing: int) -> None:
    os.write(saying, b"x")
    os.read(hearing, 1)


def _intercept(phase: Phase, arrive: Callable[[], object]) -> None:
    module, _, path = phase.called.partition(":")
    *parents, name = path.split(".")
    owner = pkgutil.resolve_name(f"{module}:{'.'.join(parents)}" if parents else module)
    real = getattr(owner, name)

    def before(*args, **options):
        arrive()
        return real(*args, **options)

    def after(*args, **options):
        result = real(*args, **options)
        arrive()
        return result

    def half_way(file, *args, **options):
        whole = io.BytesIO()
        real(whole, *args, **options)
        data = whole.getvalue()
        file.write(data[: len(data) // 2])
        file.flush()
        arrive()
        file.write(data[len(data) // 2 :])

    setattr(owner, name, {"before": before, "after": after, "half way": half_way}[phase.when])
