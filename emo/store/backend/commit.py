"""Commit a file: it appears under its final name whole and once, or not at all.

Write ``.tmp-<machine>-<process>-…``, fsync, ``link()`` to the final name, unlink, fsync the folder.
The link is the commit; a process that finds the name taken was second and drops its copy. Where
hard links do not exist (exFAT, some network mounts), an exclusive lock and a rename do the same. In
a bucket, it is one PUT of the whole file on the condition that the name is free.
"""

import errno
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from emo.errors import StoreError
from emo.store.backend.location import Location
from emo.store.backend.object_path import ObjectPath
from emo.store.backend.process_identity import host, is_process_alive, this_process

TEMPORARY = ".tmp-"
"""Start of the name of a file that is being written."""
LOCK = ".lock-"
"""Start of the name of a lock file, used where hard links do not exist; the final name follows."""
STALE_SECONDS = 24 * 3600
"""Age from which a temporary file counts as left by a dead process: no write takes a day."""
LEASE_SECONDS = 120
"""Age from which the lock of a process of another machine counts as left: a rename takes
milliseconds."""
LOCK_SECONDS = LEASE_SECONDS + 30
"""Longest wait for the lock of another process."""

_NO_LINKS = {
    errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EINVAL, errno.EMLINK, errno.ENOTSUP,
    errno.EOPNOTSUPP,
}  # fmt: skip
_NO_FOLDER_SYNC = {errno.EINVAL, errno.EACCES, errno.EPERM, errno.EBADF, errno.ENOTSUP}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def commit(folder: Location, name: str, write: Callable[[BinaryIO], None]) -> bool:
    """Create ``folder/name`` with the content that ``write`` puts into the file it is given.

    Returns:
        True; False when the name existed already, and this copy was dropped.

    Raises:
        StoreError: the disk is full, or the folder cannot be written or is gone.
    """
    if isinstance(folder, ObjectPath):
        return folder.commit(name, write)
    temporary = folder / f"{TEMPORARY}{host()}-{this_process()}-{uuid.uuid4().hex[:8]}"
    try:
        try:
            with open(temporary, "xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            is_first = _publish(temporary, folder / name)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return is_first


def cannot_write(folder: Location, error: OSError) -> StoreError:
    """Return the error message for a failed write into ``folder``."""
    kept = "Parts committed so far are kept; the same command goes on from there."
    if error.errno in _FULL:
        return StoreError(f"{folder}: no space left to write. Free some, then repeat. {kept}")
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return StoreError(f"{folder} cannot be written ({error.strerror}). Choose another --out.")
    if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ESTALE}:
        return StoreError(f"{folder} is not there (any more): {error.strerror}. {kept}")
    return StoreError(f"{folder} cannot be written: {error}. {kept}")


def is_abandoned(path: Location) -> bool:
    """Return whether the writer of a temporary file or lock is dead.

    For a process of this machine this is known. Of other machines, and of containers with process
    ids of their own, files count as abandoned after a day, and locks after two minutes.

    Raises:
        OSError: the file is gone or cannot be examined.
    """
    if isinstance(path, ObjectPath):
        return False  # buckets have no temporary files
    is_lock = path.name.startswith(LOCK)
    age_seconds = time.time() - path.stat().st_mtime
    if age_seconds > STALE_SECONDS:
        return True
    owner = path.read_text() if is_lock else path.name.removeprefix(TEMPORARY)
    fields = owner.rsplit("-", 2)
    if len(fields) == 3 and fields[0] == host():
        return not is_process_alive(fields[1])
    return is_lock and age_seconds > LEASE_SECONDS


def _publish(temporary: Path, final: Path) -> bool:
    """Link a written file to its final name; return False if the name is taken."""
    try:
        os.link(temporary, final)
    except FileExistsError:
        # NFS repeats a request whose answer was lost, and then finds its own link
        return os.path.samefile(temporary, final)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _publish_by_rename(temporary, final)
    return True


def _publish_by_rename(temporary: Path, final: Path) -> bool:
    """Rename a written file under a lock, where hard links do not exist."""
    lock = final.with_name(LOCK + final.name)
    if not _take(lock, final, owner=temporary.name.removeprefix(TEMPORARY)):
        return False
    try:
        if final.exists():
            return False
        temporary.rename(final)
        return True
    finally:
        lock.unlink(missing_ok=True)


def _take(lock: Path, final: Path, *, owner: str) -> bool:
    """Create the lock file; return False when another process created ``final`` meanwhile."""
    patience = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            with open(lock, "x") as file:
                file.write(owner)
            return True
        except FileExistsError:
            if final.exists():
                return False
        try:
            if is_abandoned(lock):
                lock.unlink()
        except FileNotFoundError:
            continue
        if time.monotonic() > patience:
            raise StoreError(
                f"{lock} is held by the process {lock.read_text()!r} (host-pid); if that process "
                "does not run any more, remove the file"
            )
        time.sleep(0.02)


def sync_folder(folder: Path) -> None:
    """Make new names in a folder durable, on systems that can sync a folder (not Windows)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(handle)
