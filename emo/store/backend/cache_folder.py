"""The cache folder of this machine for bytes of parts in buckets; processes share it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from emo.errors import StoreError
from emo.store.backend.object_facts import ObjectFacts
from emo.store.backend.object_path import ObjectPath

FOLDER = "EMO_CACHE"
"""Environment variable that names the folder; if unset, ``emo`` in the user's cache folder."""
GIBIBYTES = "EMO_CACHE_GIB"
"""Environment variable that limits the folder's size, in GiB."""
RUNS = "runs"
"""Name of the folder in it that holds copies of runs in buckets."""
USUAL_GIBIBYTES = 50
"""Limit of the folder's size when the variable is unset."""
_CHECK_BYTES = 2**28
"""Bytes fetched between two checks of the folder's size."""
_fetched = {"bytes": _CHECK_BYTES}  # so that the first fetch of a process checks, too


def cache_folder() -> Path:
    """Return the cache folder: ``$EMO_CACHE``, else ``~/.cache/emo``."""
    if given := os.environ.get(FOLDER):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emo"


def entry(path: ObjectPath, facts: ObjectFacts) -> Path:
    """Return the path of a part's cache files, without suffix, which names the part's version."""
    words = f"{path}\n{facts.st_size}\n{facts.etag or facts.st_mtime_ns}"
    return cache_folder() / "parts" / sha256(words.encode()).hexdigest()[:32]


def make_room(size_bytes: int) -> None:
    """Note that ``size_bytes`` were fetched, and now and then evict what exceeds the limit.

    Raises:
        StoreError: ``$EMO_CACHE_GIB`` is not a number.
    """
    _fetched["bytes"] += size_bytes
    limit = limit_bytes()
    if _fetched["bytes"] >= min(_CHECK_BYTES, limit // 8):
        _fetched["bytes"] = 0
        evict(cache_folder() / "parts", limit)


def limit_bytes() -> int:
    """Return the largest size of the folder, in bytes.

    Raises:
        StoreError: ``$EMO_CACHE_GIB`` is not a number.
    """
    given = os.environ.get(GIBIBYTES) or USUAL_GIBIBYTES
    try:
        return int(float(given) * 2**30)
    except (ValueError, OverflowError) as error:
        raise StoreError(f"{GIBIBYTES}={given}: expected a number of GiB, such as 20") from error


@contextmanager
def writing_cache(file: Path) -> Iterator[None]:
    """Turn an OSError inside the block into a StoreError that says what to do.

    Raises:
        StoreError: the block raised an OSError.
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
except ImportError:  # Windows, where an open file cannot be deleted anyway
    fcntl = None  # type: ignore[assignment]


def hold(handle: int) -> None:
    """Lock an open file as in use, until it and every map of it are closed."""
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH)
        except OSError:
            return  # a file system without locks, on which nothing is evicted


def evict(folder: Path, limit_bytes: int) -> None:
    """Delete cache entries, least recently used first, until the folder is within the limit."""
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
    """Return the bytes a file takes on disk; fewer than its size while it is not fully fetched."""
    blocks: int | None = getattr(status, "st_blocks", None)
    return status.st_size if blocks is None else blocks * 512


def _delete(file: Path) -> bool:
    """Delete a file unless a process uses it; return whether it is gone."""
    try:
        handle = os.open(file, os.O_RDWR)
    except FileNotFoundError:
        return True  # the entry has no such file: only the end of the part was read
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
