"""Cut the paths of files into parts: folders, and what ``_ -`` and blanks separate in names."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from emo.manifest.cells import SPLIT_WORDS

WHOLE_NAME = "name"
"""Title of the part that is the whole name of a file, where names have no separators."""
_LEAST_SHARE = 0.9
"""Least share of the files whose names must have the same number of parts."""
_SEPARATORS = (r"[_ -]+", r"_+", r"-+", r" +")


@dataclass(frozen=True)
class NamePart:
    """One part of the paths of all files."""

    title: str
    """Position for people: ``folder 1`` or ``name part 2``."""
    values: tuple[str, ...]
    """Name that each path has there; "" where it has none."""
    is_folder: bool
    """False: a part of the file's name."""

    @property
    def filled(self) -> list[str]:
        """Names of the files that have one there."""
        return [name for name in self.values if name]

    @property
    def distinct(self) -> frozenset[str]:
        """Names that occur there."""
        return frozenset(self.values) - {""}


@dataclass(frozen=True)
class Paths:
    """The parts of the paths of all files, and how they are joined."""

    folders: tuple[NamePart, ...]
    """Levels of folders, the outermost first."""
    names: tuple[NamePart, ...]
    """Parts of the files' names; one part where they have no separators."""
    separators: tuple[str, ...]
    """Text between the parts of the names, as most of the names have it."""
    depth: int | None
    """Number of folders above each file; None: it differs."""


def parts_of(paths: Sequence[str]) -> Paths:
    """Cut relative paths, written with ``/``, into parts."""
    folders = [PurePosixPath(path).parts[:-1] for path in paths]
    depths = set(map(len, folders))
    levels = [
        NamePart(f"folder {k + 1}", tuple(f[k] if k < len(f) else "" for f in folders), True)
        for k in range(max(depths))
    ]
    names, separators = _names([PurePosixPath(path).stem for path in paths])
    return Paths(tuple(levels), names, separators, min(depths) if len(depths) == 1 else None)


def split_parts(paths: Paths) -> list[NamePart]:
    """Return the parts whose names are splits: in all files, or for at least two splits.

    Of several levels of folders those with one split are passed over.
    """
    found = [part for part in (*paths.folders, *paths.names) if _are_splits(part)]
    folders = [part for part in found if part.is_folder] or found
    various = [part for part in folders if len(_splits_in(part)) > 1]
    return various or folders[:1]


def _are_splits(part: NamePart) -> bool:
    known = _splits_in(part)
    others = [name for name in part.distinct if name.lower() not in SPLIT_WORDS]
    return len(known) > 1 or (bool(known) and not others)


def _splits_in(part: NamePart) -> set[str]:
    return {SPLIT_WORDS[name.lower()] for name in part.distinct if name.lower() in SPLIT_WORDS}


def _names(stems: Sequence[str]) -> tuple[tuple[NamePart, ...], tuple[str, ...]]:
    """Cut the names without extension, at the separators by which most of them fit one scheme."""
    best: tuple[int, str, tuple[str, ...]] = (0, _SEPARATORS[0], ())
    for separator in _SEPARATORS:
        schemes = Counter(tuple(re.findall(separator, stem)) for stem in stems)
        scheme, count = schemes.most_common(1)[0]
        if count > best[0]:
            best = (count, separator, scheme)
    count, separator, scheme = best
    if count < _LEAST_SHARE * len(stems):
        return (), ()
    cut = [re.split(separator, stem) for stem in stems]
    fits = [tuple(re.findall(separator, stem)) == scheme for stem in stems]
    return tuple(
        NamePart(
            f"name part {k + 1}" if scheme else WHOLE_NAME,
            tuple(each[k] if fit else "" for each, fit in zip(cut, fits, strict=True)),
            False,
        )
        for k in range(len(scheme) + 1)
    ), scheme
