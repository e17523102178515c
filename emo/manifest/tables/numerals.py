"""Read numbers in the writings of typesetters and spreadsheets: −0.6, 0,6, 1.234,5 and 60%."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from emo.machine.untrusted.documents import short_repr

Writing = Literal["number", "minus", "comma", "grouped", "percent", ""]
"""How a cell writes a number: as Python does; with another character for minus; with a decimal
comma; with separated thousands; as a percentage; empty: it is no number."""
MOSTLY = 0.8
"""Share of the filled cells from which a column counts as a column of numbers."""
MISSING_WORDS = frozenset({"nan", "na", "n/a", "#n/a", "<na>", "none", "null", "nil", "-", "?"})
"""Lower-case words that programs write where a value is unknown."""
_WORDS = ("id", "text", "video", "audio", "speaker", "dialogue")
"""Columns that never hold numbers, whatever their cells look like."""
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d"
_DASH = re.compile(rf"[{_DASHES}]\s?(?=[.,]?\d)")
_START = re.compile(rf"[+\-{_DASHES}]?\s?[.,]?\d")
_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_POINT = re.compile(r"[+-]?\d*\.\d*")
_BLANKS = re.compile(r"[+-]?\d{1,3}(?:[\u00a0\u2009\u202f'\u2019]\d{3})+(?:[.,]\d+)?")
_SPACES = re.compile(r"[+-]?\d{1,3}(?: \d{3})+[.,]\d+")
_POINTS_GROUP = re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?")
_COMMAS_GROUP = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")
_PERCENT = re.compile(r"(.*\d[.,]?)\s?[%\u066a\ufe6a\uff05]")


def read_numerals(
    name: str, cells: Sequence[str], *, has_decimal_commas: bool
) -> tuple[list[str], str]:
    """Return the cells of a column with its numbers as Python writes them, and what was read.

    Only a column that is mostly numbers is changed, and only where the writing has one meaning:
    ``1.234`` is as it stands unless ``1.234,5`` in the same column shows that points separate
    thousands. Columns of words, and of the turns that cause an emotion (``1,3``), stay as they are.

    >>> read_numerals("label", ["0,8", "\\u22121", ""], has_decimal_commas=True)[0]
    ['0.8', '-1', '']
    >>> read_numerals("label", ["1.234,5", "1.000"], has_decimal_commas=False)[0]
    ['1234.5', '1000']

    Args:
        name: name of the column.
        cells: its cells.
        has_decimal_commas: the table separates its cells by semicolons: ``1,5`` is 1.5, as
            spreadsheets of many countries write it.

    Returns:
        The cells; and a text for the user, "" if nothing was changed.
    """
    if name.lower() in _WORDS or "cause" in name.lower():
        return list(cells), ""
    counts = Counter(map(str.strip, cells))
    counts.pop("", None)
    style = _style(list(counts), has_decimal_commas=has_decimal_commas)
    read = {cell: number for cell in counts if (number := _read(cell, style)) is not None}
    filled = sum(count for cell, count in counts.items() if cell.lower() not in MISSING_WORDS)
    if all(cell == number for cell, number in read.items()):
        return list(cells), ""
    if sum(counts[cell] for cell in read) < MOSTLY * filled:
        return list(cells), ""
    return [read.get(cell.strip(), cell) for cell in cells], _said(read)


def writing_of(cell: str) -> Writing:
    """Return how a cell writes a number.

    >>> [writing_of(cell) for cell in ("0.6", "\\u22120.6", "0,6", "1.234,5", "60 %", "joy")]
    ['number', 'minus', 'comma', 'grouped', 'percent', '']
    """
    if _is_number(cell):
        return "number"
    percent = _PERCENT.fullmatch(cell)
    if percent:
        return "percent" if writing_of(percent[1]) else ""
    plain = _DASH.sub("-", cell, count=1) if _START.match(cell) else cell
    if _COMMA.fullmatch(plain):
        return "comma"
    if any(form.fullmatch(plain) for form in (_BLANKS, _SPACES, _POINTS_GROUP, _COMMAS_GROUP)):
        return "grouped"
    return "minus" if plain != cell and _is_number(plain) else ""


def _style(cells: Sequence[str], *, has_decimal_commas: bool) -> str:
    """Return what writes the decimals of a column, ``,`` or ``.``; "" if it cannot be told.

    Proofs are numbers with both characters, or with two groups of thousands.
    """
    plain = [_bare(cell) for cell in cells if _START.match(cell) and len(cell) < 40]
    commas = [cell for cell in plain if "," in cell]
    points = [cell for cell in plain if "." in cell]
    by_comma = any(_POINTS_GROUP.fullmatch(c) and ("," in c or c.count(".") > 1) for c in points)
    by_point = any(_COMMAS_GROUP.fullmatch(c) and ("." in c or c.count(",") > 1) for c in commas)
    if by_point:
        return "" if by_comma or not all(map(_COMMAS_GROUP.fullmatch, commas)) else "."
    if by_comma:
        return "," if all(map(_POINTS_GROUP.fullmatch, points)) else ""
    return "," if has_decimal_commas and commas and not any(map(_POINT.fullmatch, points)) else ""


def _bare(cell: str) -> str:
    """Return a cell with a plain minus sign, and without blanks between thousands."""
    plain = _DASH.sub("-", cell, count=1)
    if _BLANKS.fullmatch(plain) or _SPACES.fullmatch(plain):
        return re.sub(r"[ \u00a0\u2009\u202f'\u2019]", "", plain)
    return plain


def _read(cell: str, style: str) -> str | None:
    """Return the number of a cell as Python writes it; None: it has none, or two meanings.

    Args:
        cell: the stripped cell.
        style: what writes the decimals: ``,`` or ``.``; "": unknown.
    """
    if not _START.match(cell) or len(cell) >= 40:
        return cell if _is_number(cell) else None
    plain = _bare(cell)
    if style == "," and (_COMMA.fullmatch(plain) or _POINTS_GROUP.fullmatch(plain)):
        plain = plain.replace(".", "").replace(",", ".")
    elif style == "." and _COMMAS_GROUP.fullmatch(plain):
        plain = plain.replace(",", "")
    elif plain != cell and _COMMA.fullmatch(plain) and (_BLANKS.match(cell) or _SPACES.match(cell)):
        plain = plain.replace(",", ".")
    return plain if _is_number(plain) else None


def _said(read: dict[str, str]) -> str:
    """Return a text that names one number of each writing that was read."""
    firsts: dict[str, str] = {}
    for cell, number in read.items():
        if cell != number:
            firsts.setdefault(writing_of(cell), f"{short_repr(cell)} as {number}")
    kinds = {
        "comma": "decimal commas",
        "grouped": "separated thousands",
        "minus": "other minus signs",
    }
    return "; ".join(
        f"numbers with {kinds[kind]} were read, {example}"
        for kind, example in firsts.items()
        if kind in kinds
    )


def _is_number(cell: str) -> bool:
    """Return whether Python reads a cell as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True
