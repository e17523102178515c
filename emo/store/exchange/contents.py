"""Contents: the clips and streams that are moved between a store and a file of another format."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from emo.errors import StoreError, plural
from emo.machine.untrusted.documents import DocumentError, parse_checked, shortened
from emo.machine.untrusted.foreign import foreign_file
from emo.machine.untrusted.kinds import AnyJson
from emo.plugins import unknown
from emo.ragged import Ragged
from emo.store.adapted import FACT, NOTHING_SEEN, SeenClips
from emo.store.recipe import Recipe, StreamSpec
from emo.store.recipe_folder import RecipeFolder

BLOCK_BYTES = 2**26
"""About how many bytes of tokens are in memory at a time."""
ReadClips = Callable[[int, int], Ragged]
"""Function that reads the clips from the first index to before the last."""
LEFT_OUT = "left out when this was written"
"""Reason why a clip lacks a stream that was not chosen for a pack."""


@dataclass(frozen=True, eq=False)
class StreamTokens:
    """The tokens of one stream of N clips, read a few clips at a time."""

    spec: StreamSpec
    """Width, dtype and meaning of a token."""
    lengths: np.ndarray
    """int64 (N,): number of tokens of each clip; 0: the clip lacks the stream."""
    read: ReadClips
    """``read(first, last)`` returns the tokens of the clips from index ``first`` to before
    ``last``: values (ΣT, D) and offsets int64 (last - first + 1,)."""

    @property
    def token_bytes(self) -> int:
        """Size of one token in bytes."""
        return self.spec.dim * np.dtype(self.spec.dtype).itemsize

    @property
    def tokens(self) -> int:
        """Number of tokens of all clips, ΣT."""
        return int(self.lengths.sum())

    def blocks(self) -> Iterator[tuple[int, Ragged]]:
        """Iterate over blocks of about 64 MiB: the index of the first clip, and the tokens."""
        for first, last in runs_of_size(self.lengths * self.token_bytes, BLOCK_BYTES):
            yield first, self.read(first, last)


@dataclass(frozen=True, eq=False)
class Contents:
    """N clips in order, with their tokens and everything that is known about them."""

    ids: Sequence[str]
    """The N clips, each with tokens in at least one stream."""
    streams: Mapping[str, StreamTokens]
    """Name of each stream -> tokens of the stream."""
    absent: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Clip id -> stream that the clip lacks -> reason."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """Id of a clip without any tokens, which is not in ``ids`` -> reason."""
    notes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Clip id -> name of a note -> number that is kept beside the clip's tokens."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Clip id -> hash of the clip's row and source files."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Library, or ``device`` -> version of what computed the tokens; empty: not known."""
    made_by: Mapping[str, Any] | None = None
    """Recipe that made the tokens, as JSON values; None: not known."""
    seen: SeenClips = NOTHING_SEEN
    """Clips that the weights were adapted on; none: they are not known to be adapted."""
    cells: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Clip id -> column of a manifest -> cell; empty: no manifest was given, or, in contents that
    were read from a file, it has no labels."""
    label_names: tuple[str, ...] = ()
    """Columns of labels that a file has, where their cells were not wanted and not read."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Facts of the file to keep in the recipe, as JSON values, such as its metadata."""
    ignored: tuple[str, ...] = ()
    """Descriptions of arrays or columns in a file that are not streams."""
    lines: tuple[str, ...] = ()
    """Lines for people about what was read from the file."""

    def document(self) -> dict[str, Any]:
        """Return all facts that are not arrays as JSON values; :func:`contents_fields` is the
        inverse."""
        cells = {key: dict(self.cells[key]) for key in self.ids if key in self.cells}
        return {
            "made_by": self.made_by,
            "streams": {name: _spec_document(rows.spec) for name, rows in self.streams.items()},
            "absent": {key: dict(value) for key, value in self.absent.items()},
            "failures": dict(self.failures),
            "notes": {key: dict(value) for key, value in self.notes.items()},
            **({"cells": cells} if cells else {}),
            **({"seen": {k: sorted(ids) for k, ids in self.seen.ids.items()}} if self.seen else {}),
        }

    def choose(self, streams: Sequence[str]) -> "Contents":
        """Return the contents with the given streams alone.

        Clips that have none of these streams become failures when they are written.

        Raises:
            StoreError: an unknown stream.
        """
        for name in streams:
            if name not in self.streams:
                raise StoreError(unknown("stream", name, self.streams))
        return replace(self, streams={name: self.streams[name] for name in streams})

    def with_ticks(self, tick: Callable[[int], object]) -> "Contents":
        """Return contents that call ``tick(clips)`` after each read of some clips of a stream."""

        def ticking(read: ReadClips) -> ReadClips:
            def read_and_tick(first: int, last: int) -> Ragged:
                found = read(first, last)
                tick(last - first)
                return found

            return read_and_tick

        return self._with_reads(ticking)

    def guarded(self, path: Path, what: str) -> "Contents":
        """Return contents whose reads raise StoreError for whatever a library raises.

        Args:
            path: the file that is read, for error messages.
            what: what is wrong with the file then, such as ``cannot be read as npz``.
        """

        def guard(read: ReadClips) -> ReadClips:
            def guarded_read(first: int, last: int) -> Ragged:
                with foreign_file(path, StoreError, what):
                    return read(first, last)

            return guarded_read

        return self._with_reads(guard)

    def _with_reads(self, change: Callable[[ReadClips], ReadClips]) -> "Contents":
        """Return contents with other functions that read clips."""
        changed = {
            name: replace(rows, read=change(rows.read)) for name, rows in self.streams.items()
        }
        return replace(self, streams=changed)


