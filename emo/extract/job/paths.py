"""Paths of job folders: in their store, or in a local folder if the store is in a bucket.

Journals and logs are appended to, which is not possible for objects in a bucket.
"""

import os
import shlex
from pathlib import Path

from emo.errors import OptionError, StoreError
from emo.store.backend.location import Location

JOBS = ".jobs"
"""Folder in a store that contains its job folders."""
JOBS_HERE = "emo-jobs"
"""Folder in the current one that contains the job folders of stores in buckets."""


def jobs_home(store: Location, jobs: Path | None = None) -> Path:
    """Return the folder that contains a store's job folders; the folder may not exist.

    It is another one, of this user alone, where another user's cannot be read.

    Args:
        store: the store.
        jobs: folder for the job folders of stores in buckets; None: ``emo-jobs`` in the current
            folder.

    Raises:
        OptionError: ``jobs`` is given for a local store.
        StoreError: a link lies in place of the folder; a job would be written where it leads.
    """
    if isinstance(store, Path):
        if jobs is not None:
            raise OptionError(
                f"--jobs: the job folders of a local store are in {store / JOBS}; leave --jobs out"
            )
        home = Path(os.path.abspath(store)) / JOBS
        home = home if _is_usable(_no_link(home)) else home.with_name(f"{JOBS}-{_user()}")
        return _no_link(home)
    name = str(store).partition("://")[2].replace("/", "+")
    return Path(os.path.abspath(jobs or JOBS_HERE)) / name


def latest_job(store: Location, jobs: Path | None = None) -> Path | None:
    """Return the newest complete job folder of a store, see :func:`jobs_home`; None: none."""
    return next(iter(job_folders(store, jobs)), None)


def job_folders(store: Location, jobs: Path | None = None) -> list[Path]:
    """Return the complete job folders of a store, the newest first, see :func:`jobs_home`."""
    found = filter(_is_no_link, filter(_is_numbered, jobs_home(store, jobs).glob("[0-9]*")))
    complete = (path for path in found if os.path.lexists(path / "job.json"))
    return sorted(complete, key=lambda path: int(path.name), reverse=True)


def _is_numbered(path: Path) -> bool:
    """Return whether a folder's name is a number, and not one that nobody counted up to."""
    return path.name.isdecimal() and len(path.name) < 10


def _is_no_link(path: Path) -> bool:
    return not path.is_symlink()


def _no_link(home: Path) -> Path:
    """Return the folder; raise an error if it is a link."""
    if home.is_symlink():
        raise StoreError(
            f"{home} is a link, through which jobs would be written elsewhere; remove it, or put a "
            "copy of what it leads to in its place"
        )
    return home


def _is_usable(home: Path) -> bool:
    """Return whether this user may look into a folder, or it does not exist."""
    return not home.is_dir() or os.access(home, os.R_OK | os.X_OK)


def _user() -> str:
    """Return the number of this user; Windows has none."""
    return str(os.getuid()) if hasattr(os, "getuid") else "own"


def short(path: Location) -> Location:
    """Shorten a path for people: relative to the current folder if the path is inside that."""
    if not isinstance(path, Path):
        return path
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


def script_path(path: Path) -> str:
    """Return the text of a path that goes into a script of a scheduler, not yet quoted.

    Raises:
        OptionError: the path holds a line feed or another control character, with which a script
            would have lines that nobody wrote.
    """
    text = str(path)
    if not text.isprintable():
        raise OptionError(
            f"{text!r} holds control characters or bytes that are no text, and cannot stand in the "
            "script of a job; rename the folder, or choose another --out"
        )
    return text


def typed(path: Location) -> str:
    """Return a path as one word of a shell command: shortened, and quoted if necessary."""
    return shlex.quote(str(short(path)))


def next_folder(home: Path) -> Path:
    """Create the job folder with the next free number; several processes may do so at once."""
    number = max((int(p.name) for p in home.iterdir() if _is_numbered(p)), default=0)
    while True:
        number += 1
        try:
            (home / f"{number:04}").mkdir()
        except FileExistsError:
            continue  # another process created it first
        return home / f"{number:04}"
