"""A lock on `--out`: one fit at a time, since a second would delete the first one's checkpoints.

A file beside the run is locked with ``flock``, which the system releases when the process ends,
even if it is killed. Where there is no such lock (some shared file systems, Windows) fits run
without one.
"""

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from emo.errors import FitError
from emo.machine.untrusted.documents import parse_checked, shortened
from emo.machine.untrusted.kinds import Fields

_MOST_CHARACTERS = 10_000
"""Most characters that are read of a lock file."""


@contextlib.contextmanager
def locked(out: Path | None) -> Iterator[None]:
    """Hold the lock of a run's folder inside the block; None: no folder, so no lock.

    Raises:
        FitError: another fit holds the lock.
    """
    if out is None or fcntl is None:
        yield
        return
    path = out.with_name(f".{out.name}.lock")
    file = _acquire(path, out)
    try:
        yield
    finally:
        if file is not None:
            with contextlib.suppress(OSError):
                path.unlink()  # while locked: another fit that has it open checks _is_current
            file.close()


def _acquire(path: Path, out: Path) -> TextIO | None:
    """Open and lock the lock file, and write this process's id and host into it.

    Returns:
        The open file; None where such a file cannot be made or locked.

    Raises:
        FitError: another fit holds the lock.
    """
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not path.is_file():  # a pipe would wait for another process
                return None
            file = path.open("a+", encoding="utf-8")
        except OSError:  # the run's own error tells better that nothing can be written there
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                raise _lock_error(file, out) from None
        except OSError:
            file.close()
            return None
        if _is_current(path, file):
            owner = json.dumps({"process": os.getpid(), "host": socket.gethostname()})
            with contextlib.suppress(OSError):  # only a message to other fits lacks it then
                file.truncate(0)
                os.write(file.fileno(), owner.encode())  # not by `file`, whose close tries again
            return file
        file.close()  # the fit that held it ended and removed it in the meantime


def _is_current(path: Path, file: TextIO) -> bool:
    """Return whether the open file is still the one at this path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def _lock_error(file: TextIO, out: Path) -> FitError:
    """Return the error that names the fit which holds the lock."""
    file.seek(0)
    try:
        owner = parse_checked(file.read(_MOST_CHARACTERS), Fields({"process": int, "host": str}))
        who = f"process {owner['process']} on {shortened(owner['host'], 80)}"
    except (ValueError, OSError):  # the other fit is just writing it
        who = "another process"
    return FitError(
        f"{out}: expected to be the only fit of this --out, found another ({who}) with its "
        f"checkpoints in {out.with_name(f'.{out.name}.fit')}. Wait until it ends, or choose "
        "another --out."
    )
