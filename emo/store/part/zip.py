"""Write and read the zip file of a part, whose members start at multiples of 64 bytes.

It supports what parts need of zip: uncompressed members, sizes below 4 GiB, names in ASCII. The
reader also accepts deflated members, so that a part which another tool has zipped stays readable.
"""

import errno
import struct
import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO, Self

from emo.errors import StoreError
from emo.store.backend.location import Location
from emo.store.part.file import opened

ALIGNMENT = 64
"""Number of bytes to a multiple of which the start of every member's data is moved."""
ALIGNMENT_FIELD = 0xD935
"""Id of the extra field that pads a local header; Android's zipalign uses the same id."""
TAIL_BYTES = 16 * 1024
"""Bytes read together from the end of a file: the directory and usually all but the tokens."""

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_DATE_1980 = 33  # 1 January 1980: the bytes of a part do not depend on when it is written
_STORED, _DEFLATED = 0, 8
_GONE = {errno.ENOENT, errno.ESTALE}


class DamagedPart(StoreError):
    """The bytes of a part are not those that were committed."""

    def __init__(self, path: Location, what: str) -> None:
        """Make the message from the part ``path`` and what is wrong with it."""
        super().__init__(
            f"{path} is damaged: {what}. `emo store verify {path.parent.parent} --quarantine` sets "
            "it aside, and the next `emo extract` redoes its clips."
        )
        self.path, self.what = path, what

    def __reduce__(self) -> tuple[type[Self], tuple[Location, str]]:  # so that it can be pickled
        return type(self), (self.path, self.what)


class ArchiveWriter:
    """Writer of a zip file: members one after another, then :meth:`finish`."""

    def __init__(self, file: BinaryIO) -> None:
        """Start at the beginning of an open file, which need not be seekable."""
        self._file = file
        self._position = 0
        self._directory: list[bytes] = []

    def write(self, name: str, blocks: Iterable[bytes | memoryview]) -> None:
        """Write one member whose data is the ``blocks`` end to end; they are iterated twice."""
        crc, size = 0, 0
        for block in blocks:
            crc, size = zlib.crc32(block, crc), size + len(block)
        label = name.encode("ascii")
        extra = _padding(self._position + _LOCAL.size + len(label))
        common = (20, 0, _STORED, 0, _DATE_1980, crc, size, size, len(label))
        made_by, mode = 3 << 8 | 20, 0o644 << 16  # Unix, -rw-r--r--
        self._directory.append(
            _CENTRAL.pack(b"PK\1\2", made_by, *common, 0, 0, 0, 0, mode, self._position) + label
        )
        self._put(_LOCAL.pack(b"PK\3\4", *common, len(extra)) + label + extra)
        for block in blocks:
            self._put(block)

    def finish(self) -> None:
        """Write the central directory, which ends the file."""
        start, entries = self._position, len(self._directory)
        directory = b"".join(self._directory)
        self._put(directory)
        self._put(_END.pack(b"PK\5\6", 0, 0, entries, entries, len(directory), start, 0))

    def _put(self, block: bytes | memoryview) -> None:
        self._file.write(block)
        self._position += len(block)


@dataclass(frozen=True, slots=True)
class Member:
    """Position, size and checksum of one member, from the directory of a zip file."""

    header: int
    """Position of the local header in the file, in bytes."""
    size: int
    """Size of the member's data in the file, in bytes."""
    is_stored: bool
    """Whether the bytes in the file are the data; False: the data are deflated."""
    crc32: int
    """CRC-32 of the member's data."""


def root_crc(path: Location) -> int:
    """Read the CRC-32 of a part's root document, which names its clips, from the zip directory.

    Raises:
        DamagedPart: the file is incomplete.
    """
    with Archive(path) as archive:
        return archive.member("zarr.json").crc32


class GoneError(StoreError):
    """A file of the store has disappeared since the folder was listed."""


