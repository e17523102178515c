"""Patterns such as ``{split}/{label}/{speaker}_{take}``: which columns the paths of files hold."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from emo.errors import ManifestError
from emo.manifest.folder import AUDIO, STILL, VIDEO

FIELD = re.compile(r"\{([A-Za-z_]\w*)\}")


def columns_by(pattern: str, paths: Sequence[str]) -> list[dict[str, str] | None]:
    """Return the columns that a pattern finds in each path; None: it does not fit.

    A pattern is compared with the end of the path: with the file's name, and with as many folders
    above it as the pattern has. An extension of media at its end may be left out. Fields whose
    names begin with an underscore, such as ``{_}``, match but are no columns.

    Args:
        pattern: texts, and columns in braces.
        paths: relative paths, written with ``/``.

    Raises:
        ManifestError: the pattern has no field or a field twice, or fits no path.
    """
    expression = _expression(pattern)
    has_extension = PurePosixPath(pattern).suffix.lower() in VIDEO + AUDIO + STILL
    found = [
        expression.fullmatch(path if has_extension else path[: -len(PurePosixPath(path).suffix)])
        for path in paths
    ]
    if not any(found):
        raise ManifestError(
            f"pattern {pattern!r} fits none of {len(paths):,} files, such as {paths[0]}; it is "
            "compared with the end of the path, and the extension may be left out"
        )
    return [match.groupdict() if match else None for match in found]


def fields_of(pattern: str) -> list[str]:
    """Return the columns that a pattern names.

    >>> fields_of("{label}/{speaker}_{_}.wav")
    ['label', 'speaker']
    """
    return [field for field in FIELD.findall(pattern) if not field.startswith("_")]


def _expression(pattern: str) -> re.Pattern[str]:
    """Compile a pattern to a regular expression with a group for each column.

    Raises:
        ManifestError: the pattern has no field, or a column twice.
    """
    fields = fields_of(pattern)
    if not FIELD.search(pattern) or len(set(fields)) < len(fields):
        raise ManifestError(
            f"pattern {pattern!r}: expected one or more different columns in braces, such as "
            "{split}/{label}/{speaker}_{take}"
        )
    pieces = FIELD.split(pattern.removeprefix("./"))
    text = "".join(
        re.escape(piece)
        if index % 2 == 0
        else f"(?P<{piece}>[^/]+?)"
        if not piece.startswith("_")
        else "[^/]+?"
        for index, piece in enumerate(pieces)
    )
    return re.compile(f"(?:.*/)?{text}")
