"""The shim that makes calls to the file system fail: its build, its page, commands under it.

Commands run as forks of one process that has imported `emo` under the shim
(``tests/warm_server.py``), so that a faulted command costs tenths of a second.
"""

import json
import mmap
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
KINDS = ("write", "fsync", "link", "rename", "unlink", "mkdir", "create")
"""Kinds of calls, in the order of the shim; ``write`` has all that puts bytes into a file."""
_LAYOUT = struct.Struct(f"4i Q Q {len(KINDS)}Q 1024s 1024s")


@dataclass(frozen=True)
class Fault:
    """One call, or all calls from one on, fail."""

    kind: str
    """One of ``KINDS``."""
    at: int
    """1-based number of the call among those of its kind."""
    error: int
    """The errno."""
    from_there_on: bool = False

    def __str__(self) -> str:
        on = " and all after it" if self.from_there_on else ""
        return f"{self.kind} {self.at}{on}: {os.strerror(self.error)}"


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str
    counts: dict[str, int]
    """Kind -> number of calls."""
    victim: str
    """Path of the first call that failed; empty: none did."""


def build(folder: Path) -> Path:
    """Compile the shim; skips the test where there is no compiler or no Linux."""
    compiler = shutil.which("cc")
    if not sys.platform.startswith("linux") or compiler is None:
        pytest.skip("the faults are injected by a C library: needs Linux and `cc`")
    library = folder / "shim.so"
    words = [compiler, "-shared", "-fPIC", "-O1", "-o", library, Path(__file__).with_name("shim.c")]
    done = subprocess.run([*words, "-ldl"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return library


class Page:
    """The page by which the shim is told what fails and tells what it counted."""

    def __init__(self, path: Path) -> None:
        """Make the file that the processes map."""
        self.path = path
        path.write_bytes(bytes(_LAYOUT.size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _LAYOUT.size)

    def arm(self, folder: Path, fault: Fault | None) -> None:
        """Count from 0 the calls on files below ``folder``, and let one fail."""
        name = str(folder.resolve()).encode()
        what = (KINDS.index(fault.kind), fault.error, fault.from_there_on) if fault else (-1, 0, 0)
        at = fault.at if fault else 0
        zeros = [0] * (1 + len(KINDS))
        self._map[:] = _LAYOUT.pack(*what, len(name), at, *zeros, name, b"")

    def read(self) -> tuple[dict[str, int], str]:
        """Return the counts by kind, and the path of the first call that failed."""
        _, _, _, _, _, _, *counts, _, victim = _LAYOUT.unpack(self._map[:])
        return dict(zip(KINDS, counts, strict=True)), victim.rstrip(b"\0").decode()

    def disarm(self) -> None:
        """Count nothing, let nothing fail."""
        self._map[:] = bytes(_LAYOUT.size)


@dataclass
class Shim:
    """The library and its page; runs commands in processes of their own."""

    library: Path
    page: Page

    @classmethod
    def build(cls, folder: Path) -> "Shim":
        """Compile into ``folder``, which lies outside the folders that are faulted."""
        return cls(build(folder), Page(folder / "page"))

    def environment(self, folder: Path) -> dict[str, str]:
        """Environment of a command whose scratch files lie in ``folder``, too."""
        return {
            **os.environ, "LD_PRELOAD": str(self.library), "EMO_FAULT_PAGE": str(self.page.path),
            "TMPDIR": str(folder / "tmp"), "XDG_CACHE_HOME": str(folder / "cache"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(TESTS.parent),
        }  # fmt: skip

    def run(
        self, folder: Path, words: Sequence[object], fault: Fault | None = None,
        *, out: Path | None = None,
    ) -> Done:  # fmt: skip
        """Run ``emo WORDS`` in ``folder``; its stdout goes to ``out``, or to a file elsewhere."""
        printed = [out or self.page.path.with_name("out"), self.page.path.with_name("err")]
        files = [open(path, "wb") for path in printed]  # noqa: SIM115
        self.page.arm(folder, fault)
        try:
            code = self._start(folder, list(map(str, words)), files[0].fileno(), files[1].fileno())
        finally:
            counts, victim = self.page.read()
            self.page.disarm()
            for file in files:
                file.close()
        said, errors = (path.read_text(errors="replace") for path in printed)
        return Done(code, said, errors, counts, victim)

    def _start(self, folder: Path, words: list[str], out: int, err: int) -> int:
        done = subprocess.run(
            [sys.executable, "-m", "emo", *words], cwd=folder, env=self.environment(folder),
            stdin=subprocess.DEVNULL, stdout=out, stderr=err, check=False,
        )  # fmt: skip
        return done.returncode


@dataclass
class WarmShim(Shim):
    """Runs commands in forks of one process, see :func:`warm`."""

    door: str = ""

    def _start(self, folder: Path, words: list[str], out: int, err: int) -> int:
        request = {
            "words": words, "folder": str(folder), "environment": self.environment(folder)
        }  # fmt: skip
        with socket.socket(socket.AF_UNIX) as call, open(os.devnull, "rb") as nothing:
            call.connect(self.door)
            socket.send_fds(
                call, [json.dumps(request).encode() + b"\n"], [nothing.fileno(), out, err]
            )
            return int(call.recv(16) or b"70")


@contextmanager
def warm(folder: Path) -> Iterator[WarmShim]:
    """Start the process that runs commands; ``folder`` has a short path."""
    shim = WarmShim(build(folder), Page(folder / "page"), str(folder / "door"))
    (folder / "tmp").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(shim.door)
        listening.listen(8)
        server = subprocess.Popen(
            [sys.executable, str(TESTS / "warm_server.py"), str(listening.fileno())],
            stdin=subprocess.PIPE, pass_fds=[listening.fileno()], env=shim.environment(folder),
        )  # fmt: skip
    with server:
        yield shim
