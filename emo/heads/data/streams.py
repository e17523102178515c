"""Find streams by name in one or several stores, and read their tokens for given clips.

``RECIPE/STREAM@COLUMN`` is the stream of other clips: those whose ids are in a column of the
manifest. Rows with the same id, such as questions about one video, share its tokens.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from emo import plugins
from emo.errors import FitError, StoreError, plural
from emo.heads.data.interval_groups import value_of
from emo.manifest import Clip
from emo.ragged import Ragged, offsets_of
from emo.store.backend.location import Location
from emo.store.recipe import Recipe, StreamSpec
from emo.store.store import RecipeFolder, Store

AT = "@"
"""Character before the column of ids in the name of a stream whose tokens rows share."""


@dataclass(frozen=True)
class StreamName:
    """The parts of the name of a stream, ``recipe/stream`` or ``recipe/stream@column``."""

    recipe: str
    stream: str
    """Name of the stream within its recipe."""
    column: str = ""
    """Column of the manifest that holds the ids of the clips with the tokens; empty: each row
    has the tokens of its own id."""

    @classmethod
    def of(cls, name: str, streams: Container[str]) -> "StreamName":
        """Divide a name into its parts.

        >>> StreamName.of("lb/video@clip", ["video", "text"])
        StreamName(recipe='lb', stream='video', column='clip')

        Args:
            name: the name.
            streams: names of the recipe's streams; ``@`` in one of them is part of its name.
        """
        recipe, _, rest = name.partition("/")
        if rest in streams:
            return cls(recipe, rest)
        stream, _, column = rest.partition(AT)
        return cls(recipe, stream, column)

    def clip_ids(self, clips: Sequence[Clip]) -> list[str]:
        """Return the id under which each row's tokens are stored; ``""``: its cell is empty."""
        return [value_of(clip, self.column or "id") for clip in clips]


def tokens_of_clips(
    name: StreamName, clips: Sequence[Clip], read: Callable[[Sequence[str]], Ragged]
) -> Ragged:
    """Read the tokens of N rows of a manifest; those that rows share are read and kept once.

    Args:
        name: name of the stream.
        clips: the rows.
        read: reads the tokens of clips, given ids; a clip without tokens has length 0.

    Returns:
        numpy (ΣT, D), as stored, with an index if the name has a column.
    """
    ids = name.clip_ids(clips)
    if not name.column:
        return read(ids)
    numbers = {clip_id: number for number, clip_id in enumerate(dict.fromkeys(ids))}
    tokens = read(list(numbers))  # no clip has the id "", which is that of rows without a value
    index = np.array([numbers[clip_id] for clip_id in ids], dtype=np.int64)
    return Ragged(tokens.values, tokens.offsets, index)


@dataclass(frozen=True, eq=False)
class StreamSource:
    """One stream, and the recipe folders that hold clips of it."""

    name: str
    """Name of the stream, ``recipe/stream`` or ``recipe/stream@column``."""
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

    @cached_property
    def parts(self) -> StreamName:
        """The parts of the name."""
        return StreamName.of(self.name, self.recipe.streams)

    @property
    def column(self) -> str:
        """Column that holds the ids of the clips with the tokens; empty: rows share no tokens."""
        return self.parts.column

    def read_clips(self, clips: Sequence[Clip]) -> Ragged:
        """Read the tokens of N rows of a manifest, see :func:`tokens_of_clips`.

        Raises:
            FitError: no row has a value of the stream's column, or no value is a stored clip.
        """
        found = tokens_of_clips(self.parts, clips, self.read)
        for folder in self.folders:
            folder.release()
        if self.column and len(clips) and not found.lengths.any():
            self._raise_unknown(clips)
        return found

    def _raise_unknown(self, clips: Sequence[Clip]) -> None:
        """Raise FitError, because no row finds tokens under the ids in the stream's column."""
        ids = [clip_id for clip_id in self.parts.clip_ids(clips) if clip_id]
        if not ids:
            columns = dict.fromkeys(name for clip in clips for name in clip.targets)
            known = plugins.unknown("column", self.column, [*columns, "dialogue", "speaker"])
            raise FitError(f"--stream {self.name}: no row has a value of it; {known}")
        stored = next((clip_id for folder in self.folders for clip_id in folder.ids), "none")
        raise FitError(
            f"--stream {self.name}: none of the {plural(len(set(ids)), 'id')} in column "
            f"{self.column}, such as {ids[0]!r}, is a clip with this stream; the store has clips "
            f"such as {stored!r}. Name the column that holds the ids of the store's clips."
        )

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
        return self.parts.stream


def open_sources(
    features: Sequence[Location], names: Sequence[str]
) -> tuple[list[StreamSource], list[str]]:
    """Open the requested streams, and return notes on those that were left out.

    Args:
        features: locations of stores.
        names: ``recipe`` or ``recipe/stream``, with ``@column`` where rows share tokens; empty:
            all streams of the stores. A stream of images is opened only if it is named in full,
            because these heads cannot use pixels.

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
    """Return the known streams that a name means: all of a recipe, or one ``recipe/stream``.

    A column behind ``@`` is kept in the name of each.
    """
    if name in known:
        return [name]
    name, at, column = name.partition(AT)
    if at and not column:
        raise FitError(
            f"--stream {name}{at}: expected the column with the ids of the clips behind {AT}, "
            f"such as {name}{AT}clip"
        )
    found = [
        f"{stream}{at}{column}" for stream in known if name in (stream, stream.partition("/")[0])
    ]
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
