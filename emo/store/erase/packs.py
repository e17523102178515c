"""Take clips out of a pack of `emo store pack`: unpack it beside, erase there, write it anew."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from emo.errors import StoreError
from emo.store.backend.commit import cannot_write, sync_folder
from emo.store.backend.location import Location
from emo.store.erase.files import UNFINISHED
from emo.store.exchange.pack import CONTENTS_FILE, write_pack


def is_pack(path: Location) -> bool:
    """Return whether a local file is a pack."""
    if not isinstance(path, Path) or path.name.endswith(".zarr.zip"):
        return False
    try:
        if not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return CONTENTS_FILE in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def rewrite_pack(path: Path, erase: Callable[[Path], bool]) -> bool:
    """Unpack a pack, erase in its folder, and write it again if anything changed.

    Args:
        path: the pack.
        erase: takes the clips out of a folder; returns whether it changed anything.

    Returns:
        Whether the pack was replaced.

    Raises:
        StoreError: a member leads out of the folder, or the disk is full.
    """
    folder = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=path.parent))
    try:
        _unpack(path, folder)
        if not erase(folder):
            return False
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        named = {file.relative_to(folder).as_posix(): file for file in files}
        named.pop(CONTENTS_FILE, None)
        new = folder / f"{UNFINISHED}pack"
        write_pack(new, named)
        with open(new, "rb") as file:
            os.fsync(file.fileno())
        os.replace(new, path)
        sync_folder(path.parent)
        return True
    except OSError as error:
        raise cannot_write(path.parent, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(path: Path, folder: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            target = (folder / info.filename).resolve()
            if not target.is_relative_to(folder.resolve()) or info.filename.endswith("/"):
                raise StoreError(f"{path}: member {info.filename!r} leaves the folder; remove it")
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as source, open(target, "wb") as out:
                shutil.copyfileobj(source, out, 2**20)
