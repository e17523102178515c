"""Let the process keep freed memory, instead of getting cleared pages again for each batch."""

import ctypes
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
_MOST_BYTES = 32 * 2**20  # the largest value that glibc accepts; larger blocks use mmap as before


@cache
def keep_freed_memory(kept_bytes: int = 2**30) -> bool:
    """Tell glibc to keep some freed memory for the next allocation, 1 GiB unless said.

    Otherwise the large buffers of each batch are returned to the system and mapped again.

    Args:
        kept_bytes: freed bytes that are kept at most.

    Returns:
        Whether the C library accepted it; False on systems without glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _MOST_BYTES) and mallopt(_TRIM_THRESHOLD, kept_bytes))
