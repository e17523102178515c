"""Find the members of a tar shard: their names, and where their bytes lie."""

import io
import tarfile

from emo.errors import MediaError
from emo.extract.decode.sources.bodies import Body

MOST_MEMBERS = 1_000_000
"""Most members of one shard."""


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
    reader = _Reader(body)
    try:
        with tarfile.open(fileobj=reader, mode="r:", encoding="utf-8") as shard:
            for number, member in enumerate(shard):
                if number >= MOST_MEMBERS:
                    raise MediaError(f"{file}: the shard has more than {MOST_MEMBERS:,} members")
                shard.members = []  # type: ignore[attr-defined]  # it would keep all of them
                if member.isreg() and not member.issparse():
                    found[member.name] = member.offset_data, member.size
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        packed = " (a packed one is not read: unpack it to .tar)" if _is_packed(body) else ""
        raise MediaError(f"{file}: not a tar file that can be read{packed}: {error}") from error
    body.members = found
    return found


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
