"""Compare names that people write in several ways: case, blanks, Unicode forms, 01 beside 1."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

SHOWN = 5
"""Most groups of names in one line."""
_WHOLE = re.compile(r"([+-]?)0*(\d+)(\.0*)?")


@lru_cache(maxsize=100_000)
def plain(name: str) -> str:
    """Return the form in which names are compared.

    It has no case, no blanks (but for one between digits), no characters of zero width, no
    leading zeros and no ``.0``; full-width letters and composed accents have one form.

    >>> plain("Joy\\u200b") == plain(" ｊｏｙ"), plain("01.0"), plain("1 2")
    (True, '1', '1 2')
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    seen = "".join(char for char in folded if unicodedata.category(char) != "Cf")
    single = re.sub(r"(?<!\d)\s+|\s+(?!\d)", "", " ".join(seen.split()))
    number = _WHOLE.fullmatch(single)
    return number[1] + number[2] if number else single


def alike(names: Iterable[str]) -> list[list[tuple[str, int]]]:
    """Return the sets of names that differ only in spelling, with the count of each name.

    The most frequent are first.
    """
    counts = Counter(names)
    groups: dict[str, list[tuple[str, int]]] = {}
    for name, count in sorted(counts.items(), key=lambda each: (-each[1], each[0])):
        groups.setdefault(plain(name), []).append((name, count))
    return [found for found in groups.values() if len(found) > 1]


def usual(names: Iterable[str]) -> dict[str, str]:
    """Return name -> most frequent spelling, for names that have several; the rest are not in it.

    >>> usual(["s3", "S3", "s3", "s4"])
    {'s3': 's3', 'S3': 's3'}
    """
    return {name: found[0][0] for found in alike(names) for name, _ in found}


def quoted(name: str) -> str:
    r"""Return a name in quotes; characters that nobody can see, or tell apart, as escapes.

    >>> quoted("joy\u200b"), quoted("André"), quoted("Andre\u0301")
    ("'joy\\u200b'", "'André'", "'Andre\\u0301'")
    """
    return "".join(
        char.encode("ascii", "backslashreplace").decode() if _is_hidden(char) else char
        for char in repr(name)
    )


def _is_hidden(char: str) -> bool:
    """Return whether a character is an accent of its own, of zero width, or an unusual blank."""
    return "\u0300" <= char <= "\u036f" or (
        unicodedata.category(char) in ("Cf", "Zs") and char != " "
    )
