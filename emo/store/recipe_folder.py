"""One recipe of a store: its clips, each once, and their tokens."""

import bisect
import difflib
import json
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from emo.errors import StoreError
from emo.plugins import unknown
from emo.ragged import Ragged
from emo.store.backend.location import Location, file_names
from emo.store.backend.object_path import ObjectPath
from emo.store.backend.parallel import at_once
from emo.store.index.file import DamagedIndexError, index_paths, open_index
from emo.store.index.gather import OpenParts, StreamRows
from emo.store.index.indexed import Indexed
from emo.store.index.merged import Merged
from emo.store.lazy import LazyIds
from emo.store.part.reader import Part
from emo.store.part.zip import DamagedPart, GoneError
from emo.store.recipe import RECIPE_FILE, Recipe

V = TypeVar("V")

_NEAR_IDS = 1000
"""Ids among which the nearest to an unknown one is looked for; a million would take a minute."""


class RecipeFolder:
    """The sub-folder of one recipe; parts are opened when something is first asked of them."""

    def __init__(self, path: Location) -> None:
        """Open the folder ``path``.

        Raises:
            StoreError: its ``recipe.json`` cannot be read.
        """
        self.path = path
        self.name = path.name
        self._is_remote = isinstance(path, ObjectPath)
        self.recipe = read_recipe(path)
        self._fingerprint = self.recipe.fingerprint
        self._parts: dict[str, Part] = {}
        self._names: list[str] = []
        self._merged: Merged | Indexed | None = None
        self._may_use_index = True
        self._rows: dict[str, StreamRows] = {}
        self._opened = OpenParts()
        self.refresh()

    def __reduce__(self) -> tuple[type["RecipeFolder"], tuple[Location]]:
        """Pickled, it is opened anew where it is read."""
        return RecipeFolder, (self.path,)

    @property
    def ids(self) -> Sequence[str]:
        """Finished clips, each once, in order of part file name, then position."""
        clips = self._ask(lambda clips: clips)
        if isinstance(clips, Merged):
            return clips.ids
        return LazyIds(len(clips), lambda: self._ask(lambda clips: clips.ids))

    @property
    def failures(self) -> dict[str, str]:
        """Clip id -> reason, of clips without tokens; see :mod:`emo.store.index.merged`."""
        return self._ask(lambda clips: clips.failures)

    @property
    def sources(self) -> dict[str, str]:
        """Clip id -> source hash of the winning entry, failed clips included."""
        return self._ask(lambda clips: clips.sources)

    @property
    def attempts(self) -> dict[str, int]:
        """Clip id -> the highest attempt made at it."""
        return self._ask(lambda clips: clips.attempts)

    @property
    def absent(self) -> dict[str, dict[str, str]]:
        """Clip id -> stream -> why the clip lacks it."""
        return self._ask(lambda clips: clips.absent)

    @property
    def notes(self) -> dict[str, dict[str, float]]:
        """Clip id -> numbers kept beside its tokens."""
        return self._ask(lambda clips: clips.notes)

    @property
    def part_paths(self) -> list[Location]:
        """The committed parts, in order of their names; none of them is opened."""
        return [self.path / name for name in self._names]

    def read(
        self, stream: str, ids: Sequence[str] | None = None, *, threads: int | None = None
    ) -> Ragged:
        """Tokens of a stream, copied into RAM, verified.

        Args:
            stream: its name.
            ids: clips, in the order wanted; None: all finished ones in the order of :attr:`ids`.
            threads: None: 2 for a large read, else 1.

        Returns:
            One entry an id; of length 0 for a clip without this stream.

        Raises:
            StoreError: an unknown stream or clip (the nearest is offered), or a damaged part.
        """
        try:
            if ids is not None and len(ids) == 1 and stream in self._rows:  # the short way
                return self._rows[stream].one(self.merged.slots[ids[0]])
        except (KeyError, DamagedIndexError, GoneError):
            pass  # the long way says what it is
        return self._ask(lambda clips: self._read(clips, stream, ids, threads))

    def read_present(self, stream: str, ids: Sequence[str]) -> Ragged:
        """As :meth:`read`, but a clip the recipe has no tokens of has length 0."""

        def read(clips: Merged | Indexed) -> Ragged:
            slots = np.array([clips.slots.get(clip_id, -1) for clip_id in ids], np.int64)
            return self._stream(stream).many(slots)

        return self._ask(read)

    def lengths(self, stream: str) -> np.ndarray:
        """(N,) int64, tokens of each clip of :attr:`ids` in a stream; 0 where it is absent."""
        return self._ask(lambda clips: self._stream(stream).lengths(clips.order))

    def refresh(self) -> None:
        """See parts that were committed, and forget those set aside, since the last look."""
        try:
            names = sorted(name for name in file_names(self.path) if _is_part(name))
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error.strerror}") from error
        if names != self._names:
            self._names = names
            self._forget()

    def reopen(self) -> None:
        """As :meth:`refresh`, and look for an index again."""
        self._may_use_index = True
        self._forget()
        self.refresh()

    def open_part(self, path: Location) -> Part:
        """One part, opened once.

        Raises:
            StoreError: it is damaged, gone, or of another recipe.
        """
        part = self._parts.get(path.name)
        if part is None:
            part = Part(path)
            if part.fingerprint != self._fingerprint:
                what = f"it is of recipe {part.fingerprint}, not {self._fingerprint}"
                raise DamagedPart(path, what)
            self._parts[path.name] = part
        return part

    @property
    def merged(self) -> Merged | Indexed:
        """All parts as one: as the index tells when there is a usable one, else from them."""
        if self._merged is None:
            indexed = self._indexed()
            self._merged = self.merge() if indexed is None else indexed
        return self._merged

    def merge(self) -> Merged:
        """All parts as one, read from themselves whatever an index says."""
        parts = at_once(self._is_remote, self.open_part, self.part_paths)
        self._parts = dict(zip(self._names, parts, strict=True))
        return Merged(parts)

    def _indexed(self) -> Indexed | None:
        for path in index_paths(self.path) if self._may_use_index else ():
            columns = open_index(path, self._fingerprint, set(self._names))
            if columns is not None:
                try:
                    return Indexed(columns, self._names, self.recipe.streams, self._open_named)
                except DamagedIndexError:
                    continue
        return None

    def _open_named(self, name: str) -> Part:
        return self.open_part(self.path / name)

    def _ask(self, question: Callable[[Merged | Indexed], V]) -> V:
        """Answer from all parts, also when an index fails or parts are replaced meanwhile."""
        while True:
            try:
                return question(self.merged)
            except DamagedIndexError:
                self._may_use_index = False
                self._forget()
            except GoneError:
                names = self._names
                self.refresh()  # `emo store compact` may have put their clips elsewhere
                if names == self._names:
                    raise

    def _forget(self) -> None:
        self._merged, self._rows = None, {}

    def _read(
        self, clips: Merged | Indexed, stream: str, ids: Sequence[str] | None, threads: int | None
    ) -> Ragged:
        rows = self._rows.get(stream) or self._stream(stream)
        if ids is None:
            return rows.many(clips.order, threads=threads)
        slots = clips.slots
        try:
            if len(ids) == 1:
                return rows.one(slots[ids[0]])
            return rows.many(np.array([slots[clip_id] for clip_id in ids], np.int64))
        except KeyError as error:
            raise StoreError(self._unknown_clip(error.args[0])) from None

    def _stream(self, stream: str) -> StreamRows:
        rows = self._rows.get(stream)
        if rows is None:
            if stream not in self.recipe.streams:
                raise StoreError(f"{self.path}: {unknown('stream', stream, self.recipe.streams)}")
            spec = self.recipe.streams[stream]
            rows = self._rows[stream] = StreamRows(
                self.merged, stream, spec, self._opened, is_remote=self._is_remote
            )
        return rows

    def _unknown_clip(self, clip_id: str) -> str:
        if clip_id in self.failures:
            return f"{self.path}: clip {clip_id!r} failed: {self.failures[clip_id]}"
        ids = sorted(self.ids)
        index = bisect.bisect(ids, clip_id)
        around = ids[max(0, index - _NEAR_IDS // 2) : index + _NEAR_IDS // 2]
        nearest = difflib.get_close_matches(clip_id, around, n=1, cutoff=0.5)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
        return f"{self.path}: no clip {clip_id!r} among its {len(ids)}{hint}"


def _is_part(name: str) -> bool:
    return name.startswith("part-") and name.endswith(".zarr.zip")


def read_recipe(folder: Location) -> Recipe:
    """The recipe of a folder.

    Raises:
        StoreError: there is none, or it is no recipe.
    """
    file = folder / RECIPE_FILE
    try:
        document = json.loads(file.read_bytes())
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StoreError(f"{file} is no JSON ({error}); restore it from a copy") from error
    recipe = Recipe.from_json(document)
    if document.get("fingerprint") != recipe.fingerprint:
        raise StoreError(
            f"{file}: its fingerprint is {document.get('fingerprint')}, but what it says makes "
            f"{recipe.fingerprint}. It was edited by hand; restore it."
        )
    return recipe
