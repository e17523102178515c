"""Read a still picture (JPEG, PNG, WebP, BMP, TIFF) upright: a clip of one frame."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from emo.errors import MediaError
from emo.extract.decode.budget import check_pixels
from emo.extract.decode.sources.media_file import FarFile, MediaPath
from emo.machine.libraries import late
from emo.machine.untrusted.files import open_regular

if TYPE_CHECKING:
    import PIL.BmpImagePlugin
    import PIL.ImageOps
    import PIL.JpegImagePlugin
    import PIL.PngImagePlugin
    import PIL.TiffImagePlugin
    import PIL.WebPImagePlugin
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile
else:
    PIL = late("PIL")

NO_SOUND = "a still picture has no sound"
"""Reason for the absent audio of a still picture."""
STREAMS_OF_PICTURES = frozenset({".mjpeg", ".mjpg"})
"""Endings of files that begin like a JPEG and hold many, one after the other."""
_SHARES = {"I;16": 256.0, "I;16B": 256.0, "I;16L": 256.0, "I": 256.0}
"""Mode of Pillow with 16 bits a grey pixel -> what to divide its levels by."""


def is_still(path: MediaPath) -> bool:
    """Return whether a file begins like a still picture, whatever its name says."""
    return _reader_of(path) is not None


def read_still(path: MediaPath) -> np.ndarray:
    """Read a still picture, turned and mirrored as its EXIF orientation says.

    Of animated and multi-page files it is the first picture. Transparency is ignored, as
    ``PIL.Image.convert("RGB")`` does.

    Returns:
        uint8 (H, W, 3) RGB.

    Raises:
        MediaError: the file is damaged, too large (:func:`check_pixels`), or has floating-point
            pixels, whose range is not known.
    """
    with _opened(path) as image:
        image.load()  # turns a TIFF, and tells what exif_transpose need not do again
        return _rgb(path, PIL.ImageOps.exif_transpose(image))


def still_shape(path: MediaPath) -> tuple[int, int]:
    """Return height and width (H, W) as stored, from the header of a still picture alone.

    Raises:
        MediaError: the header is damaged, or the picture is too large.
    """
    with _opened(path) as image:
        return image.height, image.width


@contextmanager
def _opened(path: MediaPath) -> Iterator[Image]:
    kind = _reader_of(path)
    if kind is None:
        raise MediaError(f"{path.name}: not a still picture (JPEG, PNG, WebP, BMP or TIFF)")
    try:
        with kind(path.open("rb") if isinstance(path, FarFile) else path) as image:
            check_pixels(path.name, image.width, image.height)
            yield image
    except MediaError:
        raise
    except Exception as error:  # Pillow raises many kinds, SyntaxError among them
        raise MediaError(f"{path.name}: the picture cannot be read: {error}") from error


def _opened_file(path: MediaPath) -> BinaryIO:
    """Open a file that may be a pipe, without waiting for it."""
    if isinstance(path, FarFile):
        return path.open("rb")
    return os.fdopen(open_regular(path, follow_links=True)[0], "rb")


def _reader_of(path: MediaPath) -> Callable[[Path | BinaryIO], ImageFile] | None:
    """Return Pillow's reader of a file by its first bytes.

    ``Image.open`` is not used: it tries other formats, and warns of large pictures.
    """
    try:
        with _opened_file(path) as file:
            head = file.read(12)
    except (OSError, ValueError):  # missing, a folder or pipe, or an impossible name
        return None
    if head.startswith(b"\xff\xd8\xff"):
        is_stream = path.suffix.lower() in STREAMS_OF_PICTURES
        return None if is_stream else PIL.JpegImagePlugin.JpegImageFile
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PIL.PngImagePlugin.PngImageFile
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        return PIL.WebPImagePlugin.WebPImageFile
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return PIL.TiffImagePlugin.TiffImageFile
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        return PIL.BmpImagePlugin.BmpImageFile
    return None


def _rgb(path: MediaPath, image: Image) -> np.ndarray:
    if image.mode == "F":
        raise MediaError(
            f"{path.name}: the picture has floating-point pixels, whose range is not known: "
            "convert it to 8 bits"
        )
    if image.mode in _SHARES:  # convert("RGB") would cut all levels above 255
        grey = np.asarray(image).astype(np.float64) / _SHARES[image.mode]
        levels = np.clip(grey, 0, 255).astype(np.uint8)
        return np.repeat(levels[:, :, None], 3, axis=2)
    return np.array(image.convert("RGB"))
