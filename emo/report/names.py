"""Names on the page: of runs without their folders, of people as numbers, texts without paths."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from emo.errors import line_of
from emo.heads.runs.files import shown_path

_FOLDERS = re.compile(
    r"(?:file:/{0,2}(?=/)|(?<![\w.:/\\])[A-Za-z]:|(?<![\w.:/\\])~|(?<![\w.:/\\]))"
    r"[/\\]{1,2}(?:[^\s/\\:'\",;()]+[/\\])+"
)
"""The folders of an absolute path, in a sentence."""
_ABSOLUTE = re.compile(r"(?:file:)?[/\\~]|[A-Za-z]:[/\\]")
"""Beginning of an absolute path."""
_DEEP = 3
"""Number of parts from which a shared folder lies below the folder of a user."""
PEOPLE = ("id", "speaker", "dialogue", "cause_id", "fold")
"""Columns whose values ``--anonymous`` replaces by numbers."""


def without_folders(text: str) -> str:
    """Return a text in which absolute paths are only the names of their files.

    >>> without_folders("see /home/ann/data/clips.csv, or runs/a and 1/2")
    'see clips.csv, or runs/a and 1/2'
    """
    return _FOLDERS.sub("", line_of(text))


def run_names(paths: Sequence[Path]) -> dict[Path, str]:
    """Return a different name for each run: the last part of its path, more if two were equal.

    Folders of users are never named: where runs differ only in these, they are numbered.

    >>> [*run_names([Path("runs/a"), Path("runs/b")]).values()]
    ['a', 'b']
    """
    parts = {path: Path(shown_path(path.absolute())).parts for path in paths}
    last = [own[-1] if own else "run" for own in parts.values()]
    if len(set(last)) == len(last):
        return dict(zip(parts, last, strict=True))
    shared = 0
    while len({own[: shared + 1] for own in parts.values()}) == 1:
        shared += 1
    if shared > _DEEP:
        return {path: "/".join(own[shared:]) for path, own in parts.items()}
    return {path: f"{own[-1]} ({number})" for number, (path, own) in enumerate(parts.items(), 1)}


class Names:
    """What ids, speakers and dialogues are called on the page."""

    def __init__(self, *, is_anonymous: bool) -> None:
        """Begin without any names.

        Args:
            is_anonymous: whether values of ``PEOPLE`` are numbered in the order in which they come.
        """
        self.is_anonymous = is_anonymous
        self._known: dict[str, dict[str, str]] = {}

    def of(self, column: str, value: str) -> str:
        """Return the name on the page of a column's value.

        >>> Names(is_anonymous=True).of("speaker", "Ann"), Names(is_anonymous=False).of("id", "a")
        ('speaker 1', 'a')
        """
        kind = {"cause_id": "id"}.get(column, column)
        if not self.is_anonymous or column not in PEOPLE or not value:
            return self._without_path(value) if kind == "id" else line_of(value)
        known = self._known.setdefault(kind, {})
        word = "clip" if kind == "id" else kind
        return known.setdefault(value, f"{word} {len(known) + 1}")

    def _without_path(self, value: str) -> str:
        """Return an id; one that is an absolute path without its folders, and with a number."""
        short = without_folders(value)
        if _ABSOLUTE.match(line_of(value)):  # an id is one path, whatever blanks are in it
            short = re.split(r"[/\\]", line_of(value).rstrip("/\\"))[-1]
        if short == line_of(value):
            return short
        known = self._known.setdefault("path", {})
        return known.setdefault(value, f"{short} ({len(known) + 1})")


def replaced(text: str, names: Mapping[Path, str]) -> str:
    """Return a text in which the paths of runs are their names, and other paths have no folders."""
    for path in sorted(names, key=lambda each: -len(str(each))):
        text = text.replace(str(path), names[path]).replace(shown_path(path), names[path])
    return without_folders(text)
