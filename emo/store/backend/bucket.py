"""Requests to one bucket of an object store: S3 and compatible ones, Google's, Azure's.

Each object is written by a single PUT request, not by an upload in pieces, so that it appears
whole or not at all.
"""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, BinaryIO

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from emo.errors import StoreError
from emo.store.backend.connect import (
    QUICK_TIMEOUTS,
    RETRY,
    SLOW_TIMEOUTS,
    connected,
    media_settings,
)
from emo.store.backend.errors import PARTS_ARE_KEPT, no_conditions, refusal
from emo.store.backend.media_timeout import media_timeout
from emo.store.backend.object_facts import ObjectFacts
from emo.store.recipe import RECIPE_FILE

PUT_TRIES = 5
"""Number of times that a PUT is tried when the server refuses it as existing although there is no
object."""


class Bucket:
    """A connection to one bucket; threads may share it."""

    def __init__(self, root: str, *, is_media: bool = False) -> None:
        """Prepare the connection to ``s3://bucket``; no request is sent.

        Args:
            root: the bucket.
            is_media: media are read, where a clip soon fails and the job goes on; False: parts of
                stores, without which it cannot.

        Raises:
            StoreError: the settings in the environment are invalid.
        """
        self.root = root
        media = media_settings(media_timeout())
        self._quick = connected(root, *(media if is_media else (QUICK_TIMEOUTS, RETRY)))
        self._slow = connected(root, SLOW_TIMEOUTS)
        self._known: dict[str, ObjectFacts] = {}
        self._is_checked = False

    def listed(self, folder: str) -> tuple[list[str], list[str]]:
        """List the names of folders and of objects directly below ``folder``, each sorted."""
        with self._as_store_errors(folder):
            found = obstore.list_with_delimiter(self._quick, folder or None)
        skipped = len(folder) + 1 if folder else 0
        names = []
        for each in found["objects"]:
            self._known[each["path"]] = _facts(each)
            if name := each["path"][skipped:]:  # some tools make an empty object for a folder
                names.append(name)
        return sorted(path[skipped:] for path in found["common_prefixes"]), sorted(names)

    def walk(self, prefix: str) -> Iterator[tuple[str, ObjectFacts]]:
        """Yield the names and facts of all objects below a name, 1,000 with each request."""
        with self._as_store_errors(prefix):
            for page in obstore.list(self._quick, prefix or None, chunk_size=1000):
                for each in page:
                    yield each["path"], _facts(each)

    def remember(self, key: str, facts: ObjectFacts) -> None:
        """Keep what a listing said of an object, for :meth:`facts`."""
        self._known[key] = facts

    def known(self, key: str) -> ObjectFacts | None:
        """Return what a listing or request said of an object; None: nothing did."""
        return self._known.get(key)

    def facts(self, key: str, *, is_known: bool = True) -> ObjectFacts:
        """Return size, time and version of an object.

        Args:
            key: name of the object in the bucket.
            is_known: what an earlier listing or request said is enough; False: ask the server.

        Raises:
            FileNotFoundError: there is no such object.
        """
        found = self._known.get(key) if is_known else None
        if found is None:
            with self._as_store_errors(key):
                found = self._known[key] = _facts(obstore.head(self._quick, key))
        return found

    def read(self, key: str) -> bytes:
        """Read a whole object.

        Raises:
            FileNotFoundError: there is no such object.
        """
        return self._get(key, {})

    def read_range(self, key: str, start: int, stop: int, facts: ObjectFacts) -> bytes:
        """Read the bytes of an object from ``start`` to before ``stop``.

        Raises:
            FileNotFoundError: the object is gone, or is not the version that ``facts`` describe.
        """
        options = {"range": (start, stop)} | ({"if_match": facts.etag} if facts.etag else {})
        return self._get(key, options)

    def put(self, key: str, data: memoryview) -> bool:
        """Create an object of ``data`` unless there is one; return whether it was created.

        Raises:
            StoreError: the server refuses the request, or would overwrite an existing object.
        """
        if not self._is_checked:
            self._check_no_overwrite(f"{key.rpartition('/')[0]}/{RECIPE_FILE}")
        is_first = self._put(key, data)
        if is_first and not self._is_checked and self._put(key, data):
            raise no_conditions(self.root)
        self._is_checked = True
        return is_first

    def overwrite(self, key: str, data: bytes) -> None:
        """Put an object whether or not there is one.

        Parts are never replaced, apart from those that `emo store erase` changes.
        """
        self._known.pop(key, None)
        with self._as_store_errors(key):
            obstore.put(self._slow, key, data, use_multipart=False)

    def upload(self, key: str, file: BinaryIO) -> None:
        """Put an object from a file that may be larger than the memory; it appears whole."""
        self._known.pop(key, None)
        with self._as_store_errors(key):
            obstore.put(self._slow, key, file)

    def keeps_versions(self, key: str) -> bool | None:
        """Return whether deleted and replaced objects stay as older versions; None: not known.

        A server that keeps versions names the version of each object; Google names one always.

        Args:
            key: name of an object that is there.

        Raises:
            FileNotFoundError: there is no such object.
        """
        with self._as_store_errors(key):
            version = obstore.head(self._quick, key).get("version")
        if self.root.startswith("gs://"):
            return None
        return version not in (None, "", "null")

    def copy(self, key: str, to: str) -> None:
        """Copy an object to another name in the bucket."""
        with self._as_store_errors(key):
            obstore.copy(self._slow, key, to)

    def delete(self, key: str) -> None:
        """Delete an object, if there is one."""
        with self._as_store_errors(key):
            obstore.delete(self._quick, key)
        self._known.pop(key, None)

    def _check_no_overwrite(self, key: str) -> None:
        """Check that the server refuses to overwrite, by putting an existing object over itself.

        A server that ignores the condition would let a second worker overwrite the part of the
        first one.
        """
        try:
            data = self.read(key)
        except FileNotFoundError:
            return
        if self._put(key, memoryview(data)):
            raise no_conditions(self.root)
        self._is_checked = True

    def _put(self, key: str, data: memoryview) -> bool:
        """Send a PUT on the condition that the name is free; return whether the name was free."""
        self._known.pop(key, None)
        for _ in range(PUT_TRIES):
            with self._as_store_errors(key):
                try:
                    obstore.put(self._slow, key, data, mode="create", use_multipart=False)
                    return True
                except AlreadyExistsError:
                    pass
            # the server may refuse both of two simultaneous requests, and then nothing is there
            with suppress(FileNotFoundError):
                return not self.facts(key, is_known=False)
            time.sleep(0.1)
        raise StoreError(
            f"{self.root}/{key}: the server refused it {PUT_TRIES} times as an existing object, "
            f"but there is none. {PARTS_ARE_KEPT}"
        )

    def _get(self, key: str, options: Any) -> bytes:
        """Send a GET request with obstore's options and return the bytes."""
        with self._as_store_errors(key):
            try:
                return obstore.get(self._quick, key, options=options).bytes().to_bytes()
            except PreconditionError:
                self._known.pop(key, None)
                what = "it was replaced meanwhile"
                raise FileNotFoundError(errno.ESTALE, what, f"{self.root}/{key}") from None

    @contextmanager
    def _as_store_errors(self, key: str) -> Iterator[None]:
        """Turn errors of obstore into StoreError, or FileNotFoundError for a missing object."""
        url = f"{self.root}/{key}"
        try:
            yield
        except FileNotFoundError as error:
            if error.errno is not None:
                raise
            if "NoSuchBucket" in str(error):
                raise refusal(url, self.root, str(error)) from error
            self._known.pop(key, None)
            raise FileNotFoundError(errno.ENOENT, "no such object", url) from error
        except BaseError as error:
            raise refusal(url, self.root, str(error)) from error


def bucket(root: str) -> Bucket:
    """Return the connection to ``s3://bucket``, one for each process, also after a fork."""
    return _bucket(root, os.getpid())


@lru_cache
def _bucket(root: str, _pid: int) -> Bucket:
    return Bucket(root)


def media_bucket(root: str) -> Bucket:
    """Return the connection for reading media from ``s3://bucket``, like :func:`bucket`."""
    return _media_bucket(root, os.getpid(), media_timeout())


@lru_cache
def _media_bucket(root: str, _pid: int, _seconds: float | None) -> Bucket:
    return Bucket(root, is_media=True)


def forget_connections() -> None:
    """Drop all connections, so that the next one reads the environment again."""
    _bucket.cache_clear()
    _media_bucket.cache_clear()


def _facts(meta: Any) -> ObjectFacts:
    """Convert obstore's description of an object."""
    seconds = meta["last_modified"].timestamp()
    return ObjectFacts(meta["size"], int(seconds * 10**9), meta["e_tag"] or "")
