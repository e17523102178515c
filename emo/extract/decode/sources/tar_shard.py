"""Find the members of a tar shard: their names, and where their bytes lie."""

import io
import tarfile
from collections.abc import Iterator

from emo.errors import LISTED_NAMES, MediaError, listed, plural
from emo.extract.decode.sources.bodies import Body

MOST_MEMBERS = 1_000_000
"""Most members of one shard."""
_PIECE_BYTES = 2**20
MOST_HEADER_BYTES = 2**16
"""Most bytes before a member in which its header, with a long name, is looked for."""


def members_of(body: Body, file: str) -> dict[str, tuple[int, int]]:
    """Return the members of a shard: name -> first byte and number of bytes.

    Only plain files count. A name that occurs twice means the last one, as tar does.

    Args:
        body: the bytes of the shard.
        file: its path or URL, for messages.

    Raises:
        MediaError: it is no tar file, is compressed, or cannot be read.
    """
    if body.members is not None:
        return body.members
    found: dict[str, tuple[int, int]] = {}
    again, others = list[str](), list[str]()
    reader = _Reader(body)
    try:
        with tarfile.open(fileobj=reader, mode="r:", encoding="utf-8") as shard:
            for number, member in enumerate(shard):
                if number >= MOST_MEMBERS:
                    raise MediaError(f"{file}: the shard has more than {MOST_MEMBERS:,} members")
                if member.size < 0:
                    raise ValueError(f"the member {member.name!r} has a negative size")
                shard.members = []  # type: ignore[attr-defined]  # it would keep all of them
                if member.isreg() and not member.issparse():
                    again += [repr(member.name)] if member.name in found else []
                    found[member.name] = member.offset_data, member.size
                elif not member.isdir():
                    others.append(repr(member.name))
            end = shard.offset
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
        packed = " (a packed one is not read: unpack it to .tar)" if _is_packed(body) else ""
        raise MediaError(f"{file}: not a tar file that can be read{packed}: {error}") from error
    body.members, body.notes = found, tuple(_notes(again, others, body, end))
    return found


def _notes(again: list[str], others: list[str], body: Body, end: int) -> Iterator[str]:
    """Yield a sentence for each kind of members that are not read.

    Args:
        again: names of members that occurred before.
        others: names of members that are no plain files.
        body: the shard.
        end: position behind its last member.
    """
    if again:
        yield (
            f"{plural(len(again), 'member')} of a name that occurred before; the last of each name "
            f"counts: {listed(again[:LISTED_NAMES])}"
        )
    if others:
        yield (
            f"{plural(len(others), 'member')} left out, which are links, sparse or special files: "
            f"{listed(others[:LISTED_NAMES])}"
        )
    while end < body.size_bytes:
        piece = body.read(end, end + _PIECE_BYTES)
        if piece.count(0) < len(piece):
            yield (
                "bytes behind its end are not read, perhaps a second archive; join archives by "
                "`tar --concatenate`, not by cat"
            )
            return
        end += len(piece)


def is_member_at(body: Body, member: str, offset: int, size: int) -> bool:
    """Return whether the header before a position in a shard is that of a member.

    The header is the block before the member's bytes; a long name lies in the blocks before it.

    Args:
        body: the bytes of the shard.
        member: name of the member.
        offset: position of its first byte.
        size: its number of bytes.

    Raises:
        MediaError: the shard cannot be read.
    """
    before = body.read(offset - tarfile.BLOCKSIZE, offset) if offset >= tarfile.BLOCKSIZE else b""
    if (last := _first_header(before)) is None or not last.isreg():
        return False
    if (last.name, last.size) == (member, size):
        return True
    before = body.read(max(0, offset - MOST_HEADER_BYTES), offset)
    for start in range(len(before) - 2 * tarfile.BLOCKSIZE, -1, -tarfile.BLOCKSIZE):
        whole = _first_header(before[start:])
        if whole is not None and whole.offset_data == len(before) - start:
            return (whole.name, whole.size) == (member, size)
    return False


def _first_header(data: bytes) -> tarfile.TarInfo | None:
    """Return the member whose header, with its long name, begins the bytes; None: none does."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="utf-8") as shard:
            return shard.next()
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError):
        return None


def _is_packed(body: Body) -> bool:
    """Return whether a file begins like gzip, bzip2, xz or zstd."""
    return body.read(0, 4).startswith((b"\x1f\x8b", b"BZh", b"\xfd7zX", b"\x28\xb5\x2f\xfd"))


class _Reader(io.RawIOBase):
    """A body as the file that ``tarfile`` reads."""

    def __init__(self, body: Body) -> None:
        self._body, self._at = body, 0

    def read(self, count: int = -1) -> bytes:
        stop = self._body.size_bytes if count < 0 else self._at + count
        data = self._body.read(self._at, stop)
        self._at += len(data)
        return data

    def seek(self, position: int, whence: int = 0) -> int:
        self._at = (0, self._at, self._body.size_bytes)[whence] + position
        return self._at

    def tell(self) -> int:
        return self._at

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True
