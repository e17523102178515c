"""Write grey pictures as PNG files into a folder that appears only when it is whole."""

import os
import shutil
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emo.errors import DatasetError, naming_file

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY = 0
_BITS = 8
_HEAD_BYTES = 33
"""Bytes before the chunk of pixels: signature and header."""


def grey_png(pixels: bytes, width: int) -> bytes:
    """Return a grey picture as the bytes of a PNG file.

    Args:
        pixels: a byte for each pixel (0 black, 255 white), row by row from the top left corner.
        width: pixels of a row.
    """
    height = len(pixels) // width
    rows = (b"\0" + pixels[width * row : width * (row + 1)] for row in range(height))
    header = struct.pack(">IIBBBBB", width, height, _BITS, _GREY, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(name, data) for name, data in chunks)


def grey_pixels(data: bytes) -> bytes | None:
    """Return the pixels of a file that :func:`grey_png` made; None: it is none of these."""
    header = _SIGNATURE + struct.pack(">I", 13) + b"IHDR"
    try:
        width, height, bits, kind, *more = struct.unpack_from(">IIBBBBB", data, len(header))
        (size,) = struct.unpack_from(">I", data, _HEAD_BYTES)
        if not data.startswith(header) or (bits, kind, *more) != (_BITS, _GREY, 0, 0, 0):
            return None
        packed = data[_HEAD_BYTES + 8 : _HEAD_BYTES + 8 + size]
        rows = zlib.decompressobj().decompress(packed, (width + 1) * height)
    except (struct.error, zlib.error):
        return None
    if len(rows) != (width + 1) * height or any(rows[:: width + 1]):
        return None
    return b"".join(rows[start + 1 : start + 1 + width] for start in range(0, len(rows), width + 1))


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder, which is renamed to ``folder`` afterwards.

    If the block raises or the disk fails, the temporary folder is removed.

    Raises:
        DatasetError: the folder cannot be written; the message has its name and the reason.
    """
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.unfinished")
    try:
        with naming_file(folder, DatasetError):
            unfinished.mkdir()
            yield unfinished
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG file: length, name, data and checksum."""
    checksum = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)
