"""One folder or bucket's name below which clips are erased: survey it, change it, scan it."""

import shutil
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from emo.errors import StoreError
from emo.store.backend.commit import LOCK, TEMPORARY, is_abandoned
from emo.store.backend.location import Location
from emo.store.erase.edits import ErasedClips, edit_of, parquet_texts
from emo.store.erase.files import (
    UNFINISHED,
    contents,
    files_below,
    overwrite,
    remove_file,
    replace_file,
    sha256_of,
)
from emo.store.erase.heads import fitted_on
from emo.store.erase.packs import is_pack, rewrite_pack
from emo.store.erase.recipes import (
    has_outdated_index,
    index_ids,
    parts_with,
    recipe_folders,
    renew_index,
    rewrite_parts,
    rows_of,
    seen_lists,
    shorten_seen_lists,
)
from emo.store.erase.state import Survey
from emo.store.erase.token_rows import TokenFinder, TokenRows
from emo.store.erased_ids import ERASED
from emo.store.index.file import INDEX_START, index_paths
from emo.store.maintain.verify import QUARANTINED
from emo.store.part.reader import Part
from emo.store.recipe_folder import RecipeFolder

_DATA = (".npy", ".npz", ".json", ".csv", ".txt", ".jsonl", ".pt")
"""Endings of files that are removed if they are called after a clip; media are only reported."""


@dataclass(frozen=True)
class Remnant:
    """Something of the clips that is still there."""

    file: str
    """Path of the file."""
    what: str
    """What it holds, in words without the id."""


@dataclass
class Scan:
    """Result of a scan."""

    files: int = 0
    bytes: int = 0
    hits: list[Remnant] = field(default_factory=list)
    not_examined: list[str] = field(default_factory=list)
    """Files that are compressed in a way that cannot be looked into."""


