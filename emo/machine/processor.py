"""Facts about this machine's processor and load, read from Linux's /proc where it exists."""

import os
from collections.abc import Sequence
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
"""Linux's description of the processor."""
LOADAVG = Path("/proc/loadavg")
"""Linux's description of the load."""
BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Processor flags (two of x86, one of Arm) that mean hardware multiplication of bfloat16."""
SPIN_COUNT = "3000"
"""Value for GOMP_SPINCOUNT: OpenMP threads spin about 30 µs before they sleep.

The default of libgomp is milliseconds, which steals time from other processes.
"""


def lacks_bfloat16(cpuinfo: Path = CPUINFO) -> bool:
    """Return True when the processor is known to lack bfloat16, so that ``--bf16`` is slower.

    Args:
        cpuinfo: Linux's description of the processor; if it cannot be read, the result is False.
    """
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    rows = (line.partition(":") for line in text.splitlines())
    flags = {flag for name, _, rest in rows if name.strip() in ("flags", "Features")
             for flag in rest.split()}  # fmt: skip
    return bool(flags) and not flags & BFLOAT16


def choose_waiting(words: Sequence[str]) -> None:
    """Set how long OpenMP threads spin before they sleep; call before torch is imported.

    ``fit-head`` on an otherwise idle machine keeps libgomp's longer spinning, which is faster
    there. Values that the user has set in the environment are kept.

    Args:
        words: the command line without the program, such as ``["fit-head", "manifest.csv"]``.
    """
    is_alone = words[:1] == ["fit-head"] and not others_run()
    if "OMP_WAIT_POLICY" not in os.environ and not is_alone:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)


def others_run(loadavg: Path = LOADAVG) -> bool:
    """Return True when other threads run on this machine now; False when that is not known.

    Args:
        loadavg: Linux's description of the load; its fourth word is ``running/all`` threads.
    """
    try:
        running = loadavg.read_text(encoding="ascii").split()[3].partition("/")[0]
        return int(running) > 1  # this process is one of them
    except (OSError, ValueError, IndexError):
        return False
