"""One recipe of a store: its clips, each once, and their tokens."""

import bisect
import difflib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emo.errors import StoreError
from emo.plugins import unknown
from emo.ragged import Ragged
from emo.store.archive import DamagedPart
from emo.store.gather import OpenParts, StreamRows
from emo.store.mapped import Part
from emo.store.merge import Merged
from emo.store.recipe import Recipe

RECIPE_FILE = "recipe.json"
_NEAR_IDS = 1000
"""Ids among which the nearest to an unknown one is looked for; a million would take a minute."""


class RecipeFolder:
    """The sub-folder of one recipe; parts are opened when something is first asked of them."""

    def __init__(self, path: Path) -> None:
        """Open the folder ``path``.

        Raises:
            StoreError: its ``recipe.json`` cannot be read.
        """
        self.path = path
        self.name = path.name
        self.recipe = read_recipe(path)
        self._fingerprint = self.recipe.fingerprint
        self._parts: dict[str, Part] = {}
        self._names: list[str] = []
        self._merged: Merged | None = None
        self._rows: dict[str, StreamRows] = {}
        self._opened = OpenParts()
        self.refresh()

    @property
    def ids(self) -> Sequence[str]:
        """Finished clips, each once, in order of part file name, then position."""
        return self.merged.ids

    @property
    def failures(self) -> dict[str, str]:
        """Clips without tokens -> reason; the winner rule is that of :mod:`emo.store.merge`."""
        return self.merged.failures

    @property
    def sources(self) -> dict[str, str]:
        """Clip id -> source hash of the winning entry, failed clips included."""
        return self.merged.sources

    @property
    def attempts(self) -> dict[str, int]:
        """Clip id -> the highest attempt made at it."""
        return self.merged.attempts

    @property
    def absent(self) -> dict[str, dict[str, str]]:
        """Clip id -> stream -> why the clip lacks it."""
        return self.merged.absent

    @property
    def notes(self) -> dict[str, dict[str, float]]:
        """Clip id -> numbers kept beside its tokens."""
        return self.merged.notes

    @property
    def part_paths(self) -> list[Path]:
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
        rows = self._rows.get(stream) or self._stream(stream)
        slots = self.merged.slots
        if ids is None:
            return rows.many(self.merged.order, threads=threads)
        try:
            if len(ids) == 1:
                return rows.one(slots[ids[0]])
            return rows.many(np.array([slots[clip_id] for clip_id in ids], np.int64))
        except KeyError as error:
            raise StoreError(self._unknown_clip(error.args[0])) from None

    def read_present(self, stream: str, ids: Sequence[str]) -> Ragged:
        """As :meth:`read`, but a clip the recipe has no tokens of has length 0."""
        slots = self.merged.slots
        return self._stream(stream).many(
            np.array([slots.get(clip_id, -1) for clip_id in ids], np.int64)
        )

    def lengths(self, stream: str) -> np.ndarray:
        """(N,) int64, tokens of each clip of :attr:`ids` in a stream; 0 where it is absent."""
        return self._stream(stream).lengths(self.merged.order)

    def refresh(self) -> None:
        """See parts that were committed, and forget those set aside, since the last look."""
        try:
            names = sorted(name for name in os.listdir(self.path) if _is_part(name))
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error.strerror}") from error
        if names != self._names:
            self._names, self._merged, self._rows = names, None, {}

    def open_part(self, path: Path) -> Part:
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
    def merged(self) -> Merged:
        """All parts as one."""
        if self._merged is None:
            parts = [self.open_part(path) for path in self.part_paths]
            self._parts = dict(zip(self._names, parts, strict=True))
            self._merged = Merged(parts)
        return self._merged

    def _stream(self, stream: str) -> StreamRows:
        rows = self._rows.get(stream)
        if rows is None:
            if stream not in self.recipe.streams:
                raise StoreError(f"{self.path}: {unknown('stream', stream, self.recipe.streams)}")
            spec = self.recipe.streams[stream]
            rows = StreamRows(self.merged.parts, stream, spec, self._opened)
            self._rows[stream] = rows
        return rows

    def _unknown_clip(self, clip_id: str) -> str:
        if clip_id in self.failures:
            return f"{self.path}: clip {clip_id!r} failed: {self.failures[clip_id]}"
        ids = sorted(self.ids)
        place = bisect.bisect(ids, clip_id)
        around = ids[max(0, place - _NEAR_IDS // 2) : place + _NEAR_IDS // 2]
        nearest = difflib.get_close_matches(clip_id, around, n=1, cutoff=0.5)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
        return f"{self.path}: no clip {clip_id!r} among its {len(ids)}{hint}"


def _is_part(name: str) -> bool:
    return name.startswith("part-") and name.endswith(".zarr.zip")


def read_recipe(folder: Path) -> Recipe:
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
