"""Names of classes in figures: fonts that have their letters, or numbers where there is none."""

import functools
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

MOST_NAME = 60
"""Most letters of a class that a figure shows."""
BASE = "DejaVu Sans"
"""Font that comes with matplotlib: Latin, Greek, Cyrillic, Arabic, Hebrew."""
_PREFERRED = (
    "Noto Sans CJK", "Noto Sans", "Source Han Sans", "PingFang", "Hiragino", "Microsoft YaHei",
    "Malgun Gothic", "Yu Gothic", "SimHei", "WenQuanYi", "Apple SD Gothic Neo", "AppleGothic",
    "NanumGothic", "Arial Unicode MS", "Arial", "Segoe UI",
)  # fmt: skip
"""Beginnings of names of fonts that are tried before others."""
_REFUSED = ("Last Resort", "STIX", "cm")
"""Beginnings of names of fonts that draw boxes or signs instead of letters."""
_LEFTWARDS = ("R", "AL")
"""Directions of letters that are written from right to left; Arabic letters are also joined."""


@dataclass(frozen=True)
class ClassNames:
    """How the classes of a figure are named."""

    shown: tuple[str, ...]
    """Text of each class."""
    families: tuple[str, ...] = (BASE,)
    """Fonts, each for the letters that those before it lack."""
    note: str = ""
    """A line that says which number is which class; empty: names are shown as they are."""


def class_names(names: Sequence[str], *, is_numbered: bool = False) -> ClassNames:
    """Return how classes are named in a figure.

    Args:
        names: names of the classes.
        is_numbered: number them, whatever fonts there are, because the figure has too little room.
    """
    names = _distinct(names)
    if is_numbered:
        return _numbered(names, "the figure is too small for names of classes")
    letters = {letter for name in names for letter in name if not letter.isspace()}
    if all(ord(letter) < 0x250 for letter in letters):
        return ClassNames(tuple(names))
    if not _has_layout() and any(unicodedata.bidirectional(each) in _LEFTWARDS for each in letters):
        return _numbered(names, "matplotlib below 3.11 cannot write from right to left")
    families = _families(frozenset(letters))
    if families is None:
        return _numbered(names, "no installed font has all letters of the names of classes")
    return ClassNames(tuple(names), families)


def _distinct(names: Sequence[str]) -> list[str]:
    """Return names of at most ``MOST_NAME`` letters, longer ones with "…" in their middle.

    Those that would be equal then get the number of their class, so that different names differ.
    """
    cut = [_cut(name) for name in names]
    counts = Counter(cut)
    return [
        each if counts[each] == 1 else f"{_cut(name, MOST_NAME - len(str(number)) - 1)} {number}"
        for number, (each, name) in enumerate(zip(cut, names, strict=True), 1)
    ]


def _cut(name: str, most: int = MOST_NAME) -> str:
    """Return a name of at most ``most`` letters; of a longer one the middle is "…".

    >>> _cut("the beginning and the end", 11)
    'the b…e end'
    """
    if len(name) <= most:
        return name
    start = most // 2
    return f"{name[:start]}…{name[start + 1 - most :]}"


def _numbered(names: Sequence[str], why: str) -> ClassNames:
    """Return numbers from 1 as names, and the line that explains them."""
    key = ", ".join(f"{number} {name}" for number, name in enumerate(names, 1))
    return ClassNames(
        tuple(str(number) for number in range(1, len(names) + 1)), note=f"{why}; numbered: {key}"
    )


def _has_layout() -> bool:
    """Return whether matplotlib orders and joins letters, as Arabic needs."""
    from matplotlib import ft2font

    return hasattr(ft2font, "__libraqm_version__")


@functools.lru_cache(maxsize=64)
def _families(letters: frozenset[str]) -> tuple[str, ...] | None:
    """Return fonts that have all letters together, the base font first; None: there are none."""
    from matplotlib import font_manager

    fonts = {font.name: font.fname for font in font_manager.fontManager.ttflist[::-1]}
    found, lacking = [], {ord(letter) for letter in letters}
    for name in [BASE, *sorted(fonts.keys() - {BASE}, key=_order)]:
        if name not in fonts or name.startswith(_REFUSED):
            continue
        try:
            known = lacking & set(font_manager.get_font(fonts[name]).get_charmap())
        except (OSError, RuntimeError):  # a font that FreeType cannot read
            continue
        if known or name == BASE:
            found.append(name)
        lacking -= known
        if not lacking:
            return tuple(found)
    return None


def _order(name: str) -> tuple[int, str]:
    """Return the rank of a font: those of :data:`_PREFERRED` first."""
    ranks = [k for k, start in enumerate(_PREFERRED) if name.startswith(start)]
    return (min(ranks, default=len(_PREFERRED)), name)


def columns_of(name: str) -> int:
    """Return the width of a name in letters of usual width: 2 for a wide one.

    >>> columns_of("joy"), columns_of("喜び")
    (3, 4)
    """
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in name
    )