def contents_of(
    folder: RecipeFolder,
    *,
    streams: Sequence[str] = (),
    cells: Mapping[str, Mapping[str, str]] | None = None,
) -> Contents:
    """Return the clips of a recipe in a store; tokens are read when they are used.

    Args:
        folder: the recipe's folder.
        streams: the wanted streams; empty: all.
        cells: cells of a manifest by clip: take only these clips, in this order; None: all clips.

    Raises:
        StoreError: an unknown stream, no clip of ``cells`` is in the store, or none has tokens.
    """
    recipe = folder.recipe
    for name in streams:
        if name not in recipe.streams:
            raise StoreError(f"{folder.path}: {unknown('stream', name, recipe.streams)}")
    done = set(folder.ids)
    wanted = [*folder.ids] if cells is None else [clip_id for clip_id in cells if clip_id in done]
    if cells and not wanted and not any(clip_id in folder.failures for clip_id in cells):
        known = next(iter(folder.ids), "")
        raise StoreError(
            f"{folder.path}: none of {plural(len(cells), 'id')} of the manifest is in the store; "
            f"the first: {shortened(repr(next(iter(cells))))}; in the store: "
            + (shortened(repr(known)) if known else "none")
        )
    names = list(streams) or list(recipe.streams)
    lengths = {name: _lengths(folder, name, wanted) for name in names}
    has_any = np.any([each > 0 for each in lengths.values()], axis=0)
    ids = [clip_id for clip_id, has in zip(wanted, has_any, strict=True) if has]
    if not ids:
        raise StoreError(f"{folder.path}: no clip has tokens in {', '.join(names)}: nothing to do")

    def reader(name: str) -> Callable[[int, int], Ragged]:
        return lambda first, last: folder.read(name, ids[first:last])

    chosen, failures = set(ids), folder.failures
    return Contents(
        ids,
        {
            name: StreamTokens(recipe.streams[name], lengths[name][has_any], reader(name))
            for name in names
        },
        absent=_only(folder.absent, chosen, names),
        failures={k: v for k, v in failures.items() if cells is None or k in cells},
        notes={key: value for key, value in folder.notes.items() if key in chosen},
        sources={key: folder.sources[key] for key in ids},
        versions=folder.versions,
        made_by=recipe.to_json(),
        seen=folder.seen,
        cells=cells or {},
    )


