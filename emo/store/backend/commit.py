"""The commit protocol: a file appears under its final name whole, once, or not at all.

Write ``.tmp-<host>-<pid>-…``, fsync, ``link()`` to the final name, unlink, fsync the folder. The
name is the commit; whoever finds it taken was second and drops its copy. Where hard links do not
exist (exFAT, some network mounts) an exclusive lock and a rename do the same. In a bucket it is one
PUT of the whole file on the condition that the name is free.
"""

import errno
import os
import re
import socket
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from emo.errors import StoreError
from emo.store.backend.location import Location
from emo.store.backend.object_path import ObjectPath

TEMPORARY = ".tmp-"
"""How the name of a file that is being written starts."""
LOCK = ".lock-"
"""How the name of the lock starts that stands in for a hard link; the final name follows."""
STALE_SECONDS = 24 * 3600
"""No write takes a day: what is older was left by a dead owner, wherever that ran."""
LOCK_SECONDS = 60
"""A rename takes milliseconds; whoever waits longer for another's lock gives up."""

_NO_LINKS = {
    errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EINVAL, errno.EMLINK, errno.ENOTSUP,
    errno.EOPNOTSUPP,
}  # fmt: skip
_NO_FOLDER_SYNC = {errno.EINVAL, errno.EACCES, errno.EPERM, errno.EBADF, errno.ENOTSUP}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def commit(folder: Location, name: str, write: Callable[[BinaryIO], None]) -> bool:
    """Make ``folder/name`` appear with what ``write`` puts into the file it is given.

    Returns:
        False when the name existed already; the copy written here is dropped then.

    Raises:
        StoreError: the disk is full, the folder cannot be written or is gone.
    """
    if isinstance(folder, ObjectPath):
        return folder.commit(name, write)
    temporary = folder / f"{TEMPORARY}{host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
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
    """The error line for what the file system answered to a write into ``folder``."""
    kept = "Parts committed so far are kept; the same command goes on from there."
    if error.errno in _FULL:
        return StoreError(f"{folder}: no space left to write. Free some, then repeat. {kept}")
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return StoreError(f"{folder} cannot be written ({error.strerror}). Choose another --out.")
    if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ESTALE}:
        return StoreError(f"{folder} is not there (any more): {error.strerror}. {kept}")
    return StoreError(f"{folder} cannot be written: {error}. {kept}")


def host() -> str:
    """This machine's name, as it stands in temporary file names."""
    return re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname()) or "unknown"


def is_abandoned(path: Location) -> bool:
    """Whether the owner of a temporary file or lock is dead: its process here, or by its age.

    Raises:
        OSError: the file is gone or cannot be looked at.
    """
    if isinstance(path, ObjectPath):
        return False  # nothing is ever half written there
    if time.time() - path.stat().st_mtime > STALE_SECONDS:
        return True
    owner = path.read_text() if path.name.startswith(LOCK) else path.name.removeprefix(TEMPORARY)
    fields = owner.rsplit("-", 2)
    return len(fields) == 3 and fields[0] == host() and not is_process_alive(fields[1])


def is_process_alive(pid: str) -> bool:
    """Whether a process of this number runs here; on Windows, where asking kills, always True."""
    if os.name == "nt" or not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _publish(temporary: Path, final: Path) -> bool:
    try:
        os.link(temporary, final)
    except FileExistsError:
        # over NFS a repeated request finds the link that its first, lost answer made
        return os.path.samefile(temporary, final)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _publish_by_rename(temporary, final)
    return True


def _publish_by_rename(temporary: Path, final: Path) -> bool:
    """Where links do not exist: whoever creates the lock may rename, unless it was done already."""
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
    """Create the lock; False when ``final`` appeared while another held it."""
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
            raise StoreError(f"{lock} is held by {lock.read_text()!r}; remove it if that is dead")
        time.sleep(0.02)


def sync_folder(folder: Path) -> None:
    """Make the new name durable, where a folder can be synced at all (not on Windows)."""
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
