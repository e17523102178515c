"""Write files and folders that appear whole under their name or not at all; hash them."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emo.errors import StoreError
from emo.store.backend.commit import TEMPORARY
from emo.store.backend.location import local
from emo.store.backend.process_identity import host, is_process_alive, this_process


@contextmanager
def appearing(out: Path) -> Iterator[Path]:
    """Yield a temporary path that is renamed to ``out`` when the block ends without an exception.

    Raises:
        StoreError: ``out`` exists, or cannot be written.
    """
    out = local(out, "what is written here").absolute()
    if out.exists() or out.is_symlink():
        raise StoreError(f"{out} exists; choose another --out, or remove it")
    try:
        folder = temporary_beside(out)
    except OSError as error:
        raise _failed(out, error) from error
    try:
        yield folder / out.name
        os.rename(folder / out.name, out)
    except OSError as error:
        raise _failed(out, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def temporary_beside(out: Path) -> Path:
    """Make a temporary folder beside ``out``; remove those of dead processes of this machine.

    Raises:
        OSError: the folder cannot be made.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    start = f"{TEMPORARY}{out.name}-{host()}-"
    for folder in out.parent.iterdir():
        owner, _, mark = folder.name.removeprefix(start).partition("-")
        is_ours = folder.name.startswith(start) and "-" not in mark
        if is_ours and not is_process_alive(owner):
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{start}{this_process()}-", dir=out.parent))


def _failed(out: Path, error: OSError) -> StoreError:
    """Return the error message for a failed write to ``out``."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return StoreError(
            f"{out}: no space left to write; nothing is kept. Free some, then repeat."
        )
    is_in_the_way = error.errno in {errno.EEXIST, errno.ENOTDIR}
    why = "a file is where its folder should be" if is_in_the_way else error.strerror or error
    return StoreError(f"{out} cannot be written: {why}; nothing is kept. Choose another path.")


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file, or of the sorted names and hashes of all files in a folder."""
    if path.is_file():
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    total = hashlib.sha256()
    for each in sorted(file for file in path.rglob("*") if file.is_file()):
        total.update(f"{each.relative_to(path).as_posix()}\n{content_hash(each)}\n".encode())
    return total.hexdigest()
