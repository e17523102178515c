"""Tables that line up, for people to read in a terminal."""

import math
import unicodedata
from collections.abc import Mapping, Sequence


def format_table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows with the same keys -> aligned text; numbers to the right, words to the left.

    >>> print(format_table([{"stream": "audio", "clips": 12}, {"stream": "face", "clips": 7}]))
    stream  clips
    audio      12
    face        7
    """
    if not rows:
        return ""
    names = list(rows[0])
    cells = [[_text(row[name]) for name in names] for row in rows]
    widths = [
        max(map(_width, [name, *column]))
        for name, column in zip(names, zip(*cells, strict=True), strict=True)
    ]
    is_number = [
        all(isinstance(row[name], int | float) or row[name] is None for row in rows)
        for name in names
    ]
    lines = [
        "  ".join(
            f"{' ' * (width - _width(cell))}{cell}"
            if right
            else f"{cell}{' ' * (width - _width(cell))}"
            for cell, width, right in zip(line, widths, is_number, strict=True)
        ).rstrip()
        for line in [names, *cells]
    ]
    return "\n".join(lines)


def with_spread(mean: float, std: float, count: int) -> str:
    """A mean with its standard deviation, which one value does not have.

    >>> with_spread(0.5, 0.25, 2), with_spread(0.5, 0.0, 1)
    ('0.500 ± 0.250', '0.500')
    """
    if math.isnan(mean):
        return "undefined"
    return f"{mean:.3f} ± {std:.3f}" if count > 1 else f"{mean:.3f}"


def format_bytes(size: float) -> str:
    """A size people can read: ``1.5 GB``, powers of 1000.

    >>> format_bytes(1_500_000_000)
    '1.5 GB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _width(text: str) -> int:
    """Columns of a terminal: two for a wide character, none for one that joins another.

    >>> _width("joy"), _width("喜び"), _width("e\u0301")
    (3, 4, 1)
    """
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )


def _text(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return "undefined" if math.isnan(value) else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
