"""The bytes of whole files that are not opened by path, kept for the clips that come next.

A small file is read by one request and kept in memory. A large object of a bucket is read in blocks
when they are needed, each once, into a sparse file of the cache folder. A large file by https is
copied to a temporary file. All of it is bounded: what was used longest ago is dropped.
"""

import mmap
import os
import tempfile
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from threading import Lock, local
from typing import BinaryIO

from emo.errors import EmoError, MediaError, StoreError
from emo.extract.decode.limits import MediaLimits, media_limits, set_limits
from emo.machine.untrusted.addresses import is_url
from emo.machine.untrusted.files import UnfitFileError, open_regular
from emo.store.backend.cache_folder import cache_folder, limit_bytes, writing_cache
from emo.store.backend.cached_part import GET_BYTES, CachedPart
from emo.store.backend.errors import PARTS_ARE_KEPT
from emo.store.backend.https import MOST_DOWNLOAD_SECONDS, allow_hosts, download
from emo.store.backend.object_path import ObjectPath

MOST_IN_MEMORY = 2**25
"""Largest file that is read at once into memory, 32 MiB."""
MEMORY_BYTES = 2**28
"""Bytes of such files that a process keeps, 256 MiB."""
MOST_OPEN = 16
"""Most files that a process keeps open; those in memory do not count."""
FAILURE_SECONDS = 30.0
"""A file that could not be read is not tried again for so long."""


class _Fetched(local):
    """What the calling thread has fetched so far; repeated tries of a request do not count."""

    requests: int = 0
    size_bytes: int = 0
    is_later: bool = False
    """Whether the thread only looks at headers, see :func:`counted_later`."""


_fetched = _Fetched()


@contextmanager
def counted_later() -> Iterator[None]:
    """Count what the block fetches for the thread that uses the file next, which decodes it.

    A job looks at the headers of some clips before it decodes them; the bytes stay in memory.
    """
    before, _fetched.is_later = _fetched.is_later, True
    try:
        yield
    finally:
        _fetched.is_later = before


def fetched() -> tuple[int, int]:
    """Return how many requests for media the calling thread has sent so far, and their bytes."""
    return _fetched.requests, _fetched.size_bytes


