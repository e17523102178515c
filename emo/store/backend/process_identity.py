"""Names by which a process signs its files, so that others can tell whether it still runs.

The name of a machine and a process id are not enough: two containers of one machine have one name
and processes of the same ids, and an id is used again after its process has ended. A machine is
named by its host name, its boot and its space of process ids; a process by its id and start time.
"""

import hashlib
import os
import re
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path

_ENDED = ("Z", "X")
"""States of processes that have ended and are still listed, see proc(5)."""


def host() -> str:
    """Return this machine's name in names of files: ``node1.5f3a9c21``.

    The hexadecimal digits are a hash of the boot and of the namespace of process ids; they are
    missing on systems without ``/proc``. Containers with namespaces of their own count as machines.
    """
    return _host(socket.gethostname(), os.getpid())


@cache
def _host(hostname: str, _pid: int) -> str:  # a forked process may have another namespace
    name = re.sub(r"[^A-Za-z0-9.]", "_", hostname) or "unknown"
    with suppress(OSError):
        facts = Path("/proc/sys/kernel/random/boot_id").read_text() + os.readlink(
            "/proc/self/ns/pid"
        )
        name += "." + hashlib.sha256(facts.encode()).hexdigest()[:8]
    return name


def this_process() -> str:
    """Return the name of this process on its machine: process id and start, ``4711.93214``."""
    return _named(os.getpid())


@cache
def _named(pid: int) -> str:
    return f"{pid}.{_start(pid)}"


def is_process_alive(name: str) -> bool:
    """Return whether a process, named by :func:`this_process`, runs on this machine.

    A process that was killed, and whose parent has not asked how, does not run. On Windows it is
    always True: ``os.kill`` would end the process there.
    """
    pid, _, start = name.partition(".")
    if os.name == "nt" or not pid.isdigit() or int(pid) == 0:
        return True
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # a process of another user
        pass
    state, found = _state_and_start(int(pid))
    return state not in _ENDED and (not start or found in ("", start))


def _start(pid: int) -> str:
    """Return when a process started, in ticks since boot; ``""``: the system does not tell."""
    return _state_and_start(pid)[1]


def _state_and_start(pid: int) -> tuple[str, str]:
    """Return the letter of a process's state and its start; empty: the system does not tell."""
    try:
        if os.readlink("/proc/self") != str(os.getpid()):
            return "", ""  # this /proc lists the processes of another namespace
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return "", ""
    facts = stat.rpartition(")")[2].split()  # the name before it may hold spaces
    return facts[0], facts[19]
