"""List the files below a download's folder once, and find files in the list."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from emo.errors import DatasetError
from emo.machine.untrusted.documents import DocumentError, checked, parse_checked
from emo.machine.untrusted.files import read_regular
from emo.machine.untrusted.kinds import Shape
from emo.manifest.folder import AUDIO, STILL, VIDEO, walk_folders
from emo.manifest.rows import read_rows

MOST_TEXT_BYTES = 2**28
"""Largest text file of a download that is read, 256 MiB."""


@dataclass(frozen=True)
class Tree:
    """All files below a folder, except hidden ones."""

    root: Path
    """Folder of the download."""
    files: tuple[str, ...]
    """Paths relative to ``root``, with ``/``; those nearest to the root first, then by name."""

    @cached_property
    def all(self) -> frozenset[str]:
        """Paths of all files as a set, for fast lookup."""
        return frozenset(self.files)

    @cached_property
    def media(self) -> tuple[str, ...]:
        """Paths of files with an extension of video or audio."""
        return tuple(f for f in self.files if os.path.splitext(f)[1].lower() in VIDEO + AUDIO)

    @cached_property
    def stills(self) -> tuple[str, ...]:
        """Paths of files with an extension of still pictures."""
        return tuple(f for f in self.files if os.path.splitext(f)[1].lower() in STILL)

    @cached_property
    def by_stem(self) -> Mapping[str, str]:
        """Name without extension -> path of each media file.

        Of several files one of video goes before sound that was taken out of it, then the one
        nearest to the root.
        """
        found = sorted(reversed(self.media), key=lambda f: os.path.splitext(f)[1].lower() in VIDEO)
        return {PurePosixPath(file).stem: file for file in found}

    @cached_property
    def _by_name(self) -> Mapping[str, str]:
        """File name -> path; of several files the one nearest to the root."""
        return {PurePosixPath(file).name: file for file in reversed(self.files)}

    def find(self, *names: str) -> str | None:
        """Return the path of a file with the first of these names that exists, in any folder.

        Of several such files the one nearest to the root is returned; None: there is none.
        """
        return next((self._by_name[name] for name in names if name in self._by_name), None)

    def expect(self, name: str, folder: str) -> str:
        """Return the path of the file ``name`` in any folder; if there is none, ``folder/name``."""
        return self.find(name) or f"{folder}/{name}"

    def ending(self, *endings: str) -> str | None:
        """Return the first path that ends with one of these, such as ``set_1/test.txt``.

        Of several paths the one nearest to the root is returned; None: there is none.
        """
        found = (f for name in endings for f in self.files if f"/{f}".endswith(f"/{name}"))
        return next(found, None)

    def folder_with(self, names: Iterable[str], default: str) -> str:
        """Return the first folder with one of these names (or path endings), else ``default``."""
        folders = dict.fromkeys(PurePosixPath(file).parent.as_posix() for file in self.files)
        for name in names:
            for folder in folders:
                if f"/{folder}".endswith(f"/{name}"):
                    return folder
        return default

    def text(self, file: str, errors: str = "strict") -> str:
        """Read a text file of the download, UTF-8.

        Args:
            file: path of the file, relative to ``root``.
            errors: what to do with bytes that are not UTF-8, as for ``bytes.decode``.

        Raises:
            DatasetError: the file cannot be read as text.
        """
        path = self.root / file
        try:
            data = read_regular(path, most_bytes=MOST_TEXT_BYTES, follow_links=True)
            return data.decode("utf-8-sig", errors=errors)
        except OSError as error:
            raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise DatasetError(f"{path}: expected the published text file: {error}") from error

    def document(self, file: str, kind: Shape) -> Any:
        """Read a JSON file, or a file of JSON lines (``.jsonl``) as a list, and check its types.

        Args:
            file: path of the file, relative to ``root``.
            kind: what the document must be; of JSON lines, what the list of them must be.

        Raises:
            DatasetError: the file is not JSON, or not as published.
        """
        text = self.text(file)
        try:
            if not file.endswith(".jsonl"):
                return parse_checked(text, kind, most_bytes=MOST_TEXT_BYTES)
            return checked(
                [parse_checked(line) for line in text.splitlines() if line.strip()], kind
            )
        except DocumentError as error:
            raise DatasetError(
                f"{self.root / file}: expected the published file: {error}"
            ) from error

    def records(self, file: str, columns: Iterable[str]) -> list[dict[str, str]]:
        """Read a table as a list of rows, each column name -> cell.

        Args:
            file: path of the table, relative to ``root``.
            columns: names of columns that it must have.

        Raises:
            DatasetError: the table lacks one of ``columns``.
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


def list_tree(folder: Path) -> Tree:
    """List a folder with its sub-folders; links to folders are followed, each folder once.

    Raises:
        DatasetError: no such folder.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder; name the one that holds the download")
    files = sorted(_files(folder), key=lambda file: (file.count("/"), file))
    return Tree(folder, tuple(files))


def _files(folder: Path) -> Iterator[str]:
    """Iterate over the relative paths of all files that are not hidden."""
    for parent, names in walk_folders(folder, hidden=(".", "__MACOSX")):
        base = os.path.relpath(parent, folder).replace(os.sep, "/")
        for name in names:
            if not name.startswith("."):
                yield name if base == "." else f"{base}/{name}"
