"""Streams by name: finds them in one or several stores and reads their tokens for given clips."""

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
    """One stream, and the stores that hold clips of it."""

    name: str
    """``recipe/stream``."""
    folders: tuple[RecipeFolder, ...]
    """Of the same recipe in different stores; the first that has a clip gives its tokens."""

    @property
    def recipe(self) -> Recipe:
        """What made the tokens."""
        return self.folders[0].recipe

    @property
    def spec(self) -> StreamSpec:
        """What a token is."""
        return self.recipe.streams[self._stream]

    def read(self, clip_ids: Sequence[str]) -> Ragged:
        """Tokens of the clips in this order, numpy as stored; what is not there has length 0."""
        first, *others = (folder.read_present(self._stream, clip_ids) for folder in self.folders)
        for other in others:
            first = _fill(first, other)
        return first

    @property
    def is_empty(self) -> bool:
        """No clip has this stream, such as one that was left out of a pack."""
        return not any(folder.lengths(self._stream).any() for folder in self.folders)

    @property
    def _stream(self) -> str:
        return self.name.partition("/")[2]


def open_sources(
    features: Sequence[Location], names: Sequence[str]
) -> tuple[list[StreamSource], list[str]]:
    """The streams asked for, and notes on what was left out.

    Args:
        features: stores.
        names: ``recipe`` or ``recipe/stream``; none: everything in the stores. Streams of images
            are taken only when they are named in full: these heads cannot use raw pixels.

    Raises:
        FitError: no store, an unknown stream, or one recipe name for two recipes.
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
    """``classic`` -> all its streams; ``classic/audio`` -> itself."""
    found = [stream for stream in known if name in (stream, stream.partition("/")[0])]
    if not found:
        recipes = dict.fromkeys(stream.partition("/")[0] for stream in known)
        raise FitError(plugins.unknown("stream", name, [*known, *recipes]))
    return found


def _fill(ours: Ragged, theirs: Ragged) -> Ragged:
    """Our clips, and theirs where ours are absent."""
    is_theirs = (ours.lengths == 0) & (theirs.lengths > 0)
    if not is_theirs.any():
        return ours
    both = Ragged(
        np.concatenate([ours.values, theirs.values]),
        offsets_of(np.concatenate([ours.lengths, theirs.lengths])),
    )
    return both.select(np.arange(len(ours)) + np.where(is_theirs, len(ours), 0))
