"""Find the recordings of a joined file that FFmpeg does not read.

Whole files that were written one after another into one are read to their end in most containers.
In others FFmpeg stops after the first recording, in Matroska after the second.
"""

from __future__ import annotations

import io
import mmap
import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from emo.extract.decode.sources.media_file import MediaPath
from emo.extract.decode.structure.matroska import segment_starts
from emo.machine.libraries import late

if TYPE_CHECKING:
    import av
else:
    av = late("av")

_ASF_HEAD = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
"""Identifiers of ASF's header, and of the file properties in it."""
_READ = {"matroska": 2}
"""Container -> recordings that FFmpeg reads, if it is not one alone."""


def unread_seconds(path: MediaPath, format_name: str) -> float:
    """Return the length of the recordings that are not read, as their headers declare it.

    Args:
        path: a file that FFmpeg read to its end.
        format_name: FFmpeg's name of its container.

    Returns:
        Seconds; 0.0: everything was read; infinite: a recording does not declare its length.
    """
    for name in format_name.split(","):
        if name in _STARTS:
            with path.open("rb") as file:
                starts = list(_STARTS[name](file))
            unread = starts[_READ.get(name, 1) :]
            return sum((_declared_from(path, start, name) for start in unread), 0.0)
    return 0.0


def _declared_from(path: MediaPath, start: int, name: str) -> float:
    """Return the length that the recording from byte ``start`` on declares; infinite: none."""
    with path.open("rb") as file:
        try:
            with av.open(_From(file, start), "r", format=name) as container:
                return container.duration / av.time_base if container.duration else float("inf")
        except (av.error.FFmpegError, OSError, ValueError):
            return float("inf")


class _From(io.RawIOBase):
    """A file that begins at a later byte of another."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file, self._start = file, start
        file.seek(start)

    def read(self, count: int = -1) -> bytes:
        return self._file.read(count)

    def seek(self, position: int, whence: int = 0) -> int:
        offset = self._start if whence == 0 else 0
        return self._file.seek(position + offset, whence) - self._start

    def tell(self) -> int:
        return self._file.tell() - self._start

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def _boxes(file: BinaryIO) -> Iterator[int]:
    """Yield where the recordings of an mp4 begin: at each ``ftyp`` after the media of another."""
    at, is_new = 0, True
    while len(head := _at(file, at, 16)) >= 8:
        size, name = int.from_bytes(head[:4]), head[4:8]
        size = int.from_bytes(head[8:16]) if size == 1 else size
        if name == b"ftyp" and is_new:
            yield at
            is_new = False
        is_new = is_new or name == b"mdat"
        if size < 8:
            return
        at += size


def _asf(file: BinaryIO) -> Iterator[int]:
    """Yield where the recordings of a WMV begin: each header states the size of its file."""
    at = 0
    while (head := _at(file, at, 2**14)).startswith(_ASF_HEAD):
        yield at
        index = head.find(_ASF_FILE)
        size = int.from_bytes(head[index + 40 : index + 48], "little") if index >= 0 else 0
        if not size:
            return
        at += size


def _flv(file: BinaryIO) -> Iterator[int]:
    """Yield where the recordings of an FLV begin: the first tag may state the size of its file."""
    at = 0
    while (head := _at(file, at, 2**14)).startswith(b"FLV\1"):
        yield at
        index = head.find(b"filesize\0")
        if index < 0 or len(head) < index + 17:
            return
        size = struct.unpack(">d", head[index + 9 : index + 17])[0]
        if not 1 <= size < 2**53:
            return
        at += int(size)


def _riff(file: BinaryIO) -> Iterator[int]:
    """Yield where the recordings of a WAV begin."""
    at = 0
    while (head := _at(file, at, 12))[:4] == b"RIFF" and head[8:] == b"WAVE":
        yield at
        size = int.from_bytes(head[4:8], "little")
        if size in (0, 2**32 - 1):  # recorders that do not know it
            return
        at += 8 + size + size % 2


def _marked(mark: bytes) -> Callable[[BinaryIO], Iterator[int]]:
    """Return a reader of containers whose recordings begin with ``mark``, which is long."""

    def starts(file: BinaryIO) -> Iterator[int]:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            at = content.find(mark)
            while at >= 0:
                yield at
                at = content.find(mark, at + 1)

    return starts


def _at(file: BinaryIO, position: int, count: int) -> bytes:
    file.seek(position)
    return file.read(count)


_STARTS: dict[str, Callable[[BinaryIO], Iterator[int]]] = {
    "matroska": segment_starts, "mov": _boxes, "asf": _asf, "flv": _flv, "wav": _riff,
    "ivf": _marked(b"DKIF\0\0\x20\0"), "nut": _marked(b"nut/multimedia container\0"),
}  # fmt: skip
"""FFmpeg's name of a container -> what yields the positions at which recordings begin."""
