"""Pause Python's garbage collector for a short computation."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """Pause the garbage collector inside the block.

    It looks at all objects again and again while large libraries are imported: a fifth of the time
    of ``emo adapt --dry-run``. Only objects that refer to one another stay until the end.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
