"""Tables and lines that fit the terminal, for people to read.

The width is ``COLUMNS`` where it is set, else that of the terminal. Output to a file or a pipe has
no limit, so that `grep` finds a whole row in one line and a log can be read on any screen.
"""

import json
import math
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from emo.errors import CONTROLS, escape, line_of

NARROWEST = 40
"""Columns that lines may have at least; nothing is folded for a narrower terminal."""
WORD, SHORT_WORD = 24, 16
"""Columns up to which a word in a table stays whole; the second where the table fits by it."""
_LEAST_CUT = 10
"""Columns that a cell which may be cut has at least."""
_GAP = "  "


@dataclass(frozen=True)
class _Column:
    """One column of a table."""

    name: str
    cells: tuple[str, ...]
    is_number: bool
    least: int
    """Narrowest width at which it can be read."""
    natural: int
    """Width at which no cell is folded."""


def format_table(
    rows: Sequence[Mapping[str, object]],
    *,
    keys: int = 1,
    width: int | None = None,
    is_cut: bool = False,
) -> str:
    """Align rows that have the same keys: numbers to the right, words to the left.

    A table that is too wide gets narrower columns, in which words are folded; one that is still too
    wide is cut into several with the same first columns.

    Args:
        rows: the cells by column name.
        keys: how many first columns are repeated when the table is cut.
        width: columns of the terminal; None: see :func:`output_width`.
        is_cut: a row is one line: cells that are too long end with "…" instead of being folded,
            unless the terminal is too narrow for even the first columns and the numbers.

    >>> print(format_table([{"stream": "audio", "clips": 12}, {"stream": "face", "clips": 7}]))
    stream  clips
    audio      12
    face        7
    """
    if not rows:
        return ""
    limit = width or output_width()
    if is_cut and limit is not None:
        columns = [_cut_column(name, [row[name] for row in rows], k < keys)
                   for k, name in enumerate(rows[0])]  # fmt: skip
        if _total(columns) <= limit:
            return "\n".join(_lines(columns, _widths(columns, limit), is_cut=True))
    columns, narrower = (
        [_column(name, [row[name] for row in rows], word) for name in rows[0]]
        for word in (WORD, SHORT_WORD)
    )
    if limit is not None and _total(columns) > limit >= _total(narrower):
        columns = narrower
    return "\n\n".join(
        "\n".join(_lines(block, _widths(block, limit))) for block in _blocks(columns, keys, limit)
    )


def format_facts(
    facts: Sequence[tuple[str, str]], *, indent: str = "", width: int | None = None
) -> str:
    """Write names and texts in two columns, the texts folded.

    >>> facts = [("licence", "MIT"), ("source", "a paper with a title of many words")]
    >>> print(format_facts(facts, width=40))
    licence  MIT
    source   a paper with a title of many
             words
    """
    facts = [(_cell(name), shown(text)) for name, text in facts]
    names = max((_width(name) for name, _ in facts), default=0)
    limit = width or output_width()
    room = None if limit is None else max(limit - len(indent) - names - len(_GAP), SHORT_WORD)
    lines = []
    for name, text in facts:
        for k, line in enumerate(_fold(text, room)):
            first = name if k == 0 else ""
            lines.append(f"{indent}{_padded(first, names)}{_GAP}{line}".rstrip())
    return "\n".join(lines)


def fit_lines(text: str, *, width: int | None = None) -> str:
    """Fold the lines that are too wide at spaces, and indent what follows; long words stay whole.

    >>> print(fit_lines("failed: clip7 (classic): its audio cannot be decoded", width=40))
    failed: clip7 (classic): its audio
        cannot be decoded
    """
    limit = width or output_width()
    text = shown(text)
    if limit is None:
        return text
    lines: list[str] = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip()))
        hanging = indent + ("  " if line.lstrip().startswith("- ") else "    ")
        first, *more = _fold(line, max(limit, NARROWEST), breaks=False) or [""]
        rest = " ".join(more)
        lines.append(first)
        inner = max(limit, NARROWEST) - len(hanging)
        lines += [f"{hanging}{each}" for each in _fold(rest, inner, breaks=False) if rest]
    return "\n".join(lines)


def shown(text: str) -> str:
    """Return a text in which control characters are written out instead of sent to the terminal.

    Ids, labels and messages of other people's files may hold escape sequences, which move the
    cursor, hide lines or change the window's title; marks that turn the direction of writing
    exchange words.

    >>> print(shown("clip\x1b[2K"), shown("a\u202eb"))
    clip\\x1b[2K a\\u202eb
    """
    return CONTROLS.sub(lambda found: found[0] if found[0] in "\n\t" else escape(found[0]), text)


def json_text(document: object, *, indent: int | None = None) -> str:
    """Return a JSON document for a terminal or a pipe: letters as they are, no control characters.

    >>> json_text({"id": "Zo\u00eb\x9b"})
    '{"id": "Zo\u00eb\\\\u009b"}'
    """
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    return CONTROLS.sub(
        lambda found: found[0] if found[0] in "\n\t" else f"\\u{ord(found[0]):04x}", text
    )


