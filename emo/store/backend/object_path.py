"""Paths of objects in a bucket, with those methods of :class:`pathlib.Path` that stores use.

An object store has no folders: the objects whose names start with ``features/`` are listed as if
they were in a folder. It need not be made, and it is gone with its last object.
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
from emo.machine.untrusted.addresses import check_no_secrets
from emo.store.backend.object_facts import ObjectFacts

SCHEMES = ("s3", "gs", "az")
_URL = re.compile(rf"({'|'.join(SCHEMES)})://([^/]+)(?:/(.*))?", re.DOTALL)


@dataclass(frozen=True, order=True)
class ObjectPath:
    """Path of an object in a bucket, or of all objects below a name; making it sends no request."""

    root: str
    """Scheme and bucket, such as ``s3://bucket``."""
    key: str
    """Name in the bucket, without a slash at either end; empty: the bucket itself."""

    @classmethod
    def parse(cls, url: str) -> "ObjectPath | None":
        """Parse a URL; return None when it is not the URL of an object store.

        >>> str(ObjectPath.parse("s3://bucket/features/") / "classic")
        's3://bucket/features/classic'

        Raises:
            StoreError: it holds what may be a secret, such as a password or a signed query.
        """
        found = _URL.fullmatch(url)
        if not found:
            return None
        try:
            check_no_secrets(url)
        except ValueError as error:
            raise StoreError(str(error)) from None
        scheme, name, key = found.groups()
        return cls(f"{scheme}://{name}", "/".join(filter(None, (key or "").split("/"))))

    def __str__(self) -> str:
        return f"{self.root}/{self.key}" if self.key else self.root

    def __truediv__(self, name: str) -> "ObjectPath":
        return ObjectPath(self.root, f"{self.key}/{name}" if self.key else name)

    @property
    def name(self) -> str:
        """Last component of the path."""
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> "ObjectPath":
        """Path without its last component; the bucket is its own parent."""
        return ObjectPath(self.root, self.key.rpartition("/")[0])

    def with_name(self, name: str) -> "ObjectPath":
        """Return the path with another last component."""
        return self.parent / name

    def absolute(self) -> "ObjectPath":
        """Return the path itself: object paths are absolute."""
        return self

    @property
    def bucket(self) -> "Bucket":
        """Connection to the bucket.

        Raises:
            StoreError: the library obstore is not installed, or its settings are invalid.
        """
        return self._connection(is_media=False)

    @property
    def media_bucket(self) -> "Bucket":
        """Connection to the bucket for reading media, which gives up sooner.

        Raises:
            StoreError: the library obstore is not installed, or its settings are invalid.
        """
        return self._connection(is_media=True)

    def _connection(self, *, is_media: bool) -> "Bucket":
        try:  # imports obstore, an optional library
            from emo.store.backend.bucket import bucket, media_bucket
        except ImportError as error:
            raise StoreError(
                f"{self}: stores and media in buckets need obstore, which is not installed: "
                "pip install 'emo-pipeline[s3]'"
            ) from error
        return media_bucket(self.root) if is_media else bucket(self.root)

    def iterdir(self) -> Iterator["ObjectPath"]:
        """Iterate over the folders and objects directly below."""
        folders, files = self.bucket.listed(self.key)
        yield from (self / name for name in (*folders, *files))

    def file_names(self) -> list[str]:
        """List the names of the objects directly below."""
        return list(self.bucket.listed(self.key)[1])

    def stat(self) -> ObjectFacts:
        """Return what the last listing said about the object; without one, ask the server.

        Raises:
            FileNotFoundError: there is no such object.
        """
        return self.bucket.facts(self.key)

    def is_file(self) -> bool:
        """Return whether the object exists, by asking the server."""
        try:
            return bool(self.bucket.facts(self.key, is_known=False))
        except FileNotFoundError:
            return False

    def is_dir(self) -> bool:
        """Return whether any object or folder lies below."""
        return any(map(bool, self.bucket.listed(self.key)))

    def exists(self) -> bool:
        """Return whether the object exists or anything lies below."""
        return self.is_file() or self.is_dir()

    def read_bytes(self) -> bytes:
        """Read the whole object.

        Raises:
            FileNotFoundError: there is no such object.
        """
        return self.bucket.read(self.key)

    def write_bytes(self, data: bytes) -> None:
        """Put the object, in place of one that may be there.

        Raises:
            StoreError: the server refuses the request.
        """
        self.bucket.overwrite(self.key, data)

    def commit(self, name: str, write: Callable[[BinaryIO], None]) -> bool:
        """Create the object ``name`` below with one request, unless it exists.

        Args:
            name: last component of the object's path.
            write: writes the content into the file it is given.

        Returns:
            False when the name was taken.

        Raises:
            StoreError: the server refuses the request, or would overwrite an existing object.
        """
        file = BytesIO()
        write(file)
        return self.bucket.put((self / name).key, file.getbuffer())

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete the object.

        Raises:
            FileNotFoundError: there is no such object, and not ``missing_ok``.
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
        """List the bucket, so that a wrong one raises an error now; there is no folder to make."""
        self.bucket.listed(self.key)

    def rmdir(self) -> None:
        """Do nothing: there are no folders to remove."""