class Body(ABC):
    """The bytes of one file; threads may share it."""

    size_bytes: int
    """Size of the file."""
    version: str
    """Text that changes when the file is replaced, as far as it is known."""
    is_in_memory: bool = False
    """Whether the bytes are in memory."""
    members: dict[str, tuple[int, int]] | None = None
    """Members of a tar shard, once they were searched, see :mod:`tar_shard`."""
    notes: tuple[str, ...] = ()
    """What of a tar shard is not read, in sentences, once its members were searched."""
    uncounted: tuple[int, int] = (0, 0)
    """Requests and bytes that no thread has counted yet."""

    def count(self, requests: int = 0, size_bytes: int = 0) -> None:
        """Count requests and bytes, and those left uncounted, for the calling thread."""
        requests, size_bytes = requests + self.uncounted[0], size_bytes + self.uncounted[1]
        self.uncounted = (requests, size_bytes) if _fetched.is_later else (0, 0)
        if not _fetched.is_later:
            _fetched.requests += requests
            _fetched.size_bytes += size_bytes

    @abstractmethod
    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from ``start`` to before ``stop``, fewer at the end of the file.

        Raises:
            MediaError: they cannot be read.
        """

    @abstractmethod
    def whole(self) -> mmap.mmap | bytes:
        """Return all bytes of the file, which is not empty: those in memory, or a map of a file.

        Raises:
            MediaError: they cannot be read.
        """


class _Memory(Body):
    is_in_memory = True

    def __init__(self, data: bytes, version: str) -> None:
        self.size_bytes, self.version, self._data = len(data), version, data

    def read(self, start: int, stop: int) -> bytes:
        return self._data[start:stop]

    def whole(self) -> bytes:
        return self._data


class _File(Body):
    """A local file: a tar shard, or a temporary copy."""

    def __init__(self, file: BinaryIO, version: str) -> None:
        self.size_bytes, self.version = file.seek(0, 2), version
        self._file, self._lock = file, Lock()

    def __del__(self) -> None:
        self._file.close()

    def read(self, start: int, stop: int) -> bytes:
        with self._lock:
            self._file.seek(start)
            return self._file.read(max(0, stop - start))

    def whole(self) -> mmap.mmap:
        return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)


class _Blocks(Body):
    """An object in a bucket, of which blocks are fetched when they are needed."""

    def __init__(self, path: ObjectPath, part: CachedPart, url: str) -> None:
        self.size_bytes, self.version = part.facts.st_size, part.facts.etag
        self._part, self._url, self._lock = part, url, Lock()
        self._fetched: set[int] = set()
        """Numbers of the blocks that this process fetched; others may be holes in the file."""
        self._map = part.map()

    def read(self, start: int, stop: int) -> bytes:
        stop = min(stop, self.size_bytes)
        if stop <= start:
            return b""
        self._fetch(start, stop)
        return self._map[start:stop]

    def whole(self) -> mmap.mmap:
        self._fetch(0, self.size_bytes)
        return self._map

    def _fetch(self, start: int, stop: int) -> None:
        """Fetch the blocks of a range that were not fetched yet."""
        blocks = range(start // GET_BYTES, -(-stop // GET_BYTES))
        with self._lock:  # a second reader of a block waits for it
            lacking = [number for number in blocks if number not in self._fetched]
            if lacking:
                ends = [
                    (number * GET_BYTES, min((number + 1) * GET_BYTES, self.size_bytes))
                    for number in lacking
                ]
                with as_media_errors(self._url):
                    self._part.fetch(ends)
                self.count(len(ends), sum(stop - start for start, stop in ends))
                self._fetched.update(lacking)


class _Kept:
    """The bodies of this process that were used last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._bodies: OrderedDict[str, Body] = OrderedDict()
        self._opening: dict[str, Lock] = {}
        self._failures: OrderedDict[str, tuple[float, MediaError]] = OrderedDict()
        """When and why a file could not be read: pictures and sound of a clip ask for it, but only
        the first of them waits for all tries."""

    def get(self, file: str, most_bytes: float | None) -> Body:
        key = f"{file} {_version(file)}"
        with self._lock:
            opening = self._opening.setdefault(key, Lock())
        with opening:  # two threads do not fetch one file at the same time
            with self._lock:
                if key in self._bodies:
                    self._bodies.move_to_end(key)
                    self._bodies[key].count()
                    return self._bodies[key]
                when, failure = self._failures.get(key, (-FAILURE_SECONDS, None))
            if failure is not None and time.monotonic() - when < FAILURE_SECONDS:
                raise MediaError(str(failure))
            try:
                body = _opened(file, most_bytes)
            except MediaError as error:
                with self._lock:
                    self._failures[key] = time.monotonic(), error
                    while len(self._failures) > MOST_OPEN:
                        self._failures.popitem(last=False)
                raise
            finally:
                with self._lock:
                    self._opening.pop(key, None)
            with self._lock:
                self._bodies[key] = body
                self._drop_oldest()
            return body

    def _drop_oldest(self) -> None:
        for is_in_memory, limit in ((True, MEMORY_BYTES), (False, MOST_OPEN)):
            sizes = {
                file: body.size_bytes if is_in_memory else 1
                for file, body in self._bodies.items()
                if body.is_in_memory == is_in_memory
            }
            total = sum(sizes.values())
            for file in list(sizes)[:-1]:
                if total > limit:
                    del self._bodies[file]
                    total -= sizes[file]

    def forget_unversioned(self) -> None:
        with self._lock:
            self._failures.clear()
            for key in [key for key in self._bodies if key.startswith("https:")]:
                del self._bodies[key]


@lru_cache(maxsize=1)
def _kept(_pid: int) -> _Kept:
    return _Kept()


def body_of(file: str, *, is_shard: bool = False) -> Body:
    """Return the bytes of a file, opened now or kept from an earlier clip.

    Args:
        file: URL, or absolute path.
        is_shard: whether it is a tar shard, whose size ``--max-bytes`` does not limit.

    Raises:
        MediaError: the file cannot be read.
    """
    most = None if is_shard else media_limits().file_bytes
    return _kept(os.getpid()).get(file, most)  # a forked process has its own