def contents_fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of :class:`Contents` in a document from :meth:`Contents.document`."""
    fields = ("made_by", "absent", "failures", "notes", "cells")
    found = {name: document[name] for name in fields if document.get(name)}
    seen = SeenClips.of(document.get("seen") or {})
    return found | ({"seen": seen} if seen else {})


def spec_of(document: Mapping[str, Any], stream: str, dim: int, dtype: str) -> StreamSpec:
    """Return the spec of a stream.

    Args:
        document: from :meth:`Contents.document`, for level, kind and shape; empty: defaults.
        stream: name of the stream.
        dim: length of a token, D.
        dtype: dtype of the array.

    Raises:
        StoreError: the document's description of the stream is invalid.
    """
    found = document.get("streams", {}).get(stream, {})
    try:
        shape = found.get("shape")
        return StreamSpec(
            dim, dtype, found.get("level", "frame"), found.get("kind", "dense"),
            tuple(shape) if shape else None,
        )  # fmt: skip
    except (TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            f"stream {stream!r}: its description in the file is invalid: {error}"
        ) from error


def runs_of_size(sizes: np.ndarray, most: int) -> Iterator[tuple[int, int]]:
    """Cut a sequence into runs whose sizes sum to at most ``most``; a run has at least one item.

    >>> list(runs_of_size(np.array([3, 3, 9, 1]), 6))
    [(0, 2), (2, 3), (3, 4)]

    Args:
        sizes: int (N,), size of each item.
        most: largest sum of a run; an item that is larger is a run of its own.

    Yields:
        Index of the first item of a run, and the index past its last.
    """
    first, total = 0, 0
    for row, size in enumerate(sizes.tolist()):
        if row > first and total + size > most:
            yield first, row
            first, total = row, 0
        total += size
    if first < len(sizes):
        yield first, len(sizes)


def _lengths(folder: RecipeFolder, stream: str, ids: Sequence[str]) -> np.ndarray:
    """Return int64 (N,), the tokens of each clip of ``ids`` in a stream."""
    lengths = dict(zip(folder.ids, folder.lengths(stream).tolist(), strict=True))
    return np.array([lengths[clip_id] for clip_id in ids], np.int64)


def _only(
    absent: Mapping[str, Mapping[str, str]], ids: set[str], streams: Sequence[str]
) -> dict[str, dict[str, str]]:
    """Return clip id -> stream that the clip lacks -> reason, for the given clips and streams."""
    kept = {
        clip_id: {name: why for name, why in reasons.items() if name in streams}
        for clip_id, reasons in absent.items()
        if clip_id in ids
    }
    return {clip_id: reasons for clip_id, reasons in kept.items() if reasons}


def _spec_document(spec: StreamSpec) -> dict[str, Any]:
    shape = list(spec.shape) if spec.shape else None
    return {"level": spec.level, "kind": spec.kind, "shape": shape}


def recipe_of_contents(contents: Contents, *, backbone: str, options: dict[str, Any]) -> Recipe:
    """Return the recipe of contents that were read from a file.

    Args:
        contents: the contents.
        backbone: name that stands for a backbone, such as ``import-npz``.
        options: what determines the values: format, hash of the file, options of the reader.
    """
    streams = {name: rows.spec for name, rows in contents.streams.items()}
    facts: dict[str, Any] = dict(contents.facts)
    if contents.made_by:
        facts["made_by"] = dict(contents.made_by)
    if contents.seen:
        facts[FACT] = contents.seen.facts
    return Recipe(backbone, streams, options, facts=facts)


MOST_DOCUMENT = 2**30
"""Most characters of such a document that are parsed."""
DOCUMENT = "emo"
"""Name of the JSON document that the writers of this package put beside the arrays."""


def parse_document(text: str, path: Path) -> Mapping[str, Any]:
    """Parse the JSON document that a writer of this package put beside the arrays.

    Args:
        text: the JSON.
        path: the file, for error messages.

    Raises:
        StoreError: the text is not such a document.
    """
    try:
        document = parse_checked(text, AnyJson(), most_bytes=MOST_DOCUMENT)
    except DocumentError as error:
        why = str(error).removeprefix("it ")
        raise StoreError(f"{path}: its member {DOCUMENT!r} {why}") from error
    if not isinstance(document, dict) or not all(map(_is_as_written, document.items())):
        raise StoreError(f"{path}: its member {DOCUMENT!r} is not what emo writes under this name")
    return document


_KINDS: dict[str, tuple[type, ...]] = {
    "absent": (str, list, type(None)), "streams": (str, list, type(None)), "notes": (int, float),
    "cells": (str,),
}  # fmt: skip
"""Entry of the document -> types of its inner values."""


def _is_as_written(entry: tuple[str, Any]) -> bool:
    """Return whether an entry has the types that :meth:`Contents.document` gives it."""
    name, value = entry
    if name in ("absent", "notes", "streams", "cells"):
        kinds = _KINDS[name]
        return isinstance(value, dict) and all(
            isinstance(inner, dict) and all(isinstance(each, kinds) for each in inner.values())
            for inner in value.values()
        )
    if name == "seen":
        return isinstance(value, dict) and all(
            isinstance(ids, list) and all(isinstance(each, str) for each in ids)
            for ids in value.values()
        )
    if name in ("failures", "folders", "names"):
        return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
    return isinstance(value, dict | list | type(None))
