"""Runs in buckets: fetched into the cache of this machine to be read, uploaded after a fit.

``run.json`` is uploaded last and removed first, so that a run is whole where it has one.
"""

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from emo.errors import FitError, StoreError
from emo.heads.runs.files import COPIES, RUN_FILE
from emo.heads.runs.test_ledger import LEDGER
from emo.store.backend.atomic import appearing
from emo.store.backend.cache_folder import RUNS, cache_folder
from emo.store.backend.commit import TEMPORARY, is_abandoned
from emo.store.backend.location import location
from emo.store.backend.object_facts import ObjectFacts
from emo.store.backend.object_path import SCHEMES, ObjectPath
from emo.store.backend.parallel import at_once

MOST_RUN_FILES = 10_000
"""Most files of a run, or of a folder of runs, that are fetched."""
MOST_RUN_BYTES = 2**34
"""Most bytes that are fetched for a run or a folder of runs, 16 GiB."""
KEPT_RUNS = 64
"""Runs that the cache keeps; those fetched first go first."""
_SHORTENED = re.compile(rf"({'|'.join(SCHEMES)}):/(?!/)")
"""Start of a URL that has lost a slash because it was a ``Path``."""
_OWN = re.compile(r"(predictions|confusion|numbers)(-.*)?\.(csv|png)|curves\.png|.*\.safetensors")
_OWN_NAMES = {"clips.csv", "history.csv", "search.csv"}


def far_run(path: Path | str | ObjectPath) -> ObjectPath | None:
    """Return the place of a run in a bucket; None: the path is local.

    >>> str(far_run(Path("s3://bucket/runs/first")))
    's3://bucket/runs/first'
    """
    if isinstance(path, ObjectPath):
        return path
    return ObjectPath.parse(_SHORTENED.sub(r"\1://", str(path)))


def near_run(path: Path | str | ObjectPath) -> Path:
    """Return a run's folder on this machine: the path itself, or a copy of what a bucket has.

    Args:
        path: folder of a run or of several, or the URL of one in a bucket.

    Raises:
        FitError: there is no run, or it is too large or was replaced while it was read.
        StoreError: the object store does not answer, or the URL is none of a bucket.
    """
    far = far_run(path)
    if far is None:
        near = location(str(path))  # refuses other URLs
        assert isinstance(near, Path)
        return near
    found = _listed(far)
    state = "\n".join(f"{name} {each.st_size} {each.etag}" for name, each in found.items())
    versions = cache_folder() / RUNS / hashlib.sha256(str(far).encode()).hexdigest()[:32]
    version = versions / hashlib.sha256(state.encode()).hexdigest()[:32]
    if not version.exists():
        try:
            with appearing(version) as folder:
                _fetch(far, found, folder / (far.name or "run"))
        except StoreError:
            if not version.exists():  # another process was first
                raise
        _remove_earlier(version)
        _make_room(versions.parent)
    copy = version / (far.name or "run")
    COPIES[copy] = str(far)
    return copy


def _listed(far: ObjectPath) -> dict[str, ObjectFacts]:
    """Return the files of a run, or of a folder of runs: name below it -> facts.

    Raises:
        FitError: no run is there, there is too much, or a name leads elsewhere.
    """
    found: dict[str, ObjectFacts] = {}
    size = 0
    for key, facts in far.bucket.walk(far.key):
        name = key[len(far.key) + 1 :] if far.key else key
        if not name or name.endswith("/") or name.startswith(LEDGER):
            continue
        found[name] = facts
        size += facts.st_size
        if len(found) > MOST_RUN_FILES or size > MOST_RUN_BYTES:
            raise FitError(
                f"{far}: more than {MOST_RUN_FILES:,} files or {MOST_RUN_BYTES / 2**30:.0f} GiB "
                "lie there; name the run itself"
            )
        if set(name.split("/")) & {"", ".", ".."} or not name.isprintable() or "\\" in name:
            raise FitError(f"{far}: {name!r} is no name of a file of a run")
    if not any(PurePosixPath(name).name == RUN_FILE for name in found):
        raise FitError(f"{far} is no run folder (no {RUN_FILE}); emo fit-head --out makes one")
    return dict(sorted(found.items()))


