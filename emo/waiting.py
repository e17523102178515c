"""How torch's threads wait for each other: awake where nobody else is at work, else soon asleep.

Awake is fastest where a fit has the machine to itself, and many times slower where it has not, or
where decoding threads are at work beside them. Only the speed depends on it.
"""

import os
from collections.abc import Sequence
from pathlib import Path

LOADAVG = Path("/proc/loadavg")
SOON = "3000"
"""Turns of libgomp's waiting loop, some 30 microseconds; its own choice is milliseconds."""


def choose_waiting(words: Sequence[str]) -> None:
    """Set it for a command, before torch is imported; what the user has set stays.

    Args:
        words: of the command, such as ``["fit-head", "manifest.csv"]``.
    """
    is_alone = words[:1] == ["fit-head"] and not others_run()
    if "OMP_WAIT_POLICY" not in os.environ and not is_alone:
        os.environ.setdefault("GOMP_SPINCOUNT", SOON)


def others_run(loadavg: Path = LOADAVG) -> bool:
    """Somebody else's thread runs at this moment; where the system does not tell, nobody's.

    Args:
        loadavg: Linux's description of the load; its fourth word is ``running/all`` threads.
    """
    try:
        running = loadavg.read_text(encoding="ascii").split()[3].partition("/")[0]
        return int(running) > 1  # we are one
    except (OSError, ValueError, IndexError):
        return False
