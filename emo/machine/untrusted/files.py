"""Open files that may be links, pipes or devices, and find links in folders."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a pipe without a writer is opened at once instead of never
    | getattr(os, "O_NOCTTY", 0)
)
_PIECE_BYTES = 2**18
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)  # not on Windows


class UnfitFileError(ValueError):
    """What lies at a path is not a file that is read: a link, a pipe, a device, or too large."""


def open_regular(path: Path | str, *, follow_links: bool) -> tuple[int, int]:
    """Open a regular file for reading.

    Args:
        path: the file.
        follow_links: False: refuse a symbolic link in place of the file. Links in the folders above
            it are always followed.

    Returns:
        The file descriptor, which the caller must close, and the size of the file in bytes.

    Raises:
        OSError: the file cannot be opened.
        UnfitFileError: it is a link, or no regular file.
    """
    try:
        handle = os.open(path, _FLAGS if follow_links else _FLAGS | _NO_LINKS)
    except OSError as error:
        if error.errno == errno.ELOOP and os.path.islink(path):
            raise UnfitFileError("it is a link; put a copy of the file in its place") from None
        if error.errno == errno.ENXIO:
            raise UnfitFileError(_no_file(os.stat(path).st_mode)) from None
        raise
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise UnfitFileError(_no_file(status.st_mode))
    return handle, status.st_size


def read_regular(path: Path | str, *, most_bytes: int, follow_links: bool) -> bytes:
    """Read a whole regular file of at most ``most_bytes``.

    Raises:
        OSError: the file cannot be read.
        UnfitFileError: it is a link and ``follow_links`` is False, no regular file, or too large.
    """
    handle, size = open_regular(path, follow_links=follow_links)
    pieces, left = [], most_bytes
    with os.fdopen(handle, "rb") as file:
        if size > most_bytes:
            raise UnfitFileError(f"it has {size:,} bytes; at most {most_bytes:,} are read")
        while piece := file.read(_PIECE_BYTES):  # a file that grows meanwhile is not read on and on
            left -= len(piece)
            if left < 0:
                raise UnfitFileError(f"it has more than {most_bytes:,} bytes")
            pieces.append(piece)
    return b"".join(pieces)


def kind_of_file(path: Path) -> str | None:
    """Return what lies at ``path`` if it is neither a regular file nor a folder, else None.

    Links are followed: the user named this path.

    Raises:
        OSError: there is nothing.
    """
    mode = os.stat(path).st_mode
    return None if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else _no_file(mode)


def first_odd_entry(folder: Path) -> tuple[Path, str] | None:
    """Find a link, pipe or device in a folder or below it; None: there are files and folders only.

    Returns:
        Its path, and what it is.

    Raises:
        OSError: a folder cannot be read.
    """
    return next(_odd_entries(folder), None)


def _odd_entries(folder: Path) -> Iterator[tuple[Path, str]]:
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    yield Path(entry.path), "it is a link"
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif not entry.is_file(follow_symlinks=False):
                    yield Path(entry.path), _no_file(entry.stat(follow_symlinks=False).st_mode)


def _no_file(mode: int) -> str:
    """Return what lies in place of a regular file."""
    names = {
        stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    }  # fmt: skip
    return f"it is {names.get(stat.S_IFMT(mode), 'something else')}, not a regular file"
