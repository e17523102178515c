"""Texts of two or four bytes a letter (UTF-16, UTF-32): find ids in them, and edit them as UTF-8.

Spreadsheet programs write such tables. Ids are looked for in both orders of bytes and at every
byte, also inside of binary files.
"""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

MOST_LETTER_BYTES = 4
"""Most bytes of a letter."""
_MARKS = {
    "utf-32-le": codecs.BOM_UTF32_LE, "utf-32-be": codecs.BOM_UTF32_BE,
    "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE,
}  # fmt: skip
"""Bytes at the begin of a file by encoding; the longer marks come first."""
_SAMPLE_BYTES = 4096
_LATIN = 0x250
"""Letters below it are a part of a word; what follows may be the bytes of a number."""


def wide_spellings(words: Iterable[bytes]) -> dict[bytes, tuple[str, int]]:
    """Return UTF-8 words in UTF-16 and UTF-32 -> the encoding, and zeros left out at the begin.

    Without them a search is as fast in files that are full of zeros.
    """
    found: dict[bytes, tuple[str, int]] = {}
    for word in words:
        text = word.decode("utf-8", "surrogatepass")
        for name in _MARKS:
            whole = text.encode(name, "surrogatepass")
            short = whole.lstrip(b"\0") if name.endswith("be") else whole
            found[short] = name, len(whole) - len(short)
    return found


def narrow_spellings(word: bytes) -> Iterator[bytes]:
    """Yield the UTF-8 of a word in UTF-16 or UTF-32."""
    for name in _MARKS:
        with suppress(UnicodeDecodeError):
            yield _utf8(word.decode(name))


def find_wide(
    block: bytes, pattern: re.Pattern[bytes], encodings: dict[bytes, tuple[str, int]],
    margin: int,
    stands_alone: Callable[[bytes, int, int], bool],
) -> Iterator[tuple[int, int]]:  # fmt: skip
    """Yield first and stop byte of words in UTF-16 or UTF-32 that stand alone.

    Args:
        block: bytes to look into.
        pattern: finds the keys of ``encodings``.
        encodings: see :func:`wide_spellings`.
        margin: letters around a word that say whether it stands alone.
        stands_alone: takes UTF-8, and first and stop byte of a word in it.
    """
    at = 0
    while match := pattern.search(block, at):
        name, zeros = encodings[match[0]]
        start, stop = max(0, match.start() - zeros), match.end()
        width = int(name[4:6]) // 8
        low = start - min(start // width, margin) * width
        before = _readable(block[low:start].decode(name, "replace"), -1)
        after = _readable(block[stop : stop + margin * width].decode(name, "replace"), 0)
        head, word = _utf8(before), _utf8((bytes(zeros) + match[0]).decode(name, "surrogatepass"))
        if stands_alone(head + word + _utf8(after), len(head), len(head) + len(word)):
            yield start, stop
            at = stop
        else:
            at = match.start() + 1


def _readable(text: str, nearest: int) -> str:
    """Return the text around a word with a blank for a neighbour that is no Latin letter."""
    if text and ord(text[nearest]) >= _LATIN:
        return f"{text[:-1]} " if nearest else f" {text[1:]}"
    return text


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def as_utf8(data: bytes) -> tuple[bytes, Callable[[bytes], bytes]] | None:
    """Return a text in UTF-16 or UTF-32 as UTF-8, and what turns UTF-8 into such a text.

    None: the bytes are no such text, or would not be the same after both steps.
    """
    for name, mark in _MARKS.items():
        is_marked = data.startswith(mark)
        if not is_marked and not _begins_with_ascii(data, name):
            continue
        body = data.removeprefix(mark)
        try:
            if "\0" in body[:_SAMPLE_BYTES].decode(name, "ignore"):
                continue
            text = body.decode(name)
        except UnicodeDecodeError:
            continue
        first = mark if is_marked else b""
        return text.encode(), lambda new, name=name, first=first: first + new.decode().encode(name)
    return None


def _begins_with_ascii(data: bytes, name: str) -> bool:
    """Return whether the first two letters are ASCII in an encoding."""
    width = int(name[4:6]) // 8
    try:
        text = data[: 2 * width].decode(name)
    except UnicodeDecodeError:
        return False
    return len(text) == 2 and text.isascii() and all(each >= " " or each.isspace() for each in text)
