"""Paths of job folders: in their store, or where ``--jobs`` says if the store is in a bucket."""

import os
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from emo.errors import OptionError, StoreError
from emo.extract.job.files.files_of import files_of
from emo.store.backend.location import Location
from emo.store.backend.object_path import ObjectPath

JOBS = ".jobs"
"""Folder in a store that contains its job folders."""
JOBS_HERE = "emo-jobs"
"""Folder in the current one that contains the job folders of stores in buckets whose workers read
them from a disk, such as those of Slurm."""
JOB_FILE = "job.json"
"""File of a job folder that is written last."""
NOT_SUBMITTED = "not-submitted"
"""File of a job folder that nobody has submitted: of a dry run, or refused by a scheduler."""


def jobs_home(
    store: Location, jobs: Location | None = None, *, is_on_disk: bool = False
) -> Location:
    """Return the folder that contains a store's job folders; the folder may not exist.

    It is another one, of this user alone, where another user's cannot be read.

    Args:
        store: the store.
        jobs: folder for the job folders of stores in buckets; None: in the store.
        is_on_disk: whether the job folder of a store in a bucket must lie on a disk; then None
            means ``emo-jobs`` in the current folder.

    Raises:
        OptionError: ``jobs`` is given for a local store, or is no disk where one is needed.
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
    if isinstance(jobs, ObjectPath):
        if is_on_disk:
            raise OptionError(
                f"--jobs {jobs}: the workers of this executor read the job from a disk that all of "
                "them see; give a folder there"
            )
        return jobs / name
    if jobs is None and not is_on_disk:
        return store / JOBS
    return Path(os.path.abspath(jobs or JOBS_HERE)) / name


def latest_job(store: Location, jobs: Location | None = None) -> Location | None:
    """Return the newest complete job folder of a store, see :func:`job_folders`; None: none."""
    return next(job_folders(store, jobs), None)


def mark_not_submitted(folder: Location) -> None:
    """Note that a job waits for somebody to submit it, see :data:`NOT_SUBMITTED`."""
    files_of(folder).write(NOT_SUBMITTED, b"")


def mark_submitted(folder: Location) -> None:
    """Note that a job was submitted or that a worker has begun it."""
    with suppress(
        OSError, StoreError
    ):  # a folder that cannot be written; only the order of jobs depends on it
        (folder / NOT_SUBMITTED).unlink(missing_ok=True)


def is_submitted(folder: Location) -> bool:
    """Return whether a job was begun or handed to a scheduler."""
    return not (folder / NOT_SUBMITTED).exists()


def job_folders(store: Location, jobs: Location | None = None) -> Iterator[Location]:
    """Yield the complete job folders of a store, the newest first.

    Jobs that nobody has submitted come last: a dry run never hides the job that runs.

    Of a store in a bucket they may lie in the store and in ``emo-jobs`` of the current folder;
    those of the place with the newest one come first.

    Args:
        store: the store.
        jobs: folder of the job folders; None: see :func:`jobs_home`.
    """
    waiting: list[Location] = []
    for path in _all_job_folders(store, jobs):
        if is_submitted(path):
            yield path
        else:
            waiting.append(path)
    yield from waiting


def _all_job_folders(store: Location, jobs: Location | None) -> Iterator[Location]:
    """Yield the complete job folders of a store, submitted or not, the newest first."""
    found = _complete(jobs_home(store, jobs))
    here = jobs_home(store, is_on_disk=True) if jobs is None else None
    if isinstance(store, Path) or here is None or not here.exists():
        yield from found
        return
    far, near = next(found, None), _complete(here)
    first = next(near, None)
    if far is None or (first is not None and _written(first) > _written(far)):
        yield from ([first] if first else [])
        yield from near
        yield from ([far] if far else [])
        yield from found
    else:
        yield far
        yield from found
        yield from ([first] if first else [])
        yield from near


def _complete(home: Location) -> Iterator[Location]:
    """Yield the complete job folders in a folder, the newest first."""
    if isinstance(home, ObjectPath):
        folders = [home / name for name in home.bucket.listed(home.key)[0]]
        found: list[Location] = [path for path in folders if _is_numbered(path)]
    else:
        found = [path for path in home.glob("[0-9]*") if _is_numbered(path) and _is_no_link(path)]
    for path in sorted(found, key=lambda path: int(path.name), reverse=True):
        if has_job(path):
            yield path


def has_job(path: Location) -> bool:
    """Return whether a folder holds a job, whole or damaged."""
    file = path / JOB_FILE
    return file.is_file() if isinstance(file, ObjectPath) else os.path.lexists(file)


def _written(path: Location) -> int:
    return (path / JOB_FILE).stat().st_mtime_ns


def _is_numbered(path: Location) -> bool:
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


def script_path(path: Location) -> str:
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


def next_folder(home: Location) -> Location:
    """Create the job folder with the next free number; several processes may do so at once.

    In a bucket there are no folders: an object ``begun`` takes the number.
    """
    if isinstance(home, ObjectPath):
        taken: list[Location] = [home / name for name in home.bucket.listed(home.key)[0]]
    else:
        taken = list(home.iterdir())
    number = max((int(path.name) for path in taken if _is_numbered(path)), default=0)
    while True:
        number += 1
        path = home / f"{number:04}"
        if isinstance(path, ObjectPath):
            if files_of(home).claim(f"{path.name}/begun", 0, b"{}"):
                return path
            continue
        try:
            path.mkdir()
        except FileExistsError:
            continue  # another process created it first
        return path
