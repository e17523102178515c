"""Where a store lies: a local folder, or the objects below a name in a bucket.

``Path("s3://bucket")`` loses a slash, so that locations are made by
:func:`location` and nowhere else.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from emo.errors import StoreError
from emo.store.backend.object_path import SCHEMES, ObjectPath

_URL = re.compile(r"[A-Za-z][\w+.-]+:/")
"""How a URL begins, also one that has lost a slash; a drive of Windows has a single letter."""
Location = Path | ObjectPath
"""Of a store, a recipe's folder in it or a part; both kinds have the same methods here."""


def location(words: "str | Path | ObjectPath") -> Location:
    """The location that a user names: ``features/``, ``s3://bucket/features``.

    Raises:
        StoreError: a URL of another kind, or one that has lost a slash as a ``Path``.
    """
    if isinstance(words, ObjectPath):
        return words
    text = str(words)
    if found := ObjectPath.parse(text):
        return found
    if _URL.match(text):
        scheme = text.partition(":")[0]
        if scheme in SCHEMES:
            raise StoreError(f"{text}: expected {scheme}://BUCKET/NAME, given as text, not as Path")
        raise StoreError(f"{text}: expected a folder, or {'://, '.join(SCHEMES)}:// and a bucket")
    return Path(words)


def local(path: Path, what: str) -> Path:
    """``path``, which names something that only a local folder can hold.

    Raises:
        StoreError: it is a URL.
    """
    if _URL.match(str(path)):
        url = str(path).replace(":/", "://", 1) if "://" not in str(path) else path
        raise StoreError(f"{url}: {what} is a local file or folder; write it here, then copy it up")
    return path


def file_names(folder: Location) -> list[str]:
    """The names of what is in a folder, in any order; of a bucket the objects alone.

    Raises:
        OSError: the local folder cannot be read.
        StoreError: the object store does not answer.
    """
    return folder.file_names() if isinstance(folder, ObjectPath) else os.listdir(folder)


def files(folder: Location) -> Mapping[str, "os.DirEntry[str] | ObjectPath"]:
    """The same with something to ask for size and age, by name."""
    if isinstance(folder, ObjectPath):
        return {name: folder / name for name in folder.file_names()}
    return {file.name: file for file in os.scandir(folder)}