def begin_job(hosts: Iterable[str], limits: MediaLimits) -> None:
    """Allow the hosts of a job, and read anew what failed or came by https, without a version.

    Args:
        hosts: hosts from which media may be read by https.
        limits: limits of its media.
    """
    allow_hosts(hosts)
    set_limits(limits)
    _kept(os.getpid()).forget_unversioned()


@contextmanager
def as_media_errors(url: str) -> Iterator[None]:
    """Turn errors of an object store or of the cache folder into MediaErrors.

    Raises:
        MediaError: the block raised a StoreError or an OSError.
    """
    began, most = time.monotonic(), media_limits().fetch_seconds
    try:
        yield
    except FileNotFoundError as error:
        if error.strerror and "replaced" in error.strerror:
            raise MediaError(
                f"{url}: the object was replaced since the job was planned; run the same command "
                "again"
            ) from error
        raise MediaError(f"no such object: {url}") from error
    except StoreError as error:
        if most is not None and time.monotonic() - began >= most:
            raise MediaError(f"{url}: not read within {most:g} s (--timeout)") from error
        raise MediaError(str(error).replace(f" {PARTS_ARE_KEPT}", "")) from error
    except OSError as error:
        raise MediaError(f"{url}: cannot be read: {error.strerror or error}") from error


def _version(file: str) -> str:
    """Return what tells one version of a file from another, without a request if it is known."""
    if not is_url(file):
        try:
            return str(os.stat(file).st_mtime_ns)
        except (OSError, ValueError):
            return ""
    path = ObjectPath.parse(file)
    if path is None:
        return ""
    with as_media_errors(file):
        return path.media_bucket.facts(path.key).etag


def _opened(file: str, most_bytes: float | None) -> Body:
    if not is_url(file):
        return _shard_file(file)
    return (_by_https if file.startswith("https:") else _object)(file, most_bytes)


def _shard_file(file: str) -> Body:
    """Open a local tar shard."""
    try:
        handle, size = open_regular(file, follow_links=True)
    except FileNotFoundError as error:
        raise MediaError(f"no such file: {file}") from error
    except UnfitFileError as error:
        raise MediaError(f"{file}: {error}") from error
    except OSError as error:
        raise MediaError(f"{file}: cannot be read: {error.strerror}") from error
    return _File(os.fdopen(handle, "rb"), f"{size} {os.fstat(handle).st_mtime_ns}")


def _object(url: str, most_bytes: float | None) -> Body:
    """Open an object of a bucket: a small one by one request, a large one in blocks."""
    path = ObjectPath.parse(url)
    assert path is not None
    with as_media_errors(url):
        bucket = path.media_bucket
        facts = bucket.facts(path.key)
        if facts.st_size < 0:  # the listing did not have it when the job was planned
            raise FileNotFoundError(2, "no such object", url)
        if most_bytes is not None:
            media_limits().check_bytes(url, facts.st_size)
        if facts.st_size > MOST_IN_MEMORY:
            return _Blocks(path, CachedPart(path, facts, bucket), url)
        size = facts.st_size
        data = bucket.read_range(path.key, 0, size, facts) if size else b""
        body = _Memory(data, facts.etag)
        body.count(1, size)
        return body


def _by_https(url: str, most_bytes: float | None) -> Body:
    """Read a file by https into memory, or into a temporary file if it is large."""
    folder = cache_folder()
    with ExitStack() as unless_kept:
        try:
            with writing_cache(folder):
                folder.mkdir(parents=True, exist_ok=True)
                spooled = tempfile.SpooledTemporaryFile(  # noqa: SIM115
                    MOST_IN_MEMORY, "w+b", dir=str(folder), prefix="media-"
                )
                file: BinaryIO = unless_kept.enter_context(spooled)  # type: ignore[assignment]
                most = limit_bytes() // 4 if most_bytes is None else int(most_bytes)
                seconds = media_limits().fetch_seconds or MOST_DOWNLOAD_SECONDS
                download(url, file, most, most_seconds=seconds)
        except EmoError as error:
            raise MediaError(str(error)) from error
        body: Body
        if (size := file.tell()) > MOST_IN_MEMORY:
            unless_kept.pop_all()
            body = _File(file, "")  # the temporary file has no name, and is gone with the process
        else:
            file.seek(0)
            body = _Memory(file.read(), "")
        body.count(1, size)
        return body
