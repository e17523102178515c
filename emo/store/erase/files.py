"""Walk over all files below a folder or a bucket's name, read them, and replace them whole."""

import hashlib
import mmap
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from emo.errors import StoreError
from emo.store.backend.commit import cannot_write, sync_folder
from emo.store.backend.location import Location
from emo.store.backend.object_path import ObjectPath

UNFINISHED = ".erasing-"
"""Start of the name of a file that an erasure writes; one that was killed leaves it."""


def files_below(area: Location) -> Iterator[Location]:
    """Yield every file below an area, or the area itself if it is a file; links are not followed.

    Raises:
        StoreError: a folder cannot be listed.
    """
    if isinstance(area, ObjectPath):
        folders, names = area.bucket.listed(area.key)
        yield from (area / name for name in names)
        for name in folders:
            yield from files_below(area / name)
        return
    if area.is_file():
        yield area
        return
    for folder, inside, names in os.walk(area, onerror=_cannot_list):
        inside.sort()
        yield from (path for name in sorted(names) if not (path := Path(folder, name)).is_symlink())


def links_below(area: Location) -> Iterator[Path]:
    """Yield the links below a local folder, which an erasure does not follow."""
    if isinstance(area, Path):
        for folder, inside, names in os.walk(area):
            paths = (Path(folder, name) for name in sorted([*inside, *names]))
            yield from (path for path in paths if path.is_symlink())


@contextmanager
def contents(path: Location) -> Iterator[Any]:
    """Yield the bytes of a file, mapped if it is local; an empty file gives ``b""``.

    Raises:
        StoreError: the file cannot be read.
        FileNotFoundError: it is gone.
    """
    if isinstance(path, ObjectPath):
        yield path.read_bytes()
        return
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below, apart from errors of opening
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read ({error.strerror}), so nobody knows whether it holds the "
            "clips; run the erasure as a user who may read it"
        ) from error
    with file:
        if not os.fstat(file.fileno()).st_size:
            yield b""
            return
        whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            yield whole
        finally:
            with suppress(BufferError):  # an array still refers to it; the system closes it later
                whole.close()


def sha256_of(path: Location) -> str:
    """Return the SHA-256 of a file's bytes; empty: the file is gone."""
    try:
        with contents(path) as data:
            return hashlib.sha256(data).hexdigest()
    except FileNotFoundError:
        return ""


def replace_file(path: Location, data: bytes) -> None:
    """Give a file new contents; readers see the old or the new ones, also after a kill.

    A new file can be read by its owner alone.

    Raises:
        StoreError: the folder cannot be written.
    """
    if isinstance(path, ObjectPath):
        path.write_bytes(data)
        return
    beside = path.with_name(f"{UNFINISHED}{uuid.uuid4().hex[:8]}")
    try:
        mode = path.stat().st_mode & 0o7777 if path.exists() else 0o600
        with open(beside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.chmod(mode)
        os.replace(beside, path)
        sync_folder(path.parent)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise cannot_write(path.parent, error) from error


def overwrite(path: Location, pieces: list[tuple[int, bytes]], whole: bytes) -> None:
    """Write bytes over others of the same length, so that appending processes are not disturbed.

    Args:
        path: the file.
        pieces: position and bytes of each change.
        whole: the file with the changes, for an object in a bucket, which is replaced.

    Raises:
        StoreError: the file cannot be written.
    """
    if isinstance(path, ObjectPath):
        path.write_bytes(whole)
        return
    try:
        with open(path, "r+b", buffering=0) as file:
            for at, data in pieces:
                file.seek(at)
                file.write(data)
            os.fsync(file.fileno())
    except OSError as error:
        raise cannot_write(path.parent, error) from error


def remove_file(path: Location) -> None:
    """Remove a file, if it is there.

    Raises:
        StoreError: this user may not.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path.parent, error) from error


def _cannot_list(error: OSError) -> None:
    raise StoreError(
        f"{error.filename} cannot be listed ({error.strerror}), so nobody knows whether it holds "
        "the clips; run the erasure as a user who may read it"
    ) from error
