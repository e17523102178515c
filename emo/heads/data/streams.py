"""Find streams by name in one or several stores, and read their tokens for given clips."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emo import plugins
from emo.errors import FitError, StoreError
from emo.ragged import Ragged, offsets_of
from emo.store.backend.location import Location
from emo.store.recipe import Recipe, StreamSpec
from emo.store.store import RecipeFolder, Store


@dataclass(frozen=True, eq=False)
class StreamSource:
    """One stream, and the recipe folders that hold clips of it."""

    name: str
    """Name of the stream, ``recipe/stream``."""
    folders: tuple[RecipeFolder, ...]
    """Folders of the same recipe in different stores; a clip is read from the first that has it."""

    @property
    def recipe(self) -> Recipe:
        """Recipe that made the tokens."""
        return self.folders[0].recipe

    @property
    def spec(self) -> StreamSpec:
        """Width, dtype and kind of a token."""
        return self.recipe.streams[self._stream]

    def read(self, clip_ids: Sequence[str]) -> Ragged:
        """Read tokens of N clips in this order: numpy (ΣT, D), as stored.

        A clip that has no tokens in any store has length 0.
        """
        first, *others = (folder.read_present(self._stream, clip_ids) for folder in self.folders)
        for other in others:
            first = _fill(first, other)
        return first

    @property
    def is_empty(self) -> bool:
        """Whether no clip has this stream, for instance because a pack left it out."""
        return not any(folder.lengths(self._stream).any() for folder in self.folders)

    @property
    def _stream(self) -> str:
        """Name of the stream within its recipe."""
        return self.name.partition("/")[2]


def open_sources(
    features: Sequence[Location], names: Sequence[str]
) -> tuple[list[StreamSource], list[str]]:
    """Open the requested streams, and return notes on those that were left out.

    Args:
        features: locations of stores.
        names: ``recipe`` or ``recipe/stream``; empty: all streams of the stores. A stream of
            images is opened only if it is named in full, because these heads cannot use pixels.

    Raises:
        FitError: no store, or an unknown stream.
        StoreError: two different recipes have the same name.
    """
    folders = _folders_by_recipe(features)
    known = [f"{name}/{stream}" for name in folders for stream in folders[name][0].recipe.streams]
    chosen = list(dict.fromkeys(stream for name in names or folders for stream in _of(name, known)))
    sources = [StreamSource(name, tuple(folders[name.partition("/")[0]])) for name in chosen]
    images = [s.name for s in sources if s.spec.kind == "image" and s.name not in names]
    kept = [source for source in sources if source.name not in images]
    if not kept:
        raise FitError(
            f"{', '.join(map(str, features))}: no streams for a head; found: "
            f"{', '.join(known) or 'nothing'}; run emo extract"
        )
    notes = [f"{name}: left out, raw pixels (--stream {name} takes it)" for name in images]
    empty = [source.name for source in kept if source.name not in names and source.is_empty]
    if len(empty) < len(kept):
        kept = [source for source in kept if source.name not in empty]
        notes += [f"{name}: left out, no clip has tokens in it" for name in empty]
    return kept, notes


def _folders_by_recipe(features: Sequence[Location]) -> dict[str, list[RecipeFolder]]:
    """Return the folders of each recipe name, in the order of the stores."""
    folders: dict[str, list[RecipeFolder]] = {}
    for path in features:
        for name, folder in Store(path).recipes.items():
            same_name = folders.setdefault(name, [])
            if same_name and same_name[0].recipe.fingerprint != folder.recipe.fingerprint:
                raise StoreError(
                    f"recipe {name!r} of {path} differs from the one of {same_name[0].path.parent}:"
                    f" {'; '.join(same_name[0].recipe.differences(folder.recipe))}. "
                    "Extract one of them again with --as NAME."
                )
            same_name.append(folder)
    return folders


def _of(name: str, known: Sequence[str]) -> list[str]:
    """Return the known streams that a name means: all of a recipe, or one ``recipe/stream``."""
    found = [stream for stream in known if name in (stream, stream.partition("/")[0])]
    if not found:
        recipes = dict.fromkeys(stream.partition("/")[0] for stream in known)
        raise FitError(plugins.unknown("stream", name, [*known, *recipes]))
    return found


def _fill(ours: Ragged, theirs: Ragged) -> Ragged:
    """Return the tokens of ``ours``, and those of ``theirs`` for clips that are absent in ours."""
    is_theirs = (ours.lengths == 0) & (theirs.lengths > 0)
    if not is_theirs.any():
        return ours
    both = Ragged(
        np.concatenate([ours.values, theirs.values]),
        offsets_of(np.concatenate([ours.lengths, theirs.lengths])),
    )
    return both.select(np.arange(len(ours)) + np.where(is_theirs, len(ours), 0))