class Archive:
    """Reader of a zip file, which is open inside a ``with`` block."""

    def __init__(self, path: Location) -> None:
        """Take the path; entering the ``with`` block opens the file."""
        self.path = path

    def __enter__(self) -> Self:
        try:
            self._file = opened(self.path)
        except OSError as error:
            raise self._unread(error) from error
        self.size = self._file.size
        try:
            self._tail_start = max(0, self.size - TAIL_BYTES)
            self._tail = self._read_file(self._tail_start, self.size - self._tail_start)
            self._end = self._tail_start + self._tail.rfind(b"PK\5\6")
            if self._end < self._tail_start or self._end + _END.size > self.size:
                raise DamagedPart(self.path, f"its {self.size} bytes do not end as a zip file does")
        except StoreError:
            self._file.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def bytes_at(self, start: int, size: int) -> bytes:
        """Read ``size`` bytes of the file from position ``start``.

        Raises:
            DamagedPart: the file is shorter.
        """
        if start < 0 or start + size > self.size:
            raise DamagedPart(self.path, f"it ends at byte {self.size}, before {start + size}")
        if start >= self._tail_start:
            return self._tail[start - self._tail_start : start - self._tail_start + size]
        return self._read_file(start, size)

    def read_last(self, name: str) -> bytes:
        """Read the data of a member; faster when it is the last one, as the root document is."""
        start = self._end - _CENTRAL.size - len(name)
        if start >= 0:
            entry = self.bytes_at(start, self._end - start)
            if entry.startswith(b"PK\1\2") and entry.endswith(name.encode()):
                return self._data(name, _member(entry))
        return self.read(name)

    def read(self, name: str) -> bytes:
        """Read the data of a member and verify its checksum.

        Raises:
            DamagedPart: there is no such member, or its checksum differs.
        """
        return self._data(name, self.member(name))

    def member(self, name: str) -> Member:
        """Return the directory's entry of a member.

        Raises:
            DamagedPart: there is no such member.
        """
        if name not in self.names:
            raise DamagedPart(self.path, f"member {name} is missing")
        return _member(self._entries[name])

    @property
    def names(self) -> Collection[str]:
        """Names of all members."""
        return self._entries.keys()

    def data_start(self, name: str) -> int:
        """Return the position of a member's data in the file, in bytes."""
        return self._data_start(name, self.member(name))

    @cached_property
    def _entries(self) -> dict[str, bytes]:
        """Member name -> the part of fixed length of its directory entry."""
        *_, entries, size, start, _ = _END.unpack(self.bytes_at(self._end, _END.size))
        if start + size != self._end:
            raise DamagedPart(self.path, "its zip directory is not where the end record says")
        directory = self.bytes_at(start, size)
        entries_by_name, at = {}, 0
        for _ in range(entries):
            entry = directory[at : at + _CENTRAL.size]
            if len(entry) < _CENTRAL.size or not entry.startswith(b"PK\1\2"):
                raise DamagedPart(self.path, f"its zip directory is damaged at byte {start + at}")
            name, extra, comment = _CENTRAL.unpack(entry)[10:13]
            label = directory[at + _CENTRAL.size : at + _CENTRAL.size + name]
            entries_by_name[label.decode("utf-8", "replace")] = entry
            at += _CENTRAL.size + name + extra + comment
        return entries_by_name

    def _data(self, name: str, member: Member) -> bytes:
        data = self.bytes_at(self._data_start(name, member), member.size)
        try:
            data = data if member.is_stored else zlib.decompress(data, -15)
        except zlib.error as error:
            raise DamagedPart(self.path, f"member {name} cannot be inflated: {error}") from error
        if zlib.crc32(data) != member.crc32:
            raise DamagedPart(self.path, f"checksum of member {name} differs")
        return data

    def _data_start(self, name: str, member: Member) -> int:
        header = self.bytes_at(member.header, _LOCAL.size)
        if not header.startswith(b"PK\3\4"):
            raise DamagedPart(self.path, f"member {name} has no header at byte {member.header}")
        label, extra = _LOCAL.unpack(header)[9:]
        return member.header + _LOCAL.size + int(label) + int(extra)

    def _read_file(self, start: int, size: int) -> bytes:
        try:
            data = self._file.read(start, size)
        except OSError as error:
            raise self._unread(error) from error
        if len(data) < size:
            raise DamagedPart(self.path, f"it ends at byte {start + len(data)}")
        return data

    def _unread(self, error: OSError) -> StoreError:
        kind = GoneError if error.errno in _GONE else StoreError
        return kind(f"{self.path} cannot be opened: {error.strerror}")


def _member(entry: bytes) -> Member:
    """Parse an entry of the central directory."""
    fields = _CENTRAL.unpack(entry[: _CENTRAL.size])
    return Member(
        header=fields[16], size=fields[8], is_stored=fields[4] == _STORED, crc32=fields[7]
    )


def _padding(position: int) -> bytes:
    """Return an extra field that moves data from ``position`` to the next aligned position."""
    size = -position % ALIGNMENT
    size += ALIGNMENT if size < 4 else 0  # 4: the field's own id and length
    return struct.pack("<HH", ALIGNMENT_FIELD, size - 4) + bytes(size - 4)
