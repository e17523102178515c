"""SHA-256 of weight files; those of large files are remembered in the user's cache."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from emo.errors import EmoError, WeightsError
from emo.machine.untrusted.documents import read_checked
from emo.machine.untrusted.files import UnfitFileError, open_regular
from emo.machine.untrusted.kinds import MapOf

_QUICK_BYTES = 2**20
"""Largest file whose hash is computed anew at each call."""


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file.

    Hashes of large files are cached, because weights have gigabytes: by path, size, modification
    time, and by what changes when a file is replaced or written although its time is set back.
    """
    facts = _facts(path)
    known = _remembered()
    if facts in known:
        return known[facts]
    found = _content_hash(path)
    if path.stat().st_size > _QUICK_BYTES:
        _remember(facts, found)
    return found


def hash_again(paths: Iterable[Path]) -> None:
    """Read files once more, and remember their hashes in place of earlier ones."""
    for path in paths:
        _remember(_facts(path), _content_hash(path))


def _facts(path: Path) -> str:
    """Return what identifies a file's content without reading it."""
    status = path.stat()
    identity = f"{status.st_dev}:{status.st_ino}:{status.st_ctime_ns}"
    return f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}|{identity}"


def _content_hash(path: Path) -> str:
    """Return the SHA-256 of a file that was read anew.

    Raises:
        WeightsError: it is a pipe, a device or a folder.
    """
    try:
        handle, _ = open_regular(path, follow_links=True)
    except UnfitFileError as error:
        raise WeightsError(f"{path} cannot be read as weights: {error}") from error
    with os.fdopen(handle, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remembered() -> dict[str, str]:
    try:
        known: dict[str, str] = read_checked(_hash_file(), MapOf(str))
    except EmoError:  # it is a cache: the hashes are computed again
        return {}
    return known


def _remember(facts: str, found: str) -> None:
    target = _hash_file()
    unfinished = target.with_suffix(f".{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps({**_remembered(), facts: found}))
        unfinished.replace(target)
    except OSError:
        return  # without a writable home the hash is only computed again


def _hash_file() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")).expanduser()
    return home / "emo" / "weights.json"
