"""The vectors of a stream of a store, for the clips that are asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emo.errors import OptionError, StoreError
from emo.manifest import Clip, Manifest, read_manifest
from emo.plugins import unknown
from emo.predict.similarity.vectors import Vectors, vectors_of
from emo.ragged import Ragged, offsets_of
from emo.store.recipe_folder import RecipeFolder
from emo.store.store import Store

_BYTES = 2**28
"""Bytes of tokens that are read at once when they are averaged."""


@dataclass(frozen=True, eq=False)
class StoredStream:
    """A stream of a store, and its full name."""

    folder: RecipeFolder
    """The recipe."""
    stream: str
    """Name of the stream."""

    @property
    def name(self) -> str:
        """``RECIPE/STREAM``."""
        return f"{self.folder.name}/{self.stream}"


@dataclass(frozen=True, eq=False)
class StoredVectors:
    """Vectors of the clips that have the stream, and how many of the others there were."""

    vectors: Vectors
    """The vectors."""
    left_out: int
    """Number of clips that were asked for, and lack the stream or the store."""
    several: frozenset[str]
    """The clips with more than one token."""


def find_stream(store: Store, name: str | None) -> StoredStream:
    """Find a stream of a store.

    Args:
        store: the store.
        name: ``RECIPE/STREAM``, or ``RECIPE`` if it has one stream; None: the only stream with
            tokens, or the only such that is not called ``text``.

    Raises:
        StoreError: there is no such stream, or several are possible.
    """
    recipe, slash, stream = (name or "").partition("/")
    folders = store.chosen(recipe or None)
    if slash:
        if stream not in folders[0].recipe.streams:
            names = folders[0].recipe.streams
            raise StoreError(f"{folders[0].path}: {unknown('stream', stream, names)}")
        return StoredStream(folders[0], stream)
    every = [StoredStream(folder, each) for folder in folders for each in folder.recipe.streams]
    if len(every) > 1:
        every = [each for each in every if each.folder.lengths(each.stream).any()] or every
    # beside one other stream, texts are what that is searched by
    found = [each for each in every if each.stream != "text"] or every
    if len(found) != 1:
        raise StoreError(
            f"{store.path}: name one stream with --stream: "
            f"{', '.join(each.name for each in every) or 'it has none'}"
        )
    return found[0]


def read_vectors(
    stream: StoredStream, ids: Sequence[str] | None = None, *, pooling: str = "mean",
    similarity: str = "cosine",
) -> StoredVectors:  # fmt: skip
    """Read the vectors of clips; those without tokens are left out and counted.

    Args:
        stream: the stream.
        ids: the clips; None: all that the store has.
        pooling: ``mean`` or ``max``, see :func:`emo.predict.similarity.vectors.vectors_of`; or
            ``first``: the first token alone counts.
        similarity: ``cosine`` or ``dot``.

    Raises:
        StoreError: no clip has tokens, a token is not finite, or a part is damaged.
    """
    folder = stream.folder
    asked = folder.ids if ids is None else ids
    step = _step(stream, len(asked), pooling)
    parts: list[Vectors] = []
    left_out, several = 0, set[str]()
    for first in range(0, len(asked), step):
        wanted = asked[first : first + step]
        is_all = ids is None and step >= len(asked)
        tokens = folder.read(stream.stream) if is_all else folder.read_present(
            stream.stream, wanted
        )  # fmt: skip
        kept = np.flatnonzero(tokens.lengths)
        several |= {wanted[k] for k in np.flatnonzero(np.asarray(tokens.lengths) > 1).tolist()}
        if len(kept) < len(wanted):
            left_out += len(wanted) - len(kept)
            wanted = [wanted[k] for k in kept.tolist()]
            tokens = tokens.select(kept)
        if pooling == "first":
            firsts = np.asarray(tokens.offsets)[:-1]
            tokens = Ragged(tokens.values[firsts], offsets_of(np.ones(len(firsts), np.int64)))
        if len(wanted):
            parts.append(
                vectors_of(tokens, wanted, pooling=pooling, similarity=similarity, name=stream.name)
            )
    if not parts:
        raise StoreError(
            f"{folder.path}: none of {len(asked):,} clips has tokens of the stream "
            f"{stream.stream!r}; extract them first, or name another stream"
        )
    return StoredVectors(_joined(parts), left_out, frozenset(several))


def read_clips(
    manifest: Path | Manifest | None, where: Sequence[str] = (), columns: Mapping[str, str] = {}
) -> list[Clip] | None:
    """Return the clips of a manifest whose columns have the wanted values; None: no manifest.

    Args:
        manifest: the manifest or its path; None: all clips of the store are meant.
        where: ``COLUMN=VALUE`` words, all of which must hold.
        columns: renamed columns of the manifest.

    Raises:
        OptionError: ``where`` without a manifest, or no clip has these values.
    """
    if manifest is None:
        if where:
            raise OptionError("--where goes with --manifest, which holds the column")
        return None
    if not isinstance(manifest, Manifest):
        manifest = read_manifest(manifest, columns=columns)
    clips = list(manifest.clips)
    for word in where:
        column, is_given, value = word.partition("=")
        if not is_given:
            raise OptionError(f"--where {word}: expected COLUMN=VALUE, such as split=train")
        found = [clip for clip in clips if cell_of(clip, column) == value]
        if not found:
            values = sorted({cell_of(clip, column) or "(empty)" for clip in clips})
            raise OptionError(
                f"--where {word}: no clip of {manifest.path} has this value; {column} has "
                f"{', '.join(values[:8])}"
            )
        clips = found
    return clips


def cell_of(clip: Clip, column: str) -> str:
    """Return the cell of a clip's column as text; empty: it has none."""
    value = clip.targets.get(column)
    if value is None and column in Clip.__slots__ and column != "targets":
        value = getattr(clip, column)
    return "" if value is None else str(value)


def _step(stream: StoredStream, count: int, pooling: str) -> int:
    """Return how many clips are read at once: all, if each has a single token or keeps them."""
    lengths = stream.folder.lengths(stream.stream)
    most = int(lengths.max()) if len(lengths) else 0
    if pooling == "max" or most <= 1:
        return max(1, count)
    spec = stream.folder.recipe.streams[stream.stream]
    size = spec.dim * np.dtype(spec.dtype).itemsize * max(1.0, float(lengths.mean()))
    return max(1, int(_BYTES / size))


def _joined(parts: Sequence[Vectors]) -> Vectors:
    """Return the vectors of several parts as one."""
    if len(parts) == 1:
        return parts[0]
    rows = np.concatenate([each.rows for each in parts])
    counts = np.concatenate([np.diff(each.offsets) for each in parts])
    ids = [clip_id for each in parts for clip_id in each.ids]
    return Vectors(rows, offsets_of(counts), ids, parts[0].is_cosine, parts[0].name)


def vectors_of_arrays(
    arrays: Sequence[np.ndarray], ids: Sequence[str], *, similarity: str = "cosine", name: str = ""
) -> Vectors:
    """Return the vectors of queries that were just encoded, one (T, D) array each."""
    return vectors_of(Ragged.of(arrays), ids, similarity=similarity, name=name)
