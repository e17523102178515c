"""Where job folders lie: in their store, and those of a store in a bucket in a local folder.

Journals and logs grow line by line, which no object in a bucket can.
"""

import os
import shlex
from pathlib import Path

from emo.errors import OptionError
from emo.store.backend.location import Location

JOBS = ".jobs"
"""The folder in a store that holds its job folders."""
JOBS_HERE = "emo-jobs"
"""The folder in the current one that holds those of stores in buckets."""


def jobs_home(store: Location, jobs: Path | None = None) -> Path:
    """The folder of a store's job folders: in the store, or for one in a bucket below ``jobs``.

    Args:
        store: whose.
        jobs: None: ``emo-jobs`` in the current folder.

    Raises:
        OptionError: ``jobs`` is named for a local store.
    """
    if isinstance(store, Path):
        if jobs is not None:
            raise OptionError(f"--jobs: those of a local store lie in {store / JOBS}; leave it out")
        return Path(os.path.abspath(store)) / JOBS
    name = str(store).partition("://")[2].replace("/", "+")
    return Path(os.path.abspath(jobs or JOBS_HERE)) / name


def latest_job(store: Location, jobs: Path | None = None) -> Path | None:
    """The newest whole job folder of a store; see :func:`jobs_home`."""
    found = [file.parent for file in jobs_home(store, jobs).glob("[0-9]*/job.json")]
    return max((p for p in found if p.name.isdigit()), key=lambda p: int(p.name), default=None)


def short(path: Location) -> Location:
    """As a person here would write it: relative to the current folder when it lies below."""
    if not isinstance(path, Path):
        return path
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


def typed(path: Location) -> str:
    """The same as one word of a command, quoted where a shell needs it."""
    return shlex.quote(str(short(path)))


def next_folder(home: Path) -> Path:
    """Make the next job folder; several planners may do so at once."""
    number = max((int(p.name) for p in home.iterdir() if p.name.isdigit()), default=0)
    while True:
        number += 1
        try:
            (home / f"{number:04}").mkdir()
        except FileExistsError:
            continue  # another planner was quicker
        return home / f"{number:04}"
