"""Tell pictures made of tiles, as phones write HEIC: FFmpeg decodes one tile, not the picture."""

import re
from pathlib import Path

from emo.errors import MediaError

_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif"})
_GRID = re.compile(rb"infe.{8}(?:..)?grid", re.DOTALL)
_HEAD_BYTES = 2**20


def refuse_tiles(path: Path) -> None:
    """Raise if a file is a picture that is made of tiles.

    Raises:
        MediaError: it is; the message says what to do.
    """
    with open(path, "rb") as file:
        head = file.read(12)
        if head[4:8] != b"ftyp" or head[8:] not in _BRANDS:
            return
        head += file.read(_HEAD_BYTES)
    if _GRID.search(head):
        raise MediaError(
            f"{path.name}: the picture is made of tiles, as phones write HEIC, which cannot be put "
            "together here; convert it to JPEG or PNG"
        )
