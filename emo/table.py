"""Tables that line up, for people to read in a terminal."""

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
        max(map(len, [name, *column]))
        for name, column in zip(names, zip(*cells, strict=True), strict=True)
    ]
    is_number = [
        all(isinstance(row[name], int | float) or row[name] is None for row in rows)
        for name in names
    ]
    lines = [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, is_number, strict=True)
        ).rstrip()
        for line in [names, *cells]
    ]
    return "\n".join(lines)


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


def _text(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
