"""Write a file beside its place and rename it, so that readers see the old file or the new one."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from emo.errors import EmoError, naming_file

_MOST_LETTERS = 50
"""Letters of the file's name in the name of the temporary file; file systems allow 255 bytes."""


@contextmanager
def whole_file(path: Path, kind: type[EmoError], *, name: str = "") -> Iterator[Path]:
    """Yield the path of a temporary file, which is synced and renamed to ``path`` afterwards.

    If the block raises or the disk fails, the temporary file is removed and ``path`` is as before.

    Args:
        path: the file; an earlier one is replaced.
        kind: class of the error for a file that cannot be written.
        name: the file in that error; empty: its path.

    Raises:
        EmoError: the file cannot be written; the message has its name and the reason.
    """
    if not path.name or (path.exists() and not path.is_file()):
        raise kind(
            f"{name or path} cannot be written: it is no file that can be written or replaced"
        )
    mark = f"{os.getpid()}-{secrets.token_hex(4)}"
    unfinished = path.with_name(f".{path.name[:_MOST_LETTERS]}.{mark}.tmp")
    with naming_file(name or path, kind):
        try:
            yield unfinished
            with open(unfinished, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink()
            raise
