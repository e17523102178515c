"""The location of a store: a local folder, or a name in a bucket below which its objects lie.

Make locations with :func:`location` only: ``Path("s3://bucket")`` would lose a slash.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from emo.errors import StoreError
from emo.machine.untrusted.addresses import hide_secrets
from emo.store.backend.object_path import SCHEMES, ObjectPath

_URL = re.compile(r"[A-Za-z][\w+.-]+:/")
"""Start of a URL, also of one that has lost a slash; unlike a Windows drive (a single letter)."""
Location = Path | ObjectPath
"""Path of a store, of a recipe's folder in it, or of a part: local, or in a bucket. ``ObjectPath``
has the methods of ``Path`` that stores use."""


def location(words: "str | Path | ObjectPath") -> Location:
    """Return the location that a user names, such as ``features/`` or ``s3://bucket/features``.

    Raises:
        StoreError: a URL of another kind, or one that has lost a slash because it was a ``Path``.
    """
    if isinstance(words, ObjectPath):
        return words
    text = str(words)
    if found := ObjectPath.parse(text):
        return found
    if _URL.match(text):
        scheme, text = text.partition(":")[0], hide_secrets(text)
        if scheme in SCHEMES:
            raise StoreError(f"{text}: expected {scheme}://BUCKET/NAME, given as text, not as Path")
        raise StoreError(f"{text}: expected a folder, or {'://, '.join(SCHEMES)}:// and a bucket")
    return Path(words)


def local(path: Path, what: str) -> Path:
    """Return ``path`` unchanged after checking that it is local.

    Args:
        path: the path.
        what: what the path names, for the error message.

    Raises:
        StoreError: ``path`` is a URL.
    """
    if _URL.match(str(path)):
        text = hide_secrets(str(path))
        url = text.replace(":/", "://", 1) if "://" not in text else text
        raise StoreError(
            f"{url}: {what} must be a local file or folder; write it locally, then copy it to the "
            "bucket"
        )
    return path


def file_names(folder: Location) -> list[str]:
    """List the names in a folder, in any order; in a bucket, of objects only.

    Raises:
        OSError: the local folder cannot be read.
        StoreError: the object store does not answer.
    """
    return folder.file_names() if isinstance(folder, ObjectPath) else os.listdir(folder)


def files(folder: Location) -> Mapping[str, "os.DirEntry[str] | ObjectPath"]:
    """List a folder like :func:`file_names`: name -> entry, whose ``stat()`` has size and time."""
    if isinstance(folder, ObjectPath):
        return {name: folder / name for name in folder.file_names()}
    return {file.name: file for file in os.scandir(folder)}
