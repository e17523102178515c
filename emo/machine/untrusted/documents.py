"""Read a JSON document and hold it against a description of its types, before it is used.

Example::

    JOB = Fields({"version": int, "clips": ListOf(str)}, optional={"notes": MapOf(float)})
    document = read_checked(path, JOB, most_bytes=2**20, error=StoreError, advice="restore it")

Each function says what is wrong in one line without the file's name; :func:`read_checked` adds the
file's name and the advice.
"""

import json
from pathlib import Path
from typing import Any

from emo.errors import EmoError
from emo.machine.untrusted.files import UnfitFileError, read_regular
from emo.machine.untrusted.kinds import Shape, problem

MOST_DOCUMENT_BYTES = 2**26
"""Default for the largest document that is parsed, 64 MiB."""


class DocumentError(ValueError):
    """The bytes are not a document of the described types; the message says what is wrong."""


def parse_checked(
    data: bytes | str, kind: Shape | None = None, *, most_bytes: int = MOST_DOCUMENT_BYTES
) -> Any:
    """Parse JSON, and check its types.

    Args:
        data: the bytes, UTF-8, or the text.
        kind: what the document must be, see :mod:`emo.machine.untrusted.kinds`; None: any JSON.
        most_bytes: largest size of ``data``.

    Raises:
        DocumentError: too large, not JSON, nested too deeply, or of other types.
    """
    if len(data) > most_bytes:
        raise DocumentError(f"it has {len(data):,} bytes; at most {most_bytes:,} are read")
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
        document = json.loads(text)
    except RecursionError:
        raise DocumentError("its lists or objects are nested too deeply") from None
    except ValueError as error:
        raise DocumentError(f"it is not valid JSON: {shortened(str(error))}") from error
    if kind is not None:
        checked(document, kind)
    return document


def checked(document: Any, kind: Shape) -> Any:
    """Return ``document`` after checking that it is what ``kind`` describes.

    Raises:
        DocumentError: it is not; the message names the entry, what was expected, what was found.
    """
    found = problem(document, kind)
    if found:
        raise DocumentError(found)
    return document


def read_checked(
    path: Path,
    kind: Shape,
    *,
    most_bytes: int = MOST_DOCUMENT_BYTES,
    error: type[EmoError] = EmoError,
    advice: str = "",
    follow_links: bool = True,
) -> Any:
    """Read a JSON file whose types are described.

    Args:
        path: the file; it must be a regular file (not a pipe, device or folder).
        kind: what the document must be.
        most_bytes: largest size of the file.
        error: kind of error to raise.
        advice: what the user can do, put at the end of the message.
        follow_links: False: a symbolic link is refused.

    Raises:
        EmoError: of the class ``error``, with one line that names the file.
    """
    end = f"; {advice}" if advice else ""
    try:
        data = read_regular(path, most_bytes=most_bytes, follow_links=follow_links)
        return parse_checked(data, kind, most_bytes=most_bytes)
    except OSError as cause:
        raise error(f"{path} cannot be read: {cause.strerror}{end}") from cause
    except (DocumentError, UnfitFileError) as cause:
        raise error(f"{path}: {cause}{end}") from cause


def short_repr(text: str, most: int = 80) -> str:
    """Return a cell or name of a foreign file in quotes for a message, of at most ``most`` letters.

    >>> print(short_repr("a\\nb"), short_repr(300 * "9", 8))
    'a\\nb' '999999…
    """
    return shortened(repr(text[: most + 1]), most)


def shortened(text: str, most: int = 200) -> str:
    """Return ``text`` as one line of at most ``most`` characters, control characters escaped.

    >>> shortened("a\\nb" + 300 * "c", 8)
    'a\\\\nbccc…'
    """
    line = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text[: most + 1])
    return line if len(line) <= most else f"{line[: most - 1]}…"
