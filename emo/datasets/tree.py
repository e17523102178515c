"""Tree: the files below a download's folder, listed once."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from emo.errors import DatasetError
from emo.manifest.make import AUDIO, VIDEO
from emo.manifest.rows import read_rows


@dataclass(frozen=True)
class Tree:
    """A folder's files; hidden ones are left out."""

    root: Path
    files: tuple[str, ...]
    """Relative to ``root`` with ``/``; those nearest to the root first, then by name."""

    @cached_property
    def all(self) -> frozenset[str]:
        """The files, to ask whether one is there."""
        return frozenset(self.files)

    @cached_property
    def media(self) -> tuple[str, ...]:
        """Files with an extension of video or audio."""
        return tuple(f for f in self.files if os.path.splitext(f)[1].lower() in VIDEO + AUDIO)

    @cached_property
    def _by_name(self) -> Mapping[str, str]:
        return {PurePosixPath(file).name: file for file in reversed(self.files)}

    def find(self, *names: str) -> str | None:
        """The file with the first of these names that lies anywhere below; nearest to the root."""
        return next((self._by_name[name] for name in names if name in self._by_name), None)

    def expect(self, name: str, folder: str) -> str:
        """Where the file lies, or else where it should: ``folder/name``."""
        return self.find(name) or f"{folder}/{name}"

    def folder_with(self, names: Iterable[str], default: str) -> str:
        """The first folder of this name (or path ending) that holds files, else ``default``."""
        folders = dict.fromkeys(PurePosixPath(file).parent.as_posix() for file in self.files)
        for name in names:
            for folder in folders:
                if f"/{folder}".endswith(f"/{name}"):
                    return folder
        return default

    def records(self, file: str, columns: Iterable[str]) -> list[dict[str, str]]:
        """The rows of a table by column.

        Raises:
            DatasetError: it lacks one of ``columns``.
        """
        rows = read_rows(self.root / file)
        lacking = [name for name in columns if name not in rows.columns]
        if lacking:
            raise DatasetError(
                f"{self.root / file}: expected a column {lacking[0]!r}; found "
                f"{', '.join(map(repr, rows.columns))}. Is it the published table?"
            )
        cells = [[cell.strip() for cell in column] for column in rows.columns.values()]
        return [dict(zip(rows.columns, line, strict=True)) for line in zip(*cells, strict=True)]


def look(folder: Path) -> Tree:
    """List a folder with its sub-folders; links to folders are followed, each folder once.

    Raises:
        DatasetError: no such folder.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder; name the one that holds the download")
    files = sorted(_files(folder), key=lambda file: (file.count("/"), file))
    return Tree(folder, tuple(files))


def _files(folder: Path) -> Iterator[str]:
    seen = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in seen:
            folders[:] = []
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        base = os.path.relpath(parent, folder).replace(os.sep, "/")
        for name in names:
            if not name.startswith("."):
                yield name if base == "." else f"{base}/{name}"
