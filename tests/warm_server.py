"""Runs `emo` commands in forks of one process that has imported everything already.

A new process of `emo` imports torch and more for two to ten seconds; a fork of this one starts at
once. ``python warm_server.py FILE_NUMBER [MODULES]`` imports them and serves on that
listening socket until its stdin is closed. A request of
``warm_client.py`` carries the words of the command, folder and environment of the caller, and its
stdin, stdout and stderr themselves; the answer is the exit code.

Nothing is computed before a fork, so no thread pool is inherited.
"""

import atexit
import importlib
import json
import os
import select
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

IMPORTED_BEFORE = (
    "emo.cli",
    "emo.extract.backbones.classic",
    "emo.extract.backbones.logmel",
    "emo.extract.run",
    "emo.heads.fitting.folds.cross_validate",
    "emo.heads.fitting.fit",
    "emo.heads.fitting.search",
    "emo.predict.file",
    "emo.predict.one_clip",
    "emo.store",
    "matplotlib.backends.backend_agg",
    "open_clip",
    "sklearn.model_selection",
)


def serve(file_number: int, modules: Sequence[str]) -> None:
    """Fork once a request, until stdin is closed."""
    with socket.socket(fileno=file_number) as door:
        for name in modules:
            importlib.import_module(name)
        while True:
            ready, _, _ = select.select([door, sys.stdin], [], [], 1.0)
            _bury_the_dead()
            if door in ready:
                call, _ = door.accept()
                if os.fork() == 0:
                    door.close()
                    _leave_with(_answer, call)
                call.close()
            elif ready:
                return


def _leave_with(work: Callable[..., int], *words: Any) -> NoReturn:
    """End this fork with the code that ``work`` returns; it never comes back as a server."""
    code = 70
    try:
        code = work(*words)
    finally:
        os._exit(code)


def _bury_the_dead() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _answer(call: socket.socket) -> int:
    """Run the command in a fork of its own: what kills it is an exit code, too."""
    message, files, _, _ = socket.recv_fds(call, 1 << 20, 3)
    while not message.endswith(b"\n"):
        message += call.recv(1 << 20)
    pid = os.fork()
    if pid == 0:
        call.close()
        _leave_with(_run, json.loads(message), files)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    call.sendall(str(128 - code if code < 0 else code).encode())
    return 0


def _run(request: dict, files: list[int]) -> int:
    """What the script `emo` does, in the caller's folder and with its streams."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    tempfile.tempdir = None  # the caller's TMPDIR counts
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["emo", *request["words"]]
    found = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:1] = [os.path.dirname(sys.executable), *map(os.path.abspath, found)]
    code = _call_main()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        return 120  # as Python does
    return code


def _call_main() -> int:
    from emo.cli import main

    try:
        main()
    except SystemExit as leave:
        if isinstance(leave.code, str):
            print(leave.code, file=sys.stderr)
            return 1
        return leave.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is pytest's, which closes our stdin
    serve(int(sys.argv[1]), sys.argv[2:] or IMPORTED_BEFORE)
