"""Write and read the zip file of a part, whose members start at multiples of 64 bytes.

It supports what parts need of zip: uncompressed members, sizes below 4 GiB, names in ASCII. The
reader also accepts deflated members, so that a part which another tool has zipped stays readable.

The reader shows what every other reader of zip files shows, or refuses: one directory that ends
the file, no zip64 record, comment or data descriptor, and local headers that repeat the directory.
"""

import errno
import struct
import zlib
from collections.abc import Collection, Iterable
from functools import cached_property
from typing import BinaryIO, NamedTuple, Self

from emo.errors import StoreError
from emo.machine.untrusted.files import UnfitFileError
from emo.store.backend.location import Location
from emo.store.part.file import opened

ALIGNMENT = 64
"""Number of bytes to a multiple of which the start of every member's data is moved."""
ALIGNMENT_FIELD = 0xD935
"""Id of the extra field that pads a local header; Android's zipalign uses the same id."""
ROOT = "zarr.json"
"""Name of the member that is the root document."""
MAX_MEMBER_BYTES = 2**31
"""Most bytes that a member of a part may have; tokens of a part are less than 2 GiB."""
TAIL_BYTES = 16 * 1024
"""Bytes read together from the end of a file: the directory and usually all but the tokens."""

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_DATE_1980 = 33  # 1 January 1980: the bytes of a part do not depend on when it is written
_STORED, _DEFLATED = 0, 8
_GONE = {errno.ENOENT, errno.ESTALE}
_FLAGS = 0x0806
"""Flags that a member may have: names in UTF-8, and the level of deflation. Not: encryption, and
sizes that follow the data."""
_ZIP64 = b"PK\6\7"
"""Start of the record of 20 bytes by which zip64 readers find a directory of their own."""


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


