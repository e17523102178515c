"""Starts ``warm_server.py``, and writes the script `emo` that sends commands to it."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

TESTS = Path(__file__).parent


@contextlib.contextmanager
def warm_process(environment: Mapping[str, str], *modules: str) -> Iterator[Path]:
    """Yield a folder for ``PATH`` whose `emo` runs in a fork of one process.

    Args:
        environment: environment of that process, beside the own one.
        modules: what it imports before the first command; none: what most commands need.
    """
    with tempfile.TemporaryDirectory(prefix="emo-") as folder:  # a socket's path must be short
        script, door = Path(folder, "emo"), Path(folder, "door")
        client = f'"{sys.executable}" -I -S "{TESTS / "warm_client.py"}" "{door}"'
        script.write_text(f'#!/bin/sh\nexec {client} "$@"\n')
        script.chmod(0o755)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(door))
            listening.listen(64)
            number = listening.fileno()
            server = subprocess.Popen(
                [sys.executable, str(TESTS / "warm_server.py"), str(number), *modules],
                stdin=subprocess.PIPE,
                pass_fds=[number],
                env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            )
        with server:
            yield Path(folder)
