"""The folder of this machine in which bytes of parts in buckets are kept; processes share it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from emo.errors import StoreError
from emo.store.backend.evict import evict
from emo.store.backend.object_path import ObjectFacts, ObjectPath

FOLDER = "EMO_CACHE"
"""The environment variable that names the folder; else ``emo`` below the user's cache folder."""
GIBIBYTES = "EMO_CACHE_GIB"
"""The one that limits the folder's size."""
USUAL_GIBIBYTES = 50
_LOOK_BYTES = 2**28
"""Fetched between two looks at the folder's size."""
_fetched = {"bytes": _LOOK_BYTES}  # the first fetch of a process looks, too


def cache_folder() -> Path:
    """``$EMO_CACHE``, else ``~/.cache/emo``."""
    if given := os.environ.get(FOLDER):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emo"


def entry(path: ObjectPath, facts: ObjectFacts) -> Path:
    """The files of a part, without their suffix; a part that was replaced has others."""
    words = f"{path}\n{facts.st_size}\n{facts.etag or facts.st_mtime_ns}"
    return cache_folder() / "parts" / sha256(words.encode()).hexdigest()[:32]


def make_room(size_bytes: int) -> None:
    """So much was fetched: see now and then that the folder stays within its limit.

    Raises:
        StoreError: ``$EMO_CACHE_GIB`` is no number.
    """
    _fetched["bytes"] += size_bytes
    limit = limit_bytes()
    if _fetched["bytes"] >= min(_LOOK_BYTES, limit // 8):
        _fetched["bytes"] = 0
        evict(cache_folder() / "parts", limit)


def limit_bytes() -> int:
    """How large the folder may become.

    Raises:
        StoreError: ``$EMO_CACHE_GIB`` is no number.
    """
    given = os.environ.get(GIBIBYTES) or USUAL_GIBIBYTES
    try:
        return int(float(given) * 2**30)
    except (ValueError, OverflowError) as error:
        raise StoreError(f"{GIBIBYTES}={given}: expected a number of GiB, such as 20") from error


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """What the file system answers, as a line that says what to do.

    Raises:
        StoreError: instead of any OSError.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{file}: the cache of parts cannot be written ({error.strerror}). Name a folder with "
            f"room by the environment variable {FOLDER}, or lower {GIBIBYTES}."
        ) from error
