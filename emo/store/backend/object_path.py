"""Names of objects in a bucket, with as much of :class:`pathlib.Path` as stores have use for.

An object store has no folders: what lies below ``s3://bucket/features/`` is listed as if it were
in one. Nothing needs to be made for it, and nothing stays of it when the last object is gone.
"""

import errno
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from emo.errors import StoreError

if TYPE_CHECKING:
    from emo.store.backend.bucket import Bucket
from emo.store.backend.object_facts import ObjectFacts

SCHEMES = ("s3", "gs", "az")
_URL = re.compile(rf"({'|'.join(SCHEMES)})://([^/]+)(?:/(.*))?", re.DOTALL)


@dataclass(frozen=True, order=True)
class ObjectPath:
    """An object of a bucket, or all objects below a name; comparable, picklable, not yet asked."""

    root: str
    """Scheme and bucket, ``s3://bucket``."""
    key: str
    """Below the bucket, no slash at either end; empty: the bucket."""

    @classmethod
    def parse(cls, url: str) -> "ObjectPath | None":
        """``s3://bucket/features/`` as a path; None: not the URL of an object store.

        >>> str(ObjectPath.parse("s3://bucket/features/") / "classic")
        's3://bucket/features/classic'
        """
        found = _URL.fullmatch(url)
        if not found:
            return None
        scheme, name, key = found.groups()
        return cls(f"{scheme}://{name}", "/".join(filter(None, (key or "").split("/"))))

    def __str__(self) -> str:
        return f"{self.root}/{self.key}" if self.key else self.root

    def __truediv__(self, name: str) -> "ObjectPath":
        return ObjectPath(self.root, f"{self.key}/{name}" if self.key else name)

    @property
    def name(self) -> str:
        """After the last slash."""
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> "ObjectPath":
        """Before the last slash; the bucket's is itself."""
        return ObjectPath(self.root, self.key.rpartition("/")[0])

    def with_name(self, name: str) -> "ObjectPath":
        """Its neighbour of that name."""
        return self.parent / name

    def absolute(self) -> "ObjectPath":
        """Itself."""
        return self

    @property
    def bucket(self) -> "Bucket":
        """Where requests go.

        Raises:
            StoreError: the library for object stores is missing, or its settings are wrong.
        """
        try:
            from emo.store.backend.bucket import (
                bucket,  # only who has a store in a bucket needs obstore
            )
        except ImportError as error:
            raise StoreError(
                f"{self}: stores on an object store need obstore, which is not installed: "
                "pip install 'emo-pipeline[s3]'"
            ) from error
        return bucket(self.root)

    def iterdir(self) -> Iterator["ObjectPath"]:
        """Objects and folders directly below."""
        folders, files = self.bucket.listed(self.key)
        yield from (self / name for name in (*folders, *files))

    def file_names(self) -> list[str]:
        """Objects directly below."""
        return list(self.bucket.listed(self.key)[1])

    def stat(self) -> ObjectFacts:
        """What the last listing said of the object, or else the server says now.

        Raises:
            FileNotFoundError: there is none.
        """
        return self.bucket.facts(self.key)

    def is_file(self) -> bool:
        """Whether there is such an object."""
        try:
            return bool(self.bucket.facts(self.key, is_known=False))
        except FileNotFoundError:
            return False

    def is_dir(self) -> bool:
        """Whether anything lies below."""
        return any(map(bool, self.bucket.listed(self.key)))

    def exists(self) -> bool:
        """Whether there is such an object or anything below."""
        return self.is_file() or self.is_dir()

    def read_bytes(self) -> bytes:
        """The whole object.

        Raises:
            FileNotFoundError: there is none.
        """
        return self.bucket.read(self.key)

    def commit(self, name: str, write: Callable[[BinaryIO], None]) -> bool:
        """Put what ``write`` writes below under ``name`` by one request, if the name is free.

        Returns:
            False when it was taken.

        Raises:
            StoreError: the server refuses it, or would have overwritten it.
        """
        file = BytesIO()
        write(file)
        return self.bucket.put((self / name).key, file.getbuffer())

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete the object.

        Raises:
            FileNotFoundError: there is none, and that is not ``missing_ok``.
        """
        if not missing_ok and not self.is_file():
            raise FileNotFoundError(errno.ENOENT, "no such object", str(self))
        self.bucket.delete(self.key)

    def rename(self, target: "ObjectPath") -> "ObjectPath":
        """Copy the object to another name, then delete it."""
        self.bucket.copy(self.key, target.key)
        self.bucket.delete(self.key)
        return target

    def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing is to be made; the server is asked, so that a wrong bucket is found out now."""
        self.bucket.listed(self.key)

    def rmdir(self) -> None:
        """Nothing is to be removed."""
