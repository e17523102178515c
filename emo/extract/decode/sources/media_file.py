"""A media file that is no local file, with those methods of :class:`pathlib.Path` that are used.

Make media files with :func:`located` only: it returns a ``Path`` where there is a local file.
"""

import io
import mmap
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from emo.errors import MediaError
from emo.extract.decode.sources.bodies import Body, body_of
from emo.extract.decode.sources.object_listing import known_facts
from emo.extract.decode.sources.tar_shard import is_member_at, members_of
from emo.machine.untrusted.addresses import Address, is_url, parse_address, without_offset

_BUFFER_BYTES = 2**18
"""Bytes that one read fetches at least from a file that is not in memory."""
_OLD_POSITION = (
    "the manifest has at {}; the shard was written again since: run `emo manifest tar` again, and "
    "extract with --retry-failed"
)
"""End of an error message about a member that is not where the manifest says, and what to do."""


class FileFacts(NamedTuple):
    """Facts of a media file, named like those of ``os.stat``."""

    st_size: int
    """Size in bytes."""
    st_mtime_ns: int
    """A number that changes with the file's version."""


@dataclass(frozen=True)
class FarFile:
    """A media file in a bucket, at an https URL, or in a tar shard."""

    address: Address
    """Where it lies; a local shard has its absolute path."""

    @property
    def name(self) -> str:
        """Last component of the file's name."""
        return (self.address.member or self.address.file).rstrip("/").rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """Extension of the name, with its dot."""
        return os.path.splitext(self.name)[1]

    def __str__(self) -> str:
        member = self.address.member
        return self.address.file if member is None else f"{self.address.file}!{member}"

    def stat(self) -> FileFacts:
        """Return size and version.

        Raises:
            MediaError: the file cannot be read.
        """
        body, _, size = self._span()
        return FileFacts(size, zlib.crc32(body.version.encode()))

    def exists(self) -> bool:
        """Return True: a missing file raises an error when it is opened."""
        return True

    def is_dir(self) -> bool:
        """Return False: only files have addresses."""
        return False

    def open(self, mode: str = "rb") -> BinaryIO:
        """Open the file for reading.

        Raises:
            MediaError: the file cannot be read.
        """
        assert mode == "rb"
        body, start, size = self._span()
        found: BinaryIO
        if body.is_in_memory:
            found = io.BytesIO(body.read(start, start + size))
            found.name = self.name  # FFmpeg looks at the extension
        else:
            found = io.BufferedReader(_Window(body, start, size, self.name), _BUFFER_BYTES)
        return found

    def read_bytes(self) -> bytes:
        """Read the whole file.

        Raises:
            MediaError: the file cannot be read.
        """
        body, start, size = self._span()
        return body.read(start, start + size)

    def whole(self) -> mmap.mmap | bytes:
        """Return all bytes of the file; those of a large one are not read into memory.

        Raises:
            MediaError: the file cannot be read.
        """
        body, start, size = self._span()
        return body.whole() if self.address.member is None else body.read(start, start + size)

    def _span(self) -> tuple[Body, int, int]:
        """Return what holds the bytes, the first byte in it, and how many there are."""
        address = self.address
        body = body_of(address.file, is_shard=address.member is not None)
        if address.member is None:
            return body, 0, body.size_bytes
        if address.offset is not None:
            where = f"{address.offset}+{address.size_bytes}"
            if address.offset + address.size_bytes > body.size_bytes:
                found_bytes = f"the shard has {body.size_bytes:,} bytes and ends before the member"
                raise MediaError(f"{self}: {found_bytes}, which {_OLD_POSITION.format(where)}")
            if not is_member_at(body, address.member, address.offset, address.size_bytes):
                found_bytes = "the shard has other bytes in the place of the member"
                raise MediaError(f"{self}: {found_bytes}, which {_OLD_POSITION.format(where)}")
            return body, address.offset, address.size_bytes
        found = members_of(body, address.file).get(address.member)
        if found is None:
            raise MediaError(f"{self}: the shard has no such member")
        return body, *found


MediaPath = Path | FarFile
"""A media file: local, or elsewhere."""


def located(cell: str, root: Path) -> MediaPath:
    """Return the media file that a cell of the manifest names.

    Args:
        cell: a path, a URL, or a member of a tar shard.
        root: folder that paths are relative to.
    """
    address = parse_address(cell)
    if is_url(address.file):
        return FarFile(address)
    if address.member is None:
        return root / cell
    shard = os.path.abspath(root / address.file)
    return FarFile(Address(shard, address.member, address.offset, address.size_bytes))


def file_facts(cell: str | None, root: Path) -> tuple[object, ...]:
    """Return what tells that the file of a cell changed; no file is opened and no request sent.

    These are path, size and time of change of local files and local shards, the ETag of objects in
    buckets as the last listing said it, and the URL alone of https URLs.
    """
    if cell is None:
        return None, 0, 0
    address, cell = parse_address(cell), without_offset(cell)
    if is_url(address.file):
        return (cell, *known_facts(address.file))
    try:
        status = (root / address.file).stat()
    except (OSError, ValueError):  # missing, or an impossible file name
        return cell, -1, 0
    return cell, status.st_size, status.st_mtime_ns


@contextmanager
def mapped_media(path: MediaPath) -> Iterator[mmap.mmap | bytes]:
    """Give the bytes of a media file, which is not empty, to code that reads all of it.

    Raises:
        OSError: a local file cannot be read.
        MediaError: another file cannot be read.
    """
    if isinstance(path, FarFile):
        yield path.whole()
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield content


class _Window(io.RawIOBase):
    """Some bytes of a body as a file."""

    def __init__(self, body: Body, start: int, size: int, name: str) -> None:
        self._body, self._start, self._size, self._at = body, start, size, 0
        self.name = name

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        stop = min(self._at + len(buffer), self._size)
        data = self._body.read(self._start + self._at, self._start + max(stop, self._at))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, position: int, whence: int = 0) -> int:
        base = (0, self._at, self._size)[whence]
        if base + position < 0:
            raise OSError(22, "a position before the start of the file")
        self._at = base + position
        return self._at

    def tell(self) -> int:
        return self._at

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True
