"""Keeps the cache folder below its limit: what was used longest ago goes, except what is in use."""

import os
from pathlib import Path

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
