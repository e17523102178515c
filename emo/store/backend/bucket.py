"""Requests to one bucket of an object store: S3 and what speaks like it, Google's, Azure's.

Only single requests whose effect is whole or none: one PUT an object, never an upload in pieces.
"""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from emo.errors import StoreError
from emo.store.backend.connect import QUICK, SLOW, connected
from emo.store.backend.errors import KEPT, no_conditions, refusal
from emo.store.backend.object_facts import ObjectFacts
from emo.store.recipe import RECIPE_FILE

TRIES = 5
"""Of a PUT that is refused although nothing is there."""


class Bucket:
    """A bucket, which threads may share."""

    def __init__(self, root: str) -> None:
        """Connect to ``s3://bucket``; nothing is sent yet.

        Raises:
            StoreError: the settings make no connection.
        """
        self.root = root
        self._quick, self._slow = connected(root, QUICK), connected(root, SLOW)
        self._known: dict[str, ObjectFacts] = {}
        self._is_proved = False

    def listed(self, folder: str) -> tuple[list[str], list[str]]:
        """Names of folders and of objects directly below ``folder``, sorted."""
        with self._told(folder):
            found = obstore.list_with_delimiter(self._quick, folder or None)
        skipped = len(folder) + 1 if folder else 0
        names = []
        for each in found["objects"]:
            self._known[each["path"]] = _facts(each)
            if name := each["path"][skipped:]:  # some tools make an empty object for a folder
                names.append(name)
        return sorted(path[skipped:] for path in found["common_prefixes"]), sorted(names)

    def facts(self, key: str, *, is_known: bool = True) -> ObjectFacts:
        """What is known of an object; by a listing before, if that ``is_known`` to be enough.

        Raises:
            FileNotFoundError: there is none.
        """
        found = self._known.get(key) if is_known else None
        if found is None:
            with self._told(key):
                found = self._known[key] = _facts(obstore.head(self._quick, key))
        return found

    def read(self, key: str) -> bytes:
        """A whole object.

        Raises:
            FileNotFoundError: there is none.
        """
        return self._get(key, {})

    def read_range(self, key: str, start: int, stop: int, facts: ObjectFacts) -> bytes:
        """The bytes of an object from ``start`` to before ``stop``.

        Raises:
            FileNotFoundError: it is gone, or was replaced since ``facts`` were told.
        """
        options = {"range": (start, stop)} | ({"if_match": facts.etag} if facts.etag else {})
        return self._get(key, options)

    def put(self, key: str, data: memoryview) -> bool:
        """Make an object of ``data`` unless there is one; returns whether there was none.

        Raises:
            StoreError: the server refuses it, or does not hold to the condition.
        """
        if not self._is_proved:
            self._prove(f"{key.rpartition('/')[0]}/{RECIPE_FILE}")
        is_first = self._put(key, data)
        if is_first and not self._is_proved and self._put(key, data):
            raise no_conditions(self.root)
        self._is_proved = True
        return is_first

    def copy(self, key: str, to: str) -> None:
        """Copy an object inside the bucket."""
        with self._told(key):
            obstore.copy(self._slow, key, to)

    def delete(self, key: str) -> None:
        """Delete an object; that there is none is no error."""
        with self._told(key):
            obstore.delete(self._quick, key)
        self._known.pop(key, None)

    def _prove(self, key: str) -> None:
        """Put an object that is there over itself, which must be refused before a part is risked.

        A server that knows no conditions would replace the part of whoever was first by that of
        whoever was second.
        """
        try:
            data = self.read(key)
        except FileNotFoundError:
            return
        if self._put(key, memoryview(data)):
            raise no_conditions(self.root)
        self._is_proved = True

    def _put(self, key: str, data: memoryview) -> bool:
        self._known.pop(key, None)
        for _ in range(TRIES):
            with self._told(key):
                try:
                    obstore.put(self._slow, key, data, mode="create", use_multipart=False)
                    return True
                except AlreadyExistsError:
                    pass
            # two requests at a time may be told of a conflict, after which nothing need be there
            with suppress(FileNotFoundError):
                return not self.facts(key, is_known=False)
            time.sleep(0.1)
        raise StoreError(f"{self.root}/{key}: refused {TRIES} times as if it were there; {KEPT}")

    def _get(self, key: str, options: Any) -> bytes:
        with self._told(key):
            try:
                return obstore.get(self._quick, key, options=options).bytes().to_bytes()
            except PreconditionError:
                self._known.pop(key, None)
                what = "it was replaced meanwhile"
                raise FileNotFoundError(errno.ESTALE, what, f"{self.root}/{key}") from None

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """Whatever the library raises as a line for people; what is not there as by a file."""
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
    """The bucket ``s3://bucket``; one connection a process, also after a fork."""
    return _bucket(root, os.getpid())


@lru_cache
def _bucket(root: str, _pid: int) -> Bucket:
    return Bucket(root)


def forget_connections() -> None:
    """Look at the environment anew."""
    _bucket.cache_clear()


def _facts(meta: Any) -> ObjectFacts:
    seconds = meta["last_modified"].timestamp()
    return ObjectFacts(meta["size"], int(seconds * 10**9), meta["e_tag"] or "")
