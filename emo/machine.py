"""What this machine's processor can do, as far as the system tells."""

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