class SearchedArea:
    """All files below one area."""

    def __init__(self, path: Location, clips: ErasedClips) -> None:
        """Look below ``path`` for ``clips``; nothing is read yet."""
        self.path, self.clips = path, clips

    def recipes(self) -> list[RecipeFolder]:
        """Return the recipes of all stores below the area."""
        return recipe_folders(files_below(self.path))

    def survey(self, found: Survey) -> None:
        """Add to ``found`` what the area holds of the clips."""
        files = [*self._files()]
        for folder in recipe_folders(files):
            for part in parts_with(folder, self.clips):
                found.before[str(part.path)] = sha256_of(part.path)
                held = (*part.clip_ids, *part.failures)
                found.entries += sum(k in self.clips.ids for k in held)
                self.clips.are_among(held)
                for tokens in rows_of(part, self.clips, of_erased=True):
                    found.add(tokens)
                part.release()
            stale = index_paths(folder.path) if has_outdated_index(folder, self.clips) else []
            for path in stale:
                with suppress(StoreError):  # damaged: it is made anew
                    self.clips.are_among(index_ids(path))
                found.before[str(path)] = sha256_of(path)
            for path, seen in seen_lists(folder.path, self.clips):
                self.clips.are_among(k for ids in seen.ids.values() for k in ids)
                found.before[str(path)] = sha256_of(path)
        for fitted in fitted_on(files, self.clips):
            found.fitted[fitted.path] = fitted
        for path in self._others(files):
            if is_pack(path):
                assert isinstance(path, Path)
                inner = Survey(rows=found.rows, tokens=found.tokens)
                rewrite_pack(path, partial(self._survey_pack, inner))
                found.entries += inner.entries
                if inner.before:
                    found.before[str(path)] = sha256_of(path)
            elif self._is_named(path) or self._edits(path):
                self._note_ids(path)
                found.before[str(path)] = sha256_of(path)

    def _survey_pack(self, inner: Survey, folder: Path) -> bool:
        SearchedArea(folder, self.clips).survey(inner)
        return False

    def kept_rows(self) -> Iterator[np.ndarray]:
        """Yield the tokens (T, D) of all other clips in the stores below the area."""
        for folder in self.recipes():
            for path in folder.part_paths:
                part = Part(path)
                yield from rows_of(part, self.clips, of_erased=False)
                part.release()

    def apply(self, rows: TokenRows) -> None:
        """Take the clips out of every file; what has nothing of them is not touched."""
        self.remove_unfinished()
        files = [*self._files()]
        for folder in recipe_folders(files):
            is_changed = bool(parts_with(folder, self.clips))
            rewrite_parts(folder, self.clips)
            shorten_seen_lists(folder, self.clips)
            if index_paths(folder.path) and (is_changed or has_outdated_index(folder, self.clips)):
                renew_index(folder)
        finder = rows.finder()
        for path in self._others(files):
            self._change(path, finder, rows)

    def _change(self, path: Location, finder: TokenFinder, rows: TokenRows) -> None:
        """Take the clips out of one file that is no part, index or list of a recipe."""
        if path.name.startswith((TEMPORARY, LOCK)):
            if is_abandoned(path):
                remove_file(path)
        elif path.name.startswith(QUARANTINED):
            if self._holds(path, finder):
                remove_file(path)
        elif is_pack(path):
            assert isinstance(path, Path)
            rewrite_pack(path, lambda folder: self._change_pack(folder, rows))
        elif self._is_named(path):
            remove_file(path)
        else:
            with contents(path) as data:
                edit = edit_of(path.name, bytes(data), self.clips)
            if edit and edit.pieces is not None:
                overwrite(path, edit.pieces, edit.data)
            elif edit:
                replace_file(path, edit.data)

    def _change_pack(self, folder: Path, rows: TokenRows) -> bool:
        inner, found = SearchedArea(folder, self.clips), Survey()
        inner.survey(found)
        if found.before:
            inner.apply(rows)
        return bool(found.before)

    def scan(self, finder: TokenFinder, found: Scan) -> None:
        """Read every byte below the area, and add to ``found`` what is still there."""
        for folder in self.recipes():
            for part in parts_with(folder, self.clips):
                found.hits.append(Remnant(self._shown(part.path), "a part with a clip"))
        for path in self._files():
            found.files += 1
            try:
                self._scan_file(path, finder, found)
            except FileNotFoundError:
                continue  # compacted or replaced meanwhile; what replaced it comes later, or again

    def _scan_file(self, path: Location, finder: TokenFinder, found: Scan) -> None:
        shown = self._shown(path)
        if self.clips.pattern.is_in(path.name.encode("utf-8", "surrogatepass")):
            found.hits.append(Remnant(shown, "a file that is called after a clip"))
        with contents(path) as data:
            found.bytes += len(data)
            is_columns = path.name.endswith(".parquet")  # compressed: their texts are read instead
            at = None if is_columns else next(self.clips.pattern.find(data), None)
            if at:
                self.clips.found.update(self.clips.pattern.ids_in(data))
                word = bytes(data[slice(*at)]).decode("utf-8", "replace")
                what = "the address or ETag of a clip" if word in self.clips.media else "an id"
                found.hits.append(Remnant(shown, f"{what}, from byte {at[0]:,}"))
            token = next(finder.find(data), None)
            if token is not None:
                found.hits.append(Remnant(shown, f"a token, from byte {token:,}"))
            if at is None:
                self._scan_inside(path, data, found)

    def _scan_inside(self, path: Location, data: bytes, found: Scan) -> None:
        """Look into what the bytes of a file do not show: columns, compressed members."""
        shown = self._shown(path)
        if path.name.startswith(INDEX_START) and path.name.endswith(".zarr.zip"):
            if not self.clips.ids.isdisjoint(index_ids(path)):
                found.hits.append(Remnant(shown, "an index with a clip"))
        elif path.name.endswith(".zarr.zip"):
            return
        elif path.name.endswith(".parquet"):
            texts = "\n".join(parquet_texts(bytes(data))).encode("utf-8", "surrogatepass")
            if self.clips.pattern.is_in(texts) or self._edits(path):
                found.hits.append(Remnant(shown, "a row of a clip"))
        elif bytes(data[:2]) == b"\x1f\x8b" or bytes(data[:8]) == b"\x89HDF\r\n\x1a\n":
            found.not_examined.append(shown)
        elif isinstance(path, Path) and bytes(data[:2]) == b"PK" and zipfile.is_zipfile(path):
            self._scan_zip(path, found)
        elif self._edits(path):
            found.hits.append(Remnant(shown, "an entry of a clip"))

    def _scan_zip(self, path: Path, found: Scan) -> None:
        try:
            with zipfile.ZipFile(path) as archive:
                for info in archive.infolist():
                    if info.compress_type != zipfile.ZIP_STORED and self.clips.pattern.is_in(
                        archive.read(info)
                    ):
                        found.hits.append(Remnant(self._shown(path), "a member with an id"))
        except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError):
            found.not_examined.append(self._shown(path))

    def remove_unfinished(self) -> None:
        """Remove the files and folders that a killed erasure left."""
        if isinstance(self.path, Path):
            for path in sorted(self.path.rglob(f"{UNFINISHED}*")):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    remove_file(path)

    def _holds(self, path: Location, finder: TokenFinder) -> bool:
        with contents(path) as data:
            whole = bytes(data)
        return (
            self.clips.pattern.is_in(whole)
            or finder.is_in(whole)
            or any(f'"{k}"'.encode("utf-8", "surrogatepass") in whole for k in self.clips.ids)
        )

    def _edits(self, path: Location) -> bool:
        """Return whether a file of rows, documents or lines holds an entry of the clips."""
        with contents(path) as data:
            return edit_of(path.name, bytes(data), self.clips) is not None

    def _note_ids(self, path: Location) -> None:
        """Note which ids the name and the bytes of a file hold."""
        self.clips.are_among([path.name.rpartition(".")[0]])
        with contents(path) as data:
            self.clips.found.update(self.clips.pattern.ids_in(data))

    def _is_named(self, path: Location) -> bool:
        stem, dot, end = path.name.rpartition(".")
        return f"{dot}{end}".lower() in _DATA and stem in self.clips.ids

    def _files(self) -> Iterator[Location]:
        """Yield all files but the store's own record of what was erased."""
        for path in files_below(self.path):
            if path.parent.name != ERASED:
                yield path

    def _others(self, files: Iterable[Location]) -> Iterator[Location]:
        """Yield the files that are no part, index or list of a recipe."""
        folders = {folder.path for folder in recipe_folders(files)}
        for path in files:
            inside = path.parent in folders
            if not (inside and path.name.startswith(("part-", INDEX_START, "adapted-"))):
                yield path

    def _shown(self, path: Location) -> str:
        """Return a path without ids, for the receipt."""
        return self.clips.pattern.without(str(path))


def read_or_refuse(path: Location) -> None:
    """Raise an error if an area is no folder.

    Raises:
        StoreError: nothing lies there, or a file.
    """
    if not path.exists():
        raise StoreError(f"{path}: there is nothing; name the folder of the runs or predictions")
    if path.is_file() and not path.is_dir():
        raise StoreError(
            f"{path} is a file; clips are erased below folders: name the one with it, {path.parent}"
        )
