"""Of one `--out`, one fit at a time: a second would delete the checkpoints of the first.

A file beside the run is locked with ``flock``, which a killed process lets go of by itself. Where
there is no such lock (some shared file systems, Windows) fits go on without one.
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


@contextlib.contextmanager
def alone(out: Path | None) -> Iterator[None]:
    """Be the only fit of this ``out`` inside the block; None: nothing is written, so no matter.

    Raises:
        FitError: another is at work on it.
    """
    if out is None or fcntl is None:
        yield
        return
    path = out.with_name(f".{out.name}.lock")
    file = _locked(path, out)
    try:
        yield
    finally:
        if file is not None:
            with contextlib.suppress(OSError):
                path.unlink()  # while it is held: who opened it before looks again
            file.close()


def _locked(path: Path, out: Path) -> TextIO | None:
    """The file, held and with our name in it; None: such files cannot be made or locked there."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+", encoding="utf-8")
        except OSError:  # where nothing can be written the run's own error says it better
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                raise _taken(file, out) from None
        except OSError:
            file.close()
            return None
        if _is_still(path, file):
            file.truncate(0)
            file.write(json.dumps({"process": os.getpid(), "host": socket.gethostname()}))
            file.flush()
            return file
        file.close()  # its owner ended and removed it


def _is_still(path: Path, file: TextIO) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def _taken(file: TextIO, out: Path) -> FitError:
    file.seek(0)
    try:
        owner = json.loads(file.read())
        who = f"process {owner['process']} on {owner['host']}"
    except (ValueError, LookupError, TypeError, OSError):  # it is just being written
        who = "another process"
    return FitError(
        f"{out}: expected to be the only fit of this --out, found {who} at work on it, with its "
        f"checkpoints in {out.with_name(f'.{out.name}.fit')}. Wait for it, or choose another --out."
    )