def _fetch(far: ObjectPath, found: dict[str, ObjectFacts], folder: Path) -> None:
    """Copy the files of a run into a folder.

    Raises:
        FitError: a file was replaced meanwhile.
    """

    def fetch(name: str) -> None:
        path, facts = folder / name, found[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        key = f"{far.key}/{name}" if far.key else name
        data = far.bucket.read_range(key, 0, facts.st_size, facts) if facts.st_size else b""
        path.write_bytes(data)
        os.utime(path, ns=(facts.st_mtime_ns, facts.st_mtime_ns))

    try:
        at_once(True, fetch, list(found))
    except FileNotFoundError as error:
        raise FitError(f"{far}: the run was replaced while it was read; try again") from error


def _remove_earlier(version: Path) -> None:
    """Remove copies of earlier versions of a run, but none that another process is fetching."""
    with contextlib.suppress(OSError):
        for each in version.parent.iterdir():
            is_begun = each.name.startswith(TEMPORARY) and not is_abandoned(each)
            if each.name != version.name and not is_begun:
                shutil.rmtree(each, ignore_errors=True)


def _make_room(runs: Path) -> None:
    """Remove the copies that were fetched first, above the number that is kept."""
    with contextlib.suppress(OSError):
        folders = sorted(runs.iterdir(), key=lambda path: path.stat().st_mtime)
        for folder in folders[:-KEPT_RUNS]:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def uploaded(out: ObjectPath, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a folder's path on this machine for a run, and upload it when the block succeeds.

    The ledger of test scorings beside the runs is there in the block, and what is appended to it is
    kept, also if the block fails: test was scored then.

    Args:
        out: where the run will be.
        overwrite: whether it may replace a run.

    Raises:
        FitError: there is a run already.
        StoreError: the object store refuses.
    """
    if not out.key:
        raise FitError(f"{out}: expected a name for the run behind the bucket")
    if not overwrite and (out / RUN_FILE).is_file():
        raise FitError(f"{out} holds a run; --overwrite replaces it, or choose another --out")
    with tempfile.TemporaryDirectory(prefix="emo-run-") as home:
        local, ledger = Path(home, out.name), Path(home, LEDGER)
        before = _read_ledger(out.parent / LEDGER)
        ledger.write_bytes(before)
        try:
            yield local
        finally:
            if new := ledger.read_bytes()[len(before) :]:
                _append_ledger(out.parent / LEDGER, new)
        if (local / RUN_FILE).is_file():
            _upload(local, out)


def _upload(local: Path, out: ObjectPath) -> None:
    """Upload the files of a run, ``run.json`` last; those of an earlier run are removed before."""
    (out / RUN_FILE).unlink(missing_ok=True)
    for name in out.file_names():
        if name in _OWN_NAMES or _OWN.fullmatch(name):
            (out / name).unlink(missing_ok=True)

    def upload(path: Path) -> None:
        target = out
        for word in path.relative_to(local).parts:
            target = target / word
        with path.open("rb") as file:
            target.bucket.upload(target.key, file)

    files = sorted(path for path in local.rglob("*") if path.is_file())
    at_once(True, upload, [path for path in files if path != local / RUN_FILE])
    if not out.commit(RUN_FILE, lambda file: _put(file, (local / RUN_FILE).read_bytes())):
        raise FitError(f"{out}: another fit wrote a run there meanwhile; fit again, elsewhere")


def _read_ledger(ledger: ObjectPath) -> bytes:
    """Return the lines of a ledger, which are numbered objects in a bucket."""
    names = sorted(ledger.file_names())
    return b"".join(at_once(True, lambda name: (ledger / name).read_bytes(), names))


def _append_ledger(ledger: ObjectPath, lines: bytes) -> None:
    """Add an object to a ledger, beside other processes that do so."""
    number = len(ledger.file_names())
    while not ledger.commit(f"{number:06}.jsonl", lambda file: _put(file, lines)):
        number += 1


def _put(file: BinaryIO, data: bytes) -> None:
    file.write(data)