class Member(NamedTuple):
    """Position, size and checksum of one member, from the directory of a zip file."""

    header: int
    """Position of the local header in the file, in bytes."""
    size: int
    """Size of the member's data in the file, in bytes."""
    whole_size: int
    """Size of the data in bytes; equal to ``size`` for a stored member."""
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
        return archive.member(ROOT).crc32


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
        except UnfitFileError as error:
            raise DamagedPart(self.path, str(error)) from error
        self.size = self._file.size
        try:
            self._tail_start = max(0, self.size - TAIL_BYTES)
            self._tail = self._read_file(self._tail_start, self.size - self._tail_start)
            self._end = self.size - _END.size
            self._check_end(self._tail[-_END.size - 20 :])
        except StoreError:
            self._file.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _check_end(self, last: bytes) -> None:
        """Raise DamagedPart unless there is one directory, which ends where the end record starts.

        Args:
            last: the end record of 22 bytes, and 20 bytes before it.
        """
        if self._end < 0 or last[-_END.size :][:4] != b"PK\5\6":
            raise DamagedPart(self.path, f"its {self.size} bytes do not end as a zip file does")
        _, disk, first, here, entries, size, start, comment = _END.unpack(last[-_END.size :])
        if disk or first or comment or here != entries or start + size != self._end:
            raise DamagedPart(self.path, "its zip directory is not where the end record says")
        if last.startswith(_ZIP64):
            raise DamagedPart(self.path, "it has a second directory, for zip64 readers")
        self._directory_span: tuple[int, int] = (start, size)
        self._count: int = entries

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

    def read_root(self) -> bytes:
        """Read the root document; faster when it is the last member, as the writer puts it."""
        start = self._end - _CENTRAL.size - len(ROOT)
        if start >= 0:
            entry = self.bytes_at(start, self._end - start)
            if entry.startswith(b"PK\1\2") and entry.endswith(ROOT.encode()):
                return self._data(ROOT, _member(entry))
        return self.read(ROOT)

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
    def directory_start(self) -> int:
        """Position of the directory in the file, in bytes."""
        return self._directory_span[0]

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
        start, size = self._directory_span
        directory = self.bytes_at(start, size)
        entries_by_name, at, free, last = {}, 0, 0, 0
        for _ in range(self._count):
            entry = directory[at : at + _CENTRAL.size]
            if len(entry) < _CENTRAL.size or not entry.startswith(b"PK\1\2"):
                raise DamagedPart(self.path, f"its zip directory is damaged at byte {start + at}")
            fields = _CENTRAL.unpack(entry)
            (name, extra, comment), header = fields[10:13], fields[16]
            label = directory[at + _CENTRAL.size : at + _CENTRAL.size + name]
            last, at = at, at + _CENTRAL.size + name + extra + comment
            text = label.decode("utf-8", "replace")
            if text in entries_by_name:
                raise DamagedPart(self.path, f"member {text} is in it twice")
            if header < free:
                raise DamagedPart(self.path, f"member {text} lies inside another member")
            free = header + _LOCAL.size + name + fields[8]
            entries_by_name[text] = entry
        if at != size or free > start:
            raise DamagedPart(self.path, "its zip directory does not have the size that it says")
        hidden = size - _CENTRAL.size - len(ROOT)  # where read_root looks for an entry
        if hidden > last and directory.startswith(b"PK\1\2", hidden):
            raise DamagedPart(self.path, "an entry is hidden inside the last one of its directory")
        return entries_by_name

    def _data(self, name: str, member: Member) -> bytes:
        data = self.bytes_at(self._data_start(name, member), member.size)
        if not member.is_stored:
            data = self._inflated(name, member, data)
        if zlib.crc32(data) != member.crc32:
            raise DamagedPart(self.path, f"checksum of member {name} differs")
        return data

    def _data_start(self, name: str, member: Member) -> int:
        label = name.encode()
        header = self.bytes_at(member.header, _LOCAL.size + len(label))
        start, _, flags, method, _, _, crc32, size, whole_size, letters, extra = _LOCAL.unpack(
            header[: _LOCAL.size]
        )
        if (
            start != b"PK\3\4"
            or flags & ~_FLAGS
            or method != (_STORED if member.is_stored else _DEFLATED)
            or (crc32, size, whole_size) != (member.crc32, member.size, member.whole_size)
            or (letters, header[_LOCAL.size :]) != (len(label), label)
        ):
            what = f"the header of member {name} at byte {member.header} and the directory disagree"
            raise DamagedPart(self.path, what)
        if member.is_stored and member.size != member.whole_size:
            raise DamagedPart(self.path, f"member {name} is stored and has two sizes")
        return member.header + len(header) + int(extra)

    def _inflated(self, name: str, member: Member, data: bytes) -> bytes:
        """Inflate a member, to no more bytes than the directory says."""
        if member.whole_size > MAX_MEMBER_BYTES:
            what = (
                f"member {name} inflates to {member.whole_size} bytes, at most {MAX_MEMBER_BYTES}"
            )
            raise DamagedPart(self.path, f"{what} are allowed")
        inflater = zlib.decompressobj(-15)
        try:
            whole = inflater.decompress(data, member.whole_size + 1)
        except zlib.error as error:
            raise DamagedPart(self.path, f"member {name} cannot be inflated: {error}") from error
        if len(whole) != member.whole_size or not inflater.eof:
            raise DamagedPart(self.path, f"member {name} does not have the size that it says")
        return whole

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
        header=fields[16], size=fields[8], whole_size=fields[9], is_stored=fields[4] == _STORED,
        crc32=fields[7],
    )  # fmt: skip


def _padding(position: int) -> bytes:
    """Return an extra field that moves data from ``position`` to the next aligned position."""
    size = -position % ALIGNMENT
    size += ALIGNMENT if size < 4 else 0  # 4: the field's own id and length
    return struct.pack("<HH", ALIGNMENT_FIELD, size - 4) + bytes(size - 4)
