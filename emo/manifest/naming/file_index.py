"""Find the file that a cell of a table names: by path, by the end of its path, or by its name."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

from emo.manifest.folder import AUDIO, STILL, VIDEO
from emo.manifest.spelling import plain

_KINDS = (*VIDEO, *AUDIO, *STILL)


class FileIndex:
    """Finds files by the names that tables have for them.

    A cell names a file by its path, by the end of it (``happy/anna_1.mp4``, ``anna_1``), or by a
    longer path that ends with it. The extension may be another one of media or left out; ``\\`` is
    read as ``/``. If nothing is found so, case, leading zeros and forms of Unicode do not count.
    """

    def __init__(self, files: Sequence[str]) -> None:
        """List all names of the files.

        Args:
            files: relative paths, written with ``/``.
        """
        bare = [_bare(_normal(file)) for file in files]
        self._whole = _index(enumerate(map(_normal, files)))
        self._exact = _index(
            (k, end) for k, file in enumerate(files) for end in _ends(_normal(file))
        )
        self._full = _index(enumerate(bare))
        self._bare = _index((k, end) for k, file in enumerate(bare) for end in _ends(file))
        self._plain = _index((k, plain(end)) for k, file in enumerate(bare) for end in _ends(file))

    def find(self, cell: str, folder: str = "", *, is_number_enough: bool = True) -> list[int]:
        """Return the indices of the files that a cell may mean; several: it does not say which.

        Args:
            cell: the text.
            folder: relative path of the folder that the table lies in, tried first.
            is_number_enough: whether 1 is ``001.wav``; False: it may be the number of a row.
        """
        name = _normal(cell)
        if folder and (found := self._whole.get(f"{folder}/{name}")):
            return found
        bare = _bare(name)
        longer = bare.split("/")
        tails = ["/".join(longer[k:]) for k in range(1, len(longer))]
        return (
            self._exact.get(name)
            or self._bare.get(bare)
            or next((self._full[tail] for tail in tails if tail in self._full), [])
            or (self._plain.get(plain(bare)) if is_number_enough or not bare.isdecimal() else None)
            or []
        )


def _index(pairs: Iterable[tuple[int, str]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for index, name in pairs:
        found[name].append(index)
    return dict(found)


def _normal(path: str) -> str:
    """Return a path with ``/``, without ``./`` before it, in one form of Unicode."""
    text = unicodedata.normalize("NFC", path.strip()).replace("\\", "/")
    return text.removeprefix("./")


def _bare(path: str) -> str:
    """Return a path without its extension if that is one of media."""
    start, kind = os.path.splitext(path)
    return start if kind.lower() in _KINDS else path


def _ends(path: str) -> list[str]:
    """Return a path and all ends of it, down to the file's name."""
    parts = path.split("/")
    return ["/".join(parts[k:]) for k in range(len(parts))]
