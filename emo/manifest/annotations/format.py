"""The AnnotationFormat contract: read one file of annotations as stretches of recordings.

A new format is one file in ``emo/manifest/annotations/library/`` with one public subclass.
`emo manifest annotations` finds it by the file's name or by its extensions. This one is complete:

>>> class Lines(AnnotationFormat):
...     extensions = (".lines",)
...
...     @classmethod
...     def read(cls, path):
...         lines = [line.split() for line in read_text(path).splitlines()]
...         return Annotations([Stretch(int(a), int(b), value) for a, b, value in lines])

>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     file = Path(folder, "a.lines")
...     letters = file.write_text("0 1500 joy")
...     Lines.read(file).stretches
[Stretch(start_ms=0, end_ms=1500, value='joy', tier='', speaker='', text='', recording='')]
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import ClassVar, Literal

from emo.errors import ManifestError
from emo.machine.untrusted.documents import short_repr
from emo.machine.untrusted.files import UnfitFileError, read_regular
from emo.manifest.tables.encoding import likely_encoding, wide_unicode

MOST_ANNOTATION_BYTES = 2**26
"""Largest file of annotations that is read."""
_LONGEST_MS = 10**11
"""Latest time that is read: three years."""


@dataclass(frozen=True)
class Stretch:
    """One annotation: a stretch of a recording, and what was written there."""

    start_ms: int
    """Start in the recording, milliseconds."""
    end_ms: int
    """End in the recording, milliseconds."""
    value: str = ""
    """What the annotation says."""
    tier: str = ""
    """Name of the tier (layer of annotations); "" where the format has none."""
    speaker: str = ""
    """Who speaks; "" where the file does not tell."""
    text: str = ""
    """Words that are said, where the format has them beside ``value``."""
    recording: str = ""
    """Name of the recording in a file about several; "": the file's own name tells it."""


@dataclass(frozen=True)
class MediaReference:
    """A media file that a file of annotations names."""

    url: str
    """Path relative to the file of annotations, or any URL, whose last part is the name."""
    offset_ms: int = 0
    """Time in the media file of the time 0 of the annotations, milliseconds."""


@dataclass(frozen=True)
class Annotations:
    """Contents of one file of annotations."""

    stretches: Sequence[Stretch]
    """The annotations, in the order of the file."""
    media: Sequence[MediaReference] = ()
    """Media files that the file names."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Reason -> number of annotations that are no stretches, such as points in time."""
    notes: Sequence[str] = ()
    """Lines for people on what may have been read wrong."""


class AnnotationFormat(ABC):
    """Reader of one format of annotations; it has class methods only and is not instantiated."""

    extensions: ClassVar[tuple[str, ...]]
    """Extensions in lower case by which a file of the format is told."""
    is_told_by_extension: ClassVar[bool] = True
    """False: files with these extensions can be anything, so that a folder is not searched for
    them unless the format is named."""
    holds: ClassVar[Literal["label", "text"]] = "label"
    """Column of the manifest that an annotation's ``value`` usually is."""

    @classmethod
    @abstractmethod
    def read(cls, path: Path) -> Annotations:
        """Read a file.

        Args:
            path: the file; use :func:`read_text` or :func:`read_bytes`, which bound its size.

        Raises:
            ManifestError: the file is not of this format; the message names the line or entry.
        """


def read_bytes(path: Path) -> bytes:
    """Read a regular file of at most ``MOST_ANNOTATION_BYTES``.

    Raises:
        ManifestError: the file cannot be read, is no regular file, or is too large.
    """
    try:
        return read_regular(path, most_bytes=MOST_ANNOTATION_BYTES, follow_links=True)
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}") from error
    except UnfitFileError as error:
        raise ManifestError(f"{path}: {error}") from error


def read_text(path: Path) -> str:
    """Read a text in UTF-8, or in UTF-16 as Praat writes it.

    Raises:
        ManifestError: the file cannot be read, or is in another encoding.
    """
    data = read_bytes(path)
    wide = wide_unicode(data)
    try:
        if wide is None:
            return data.decode("utf-8-sig")
        kind = wide[1].replace("utf-16le", "utf-16-le").replace("utf-16be", "utf-16-be")
        return data.decode(kind).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        name, kind = likely_encoding(data)
        raise ManifestError(
            f"{path}: expected UTF-8 or UTF-16, found byte 0x{data[error.start]:02x} at "
            f"{error.start:,}; save it as UTF-8 (from {name}: iconv -f {kind} -t utf-8 {path.name})"
        ) from error


def milliseconds(seconds: str, where: str) -> int:
    """Parse seconds, such as ``1.2345`` -> 1234 (halves to even).

    Args:
        seconds: the number as text.
        where: position for the error message, such as ``a.rttm: line 3``.

    Raises:
        ManifestError: not a number, below 0, or above three years.
    """
    try:
        value = Decimal(seconds)
        number = round(value * 1000) if value.is_finite() and abs(value) < _LONGEST_MS else -1
    except InvalidOperation:
        number = -1
    if not 0 <= number < _LONGEST_MS:
        raise ManifestError(
            f"{where}: expected a time in seconds such as 1.5, got {short_repr(seconds)}"
        )
    return number
