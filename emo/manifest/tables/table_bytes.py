"""Read the bytes of a table: a regular file, a bucket or https, of bounded size and lines."""

import os
from pathlib import Path

from emo.errors import EmoError, ManifestError
from emo.machine.untrusted.addresses import checked_url
from emo.machine.untrusted.files import UnfitFileError, open_regular, read_regular

MOST_TABLE_BYTES = 2**30
"""Largest table that is read, 1 GiB, also once a Parquet file is decoded."""
MOST_ROW_BYTES = 2**24
"""Longest line of a table, 16 MiB."""


def read_table_bytes(path: Path, *, has_lines: bool = True) -> bytes:
    """Read a table that may be anything: no pipe or device, and no line without an end.

    Args:
        path: the file.
        has_lines: the file is text.

    Raises:
        ManifestError: it is no regular file, too large, or cannot be read.
    """
    try:
        handle, _ = open_regular(path, follow_links=True)
        with os.fdopen(handle, "rb") as file:
            start = file.read(2 * MOST_ROW_BYTES + 1) if has_lines else b""
        if has_long_line(start):
            raise UnfitFileError(long_line())
        data = read_regular(path, most_bytes=MOST_TABLE_BYTES, follow_links=True)
        if has_lines and has_long_line(data):
            raise UnfitFileError(long_line())
        return data
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}; name a table") from error
    except UnfitFileError as error:
        raise ManifestError(f"{path}: {error}; expected a table of clips") from error


def far_bytes(url: str) -> bytes:
    """Return the bytes of a table in a bucket or by https.

    Raises:
        ManifestError: it cannot be read.
    """
    from emo.store.backend.far_table import read_far_table  # not needed for local tables

    try:
        return read_far_table(readable_url(url), MOST_TABLE_BYTES)
    except ManifestError:
        raise
    except (EmoError, OSError) as error:
        raise ManifestError(f"{error}") from error


def readable_url(url: str) -> str:
    """Return a URL that may be read.

    Raises:
        ManifestError: it may not, see :func:`checked_url`.
    """
    try:
        return checked_url(url)
    except ValueError as error:
        raise ManifestError(str(error)) from None


def has_long_line(data: bytes) -> bool:
    """Return whether there is a line of more than ``MOST_ROW_BYTES``."""
    start = 0
    while len(data) - start > MOST_ROW_BYTES:
        stop = start + MOST_ROW_BYTES + 1
        end = max(data.rfind(b"\n", start, stop), data.rfind(b"\r", start, stop))
        if end < 0:
            return True
        start = end + 1
    return False


def long_line() -> str:
    """Return what is wrong with a table that has a longer line than is read."""
    return f"a line of it has more than {MOST_ROW_BYTES:,} bytes"
