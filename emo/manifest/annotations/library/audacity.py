"""Read label tracks of Audacity: lines of start, end and label, separated by tabs.

Source: Audacity manual, "Importing and Exporting Labels". Lines that begin with a backslash are
the frequencies of a spectral selection.
"""

from pathlib import Path
from typing import ClassVar

from emo.errors import ManifestError
from emo.manifest.annotations.format import (
    AnnotationFormat,
    Annotations,
    Stretch,
    milliseconds,
    read_text,
)


class Audacity(AnnotationFormat):
    """Labels of Audacity (File > Export > Export Labels), .txt."""

    extensions: ClassVar[tuple[str, ...]] = (".txt",)
    is_told_by_extension: ClassVar[bool] = False

    @classmethod
    def read(cls, path: Path) -> Annotations:
        """Read the lines of a label track."""
        stretches = []
        for number, line in enumerate(read_text(path).splitlines(), start=1):
            if not line.strip() or line.startswith("\\"):
                continue
            where = f"{path}: line {number}"
            cells = line.split("\t")
            if len(cells) not in (2, 3):
                raise ManifestError(
                    f"{where}: expected start, end and label between tabs, got {line[:60]!r}"
                )
            start, end = (milliseconds(_point(cell), where) for cell in cells[:2])
            stretches.append(Stretch(start, end, "".join(cells[2:]).strip()))
        return Annotations(stretches)


def _point(number: str) -> str:
    """Return a number with a decimal point; older versions wrote commas in some countries."""
    return number.strip().replace(",", ".")
