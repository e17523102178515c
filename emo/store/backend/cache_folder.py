"""The folder of this machine in which bytes of parts in buckets are kept; processes share it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from emo.errors import StoreError
from emo.store.backend.object_facts import ObjectFacts
from emo.store.backend.object_path import ObjectPath

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
def writing_cache(file: Path) -> Iterator[None]:
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


try:
    import fcntl
except ImportError:  # Windows, where a file that somebody has open cannot be deleted anyway
    fcntl = None  # type: ignore[assignment]


def hold(handle: int) -> None:
    """Mark an open file as in use, until it and every map of it are closed."""
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH)
        except OSError:
            return  # a file system without locks, on which nothing is evicted


def evict(folder: Path, limit_bytes: int) -> None:
    """Delete entries, the longest unused first, until all together are within the limit."""
    files: dict[str, list[Path]] = {}
    sizes: dict[str, int] = {}
    used: dict[str, float] = {}
    try:
        for file in os.scandir(folder):
            status, stem = file.stat(), file.name.partition(".")[0]
            files.setdefault(stem, []).append(Path(file))
            sizes[stem] = sizes.get(stem, 0) + _stored(status)
            used[stem] = max(used.get(stem, 0), status.st_mtime)
    except OSError:
        return
    total = sum(sizes.values())
    for stem in sorted(sizes, key=used.__getitem__):
        if total <= limit_bytes:
            return
        if _delete(folder / f"{stem}.part"):
            for other in files[stem]:
                other.unlink(missing_ok=True)
            total -= sizes[stem]


def _stored(status: os.stat_result) -> int:
    """Bytes on the disk, which of a copy that is not whole yet are few."""
    blocks: int | None = getattr(status, "st_blocks", None)
    return status.st_size if blocks is None else blocks * 512


def _delete(file: Path) -> bool:
    """Delete a file that nobody maps; whether it is gone."""
    try:
        handle = os.open(file, os.O_RDWR)
    except FileNotFoundError:
        return True  # only its end was ever read
    except OSError:
        return False
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.unlink()
    except OSError:
        return False
    finally:
        os.close(handle)
    if fcntl is None:
        try:
            file.unlink()
        except OSError:
            return False
    return True
