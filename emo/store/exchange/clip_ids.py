"""Clip ids as other tools write them: where they are looked for, and as text."""

from collections.abc import Iterable

ID_NAMES = ("ids", "id", "clip", "clips", "clip_ids", "names", "name", "keys")
"""What the array or column of ids is called, the likeliest first."""


def texts(cells: Iterable[object]) -> list[str]:
    """Ids as text, whether they are text, whole numbers or bytes of UTF-8.

    Raises:
        ValueError: one is something else, or lacks.
    """
    return [_text(cell, place) for place, cell in enumerate(cells)]


def _text(cell: object, place: int) -> str:
    if isinstance(cell, bytes):
        try:
            return cell.decode()
        except UnicodeDecodeError:
            raise ValueError(f"the id of clip {place}, {cell[:40]!r}, is not UTF-8") from None
    if isinstance(cell, str) or (isinstance(cell, int) and not isinstance(cell, bool)):
        return str(cell)
    raise ValueError(f"the id of clip {place}: expected text or a whole number, got {cell!r}")