def output_width() -> int | None:
    """Return the columns that printed lines may have; None: any number."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return max(int(columns), NARROWEST)
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    return max(shutil.get_terminal_size().columns, NARROWEST)


def fold_streams(names: Sequence[str]) -> str:
    """Name each recipe once: ``classic (audio, face), logmel (audio)``.

    >>> fold_streams(["classic/audio", "classic/face", "logmel/audio"])
    'classic (audio, face), logmel (audio)'
    """
    recipes: dict[str, list[str]] = {}
    for name in names:
        recipe, _, stream = name.rpartition("/")
        recipes.setdefault(recipe, []).append(stream)
    return ", ".join(
        f"{recipe} ({', '.join(streams)})" if recipe else ", ".join(streams)
        for recipe, streams in recipes.items()
    )


def with_spread(mean: float, std: float, count: int) -> str:
    """Write a mean with its standard deviation, which one value does not have.

    >>> with_spread(0.5, 0.25, 2), with_spread(0.5, 0.0, 1)
    ('0.500 ± 0.250', '0.500')
    """
    if math.isnan(mean):
        return "undefined"
    return f"{mean:.3f} ± {std:.3f}" if count > 1 else f"{mean:.3f}"


def format_bytes(size: float) -> str:
    """Write a size with a unit, in powers of 1000: ``1.5 GB``.

    >>> format_bytes(1_500_000_000)
    '1.5 GB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _column(name: str, values: Sequence[object], longest: int) -> _Column:
    name = _cell(name)
    cells = tuple(_text(value) for value in values)
    is_number = all(isinstance(value, int | float) or value is None for value in values)
    heading = max(map(_width, name.split() or [""]))
    least = max([heading, *(_least(cell, longest) for cell in cells)])
    return _Column(name, cells, is_number, least, max(map(_width, [name, *cells])))


def _cut_column(name: str, values: Sequence[object], is_key: bool) -> _Column:
    """Return a column whose cells may be cut, down to its heading; keys and numbers stay whole."""
    column = _column(name, values, WORD)
    is_whole = is_key or column.is_number
    least = column.natural if is_whole else min(column.natural, max(_width(name), _LEAST_CUT))
    return replace(column, least=least)


def _least(cell: str, longest: int) -> int:
    """Return the width of the longest word; numbers, with their spread, stay in one line."""
    if not any(letter.isalpha() for letter in cell):
        return _width(cell)
    return max(min(_width(word), longest) for word in cell.split())


def _blocks(columns: list[_Column], keys: int, limit: int | None) -> Iterator[list[_Column]]:
    """Yield groups of columns that fit side by side, each with the key columns before it."""
    if limit is None or _total(columns) <= limit:
        yield columns
        return
    head, rest = columns[:keys], columns[keys:]
    while rest:
        count = 1
        while count < len(rest) and _total([*head, *rest[: count + 1]]) <= limit:
            count += 1
        yield [*head, *rest[:count]]
        rest = rest[count:]


def _total(columns: Sequence[_Column]) -> int:
    return sum(column.least for column in columns) + len(_GAP) * (len(columns) - 1)


def _widths(columns: Sequence[_Column], limit: int | None) -> list[int]:
    """Share the columns of the terminal: the widest are narrowed first."""
    if limit is None:
        return [column.natural for column in columns]
    room = limit - len(_GAP) * (len(columns) - 1)
    widths = [column.least for column in columns]
    for cap in range(max(column.natural for column in columns), 0, -1):
        widths = [min(column.natural, max(column.least, cap)) for column in columns]
        if sum(widths) <= room:
            break
    return widths


def _lines(
    columns: Sequence[_Column], widths: Sequence[int], *, is_cut: bool = False
) -> Iterator[str]:
    """Yield the lines of a table, its heading first; ``is_cut``: one line for each row."""
    fit = _cut if is_cut else _fold
    for row in zip(*([column.name, *column.cells] for column in columns), strict=True):
        folded = [fit(cell, width) for cell, width in zip(row, widths, strict=True)]
        for k in range(max(map(len, folded))):
            cells = [lines[k] if k < len(lines) else "" for lines in folded]
            yield _GAP.join(
                _padded(cell, width, is_right=column.is_number)
                for cell, width, column in zip(cells, widths, columns, strict=True)
            ).rstrip()


def _padded(cell: str, width: int, *, is_right: bool = False) -> str:
    space = " " * (width - _width(cell))
    return f"{space}{cell}" if is_right else f"{cell}{space}"


def _cut(text: str, width: int) -> list[str]:
    """Return a text as one line; if it is too long, as many whole words as fit, and "…"."""
    if _width(text) <= width:
        return [text]
    return [f"{_fold(text, width - 1)[0].rstrip(' ,;:(')}…"]


def _fold(text: str, width: int | None, *, breaks: bool = True) -> list[str]:
    """Cut a text at spaces into lines of at most ``width``; ``breaks``: longer words, too."""
    if width is None or _width(text) <= width:
        return [text]
    indent = text[: len(text) - len(text.lstrip())]
    lines, line = [], indent
    for word in text.split():
        pieces = list(_pieces(word, width)) if breaks else [word]
        for piece in pieces:
            joined = f"{line} {piece}" if line.strip() else f"{line}{piece}"
            if line.strip() and _width(joined) > width:
                lines.append(line)
                line = piece
            else:
                line = joined
    return [*lines, line]


def _pieces(word: str, width: int) -> Iterator[str]:
    """Cut a word that is too long, after one of ``/_-,.`` where there is one far enough."""
    while _width(word) > width:
        end = max(1, next(k for k in range(len(word)) if _width(word[: k + 1]) > width))
        marks = [k + 1 for k in range(end // 3, end) if word[k] in "/_-,."]
        end = marks[-1] if marks else end
        yield word[:end]
        word = word[end:]
    yield word


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
    return f"{value:,}" if isinstance(value, int) else _cell(str(value))


def _cell(text: str) -> str:
    """Return the text of a cell, which is one line: control characters are written out."""
    return line_of(text)
