"""Read TextGrids of Praat, long and short text files, in UTF-8 or UTF-16.

Source: Praat manual, "TextGrid file formats". What counts in both forms are texts in quotes (a
quote in one is doubled), flags such as ``<exists>`` and numbers between blanks; all else is words
for people.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from emo.errors import ManifestError
from emo.machine.untrusted.documents import short_repr
from emo.manifest.annotations.format import (
    AnnotationFormat,
    Annotations,
    Stretch,
    milliseconds,
    read_bytes,
    read_text,
)

_TOKEN = re.compile(
    r'"((?:[^"]++|"")*+)"|(?<!\S)(<\w+>|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?!\S)'
)


class Textgrid(AnnotationFormat):
    """TextGrids of Praat: the intervals of each tier; points and empty intervals are left out."""

    extensions: ClassVar[tuple[str, ...]] = (".textgrid",)

    @classmethod
    def read(cls, path: Path) -> Annotations:
        """Read all tiers."""
        if read_bytes(path).startswith(b"ooBinaryFile"):
            raise ManifestError(f"{path}: a binary TextGrid; save it in Praat by Save as text file")
        tokens = _tokens(read_text(path), path)
        head = [next(tokens)[0] for _ in range(2)]
        if not head[0].startswith("ooTextFile") or head[1] != "TextGrid":
            raise ManifestError(
                f"{path}: expected a TextGrid (ooTextFile, TextGrid), found {' '.join(head)[:60]!r}"
            )
        next(tokens), next(tokens)  # the times of the whole
        if next(tokens)[0] != "<exists>":
            return Annotations([])
        stretches: list[Stretch] = []
        points = 0
        for _ in range(_count(tokens, path)):
            kind, name = next(tokens)[0], next(tokens)[0]
            next(tokens), next(tokens)  # the times of the tier
            count = _count(tokens, path)
            if kind == "IntervalTier":
                stretches += [_interval(tokens, name, path) for _ in range(count)]
            elif kind == "TextTier":
                points += count
                for _ in range(2 * count):
                    next(tokens)
            else:
                raise ManifestError(
                    f"{path}: expected an IntervalTier or a TextTier, got {short_repr(kind)}"
                )
        return Annotations(stretches, left_out={"points in time": points} if points else {})


def _tokens(text: str, path: Path) -> Iterator[tuple[str, bool]]:
    """Yield each value and whether it is a text in quotes; raise ManifestError at the end."""
    for match in _TOKEN.finditer(text):
        if match[1] is not None:
            yield match[1].replace('""', '"'), True
        else:
            yield match[2], False
    raise ManifestError(f"{path}: the TextGrid ends too early; is the file cut?")


def _count(tokens: Iterator[tuple[str, bool]], path: Path) -> int:
    """Return the next value, a number of tiers or intervals."""
    value, is_text = next(tokens)
    if is_text or not value.isdecimal():
        raise ManifestError(f"{path}: expected a number of tiers or intervals, got {value[:60]!r}")
    return int(value)


def _interval(tokens: Iterator[tuple[str, bool]], tier: str, path: Path) -> Stretch:
    """Return the next interval of a tier."""
    where = f"{path}, tier {short_repr(tier)}"
    (start, _), (end, _), (text, is_text) = next(tokens), next(tokens), next(tokens)
    if not is_text:
        raise ManifestError(
            f"{where}: expected the text of an interval in quotes, got {short_repr(text)}"
        )
    return Stretch(milliseconds(start, where), milliseconds(end, where), text.strip(), tier)
