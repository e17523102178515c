"""Freed memory stays with the process, so that the next frame need not be given fresh pages.

glibc hands blocks of megabytes back to the system at each free, and the system clears them at each
use: without this a third of the time of finding faces in 720p frames goes into page faults.
"""

import ctypes
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_… of malloc.h
_MOST_BYTES = 32 * 2**20  # larger blocks come and go as ever; glibc accepts no more
_KEPT_BYTES = 2**30


@cache
def keep_freed_memory() -> bool:
    """Ask the C library, once a process; whether it agreed (only glibc can)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _MOST_BYTES) and mallopt(_TRIM_THRESHOLD, _KEPT_BYTES))
