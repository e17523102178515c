"""What this machine's processor can do, as far as the system tells."""

import os
from collections.abc import Sequence
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Flags of x86 (two of them) and Arm under which bfloat16 is multiplied by instructions."""


def lacks_bfloat16(cpuinfo: Path = CPUINFO) -> bool:
    """It is known to have no such instructions, so that ``--bf16`` only costs time.

    Args:
        cpuinfo: Linux's description; where there is none, nothing is known.
    """
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    rows = (line.partition(":") for line in text.splitlines())
    flags = {flag for name, _, rest in rows if name.strip() in ("flags", "Features")
             for flag in rest.split()}  # fmt: skip
    return bool(flags) and not flags & BFLOAT16


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
