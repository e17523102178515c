"""Small disks and mounts that vanish, for tests that run as root on Linux."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def needs_mounts() -> None:
    """Skip the test, with the reason, where nothing can be mounted."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root on Linux")


def mount(*words: object) -> None:
    """`mount WORDS`; skips where even root may not (in a container)."""
    done = subprocess.run(["mount", *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mount {' '.join(map(str, words))}: {done.stderr.strip()}")


def unmount(folder: Path) -> None:
    """At once, whoever has files open there."""
    subprocess.run(["umount", "--lazy", folder], capture_output=True, check=False)


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """A file system of that size, in RAM, mounted at a new folder while open."""
    needs_mounts()
    folder.mkdir()
    mount("-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", folder)
    try:
        yield folder
    finally:
        unmount(folder)


@contextmanager
def bound(source: Path, folder: Path) -> Iterator[Path]:
    """``source`` seen a second time at a new folder while open."""
    needs_mounts()
    folder.mkdir(exist_ok=True)
    mount("--bind", source, folder)
    try:
        yield folder
    finally:
        unmount(folder)
