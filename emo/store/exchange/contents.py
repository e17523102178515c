"""What crosses between a store and a file of another format: clips, streams, and what is known."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from emo.errors import StoreError
from emo.plugins import unknown
from emo.ragged import Ragged
from emo.store.recipe import Recipe, StreamSpec
from emo.store.recipe_folder import RecipeFolder

BLOCK_BYTES = 2**26
"""About so many bytes of tokens are in memory at a time."""
LEFT_OUT = "left out when this was written"
"""Why a clip lacks a stream that was not asked for."""


@dataclass(frozen=True, eq=False)
class StreamTokens:
    """One stream of many clips, read a few clips at a time."""

    spec: StreamSpec
    lengths: np.ndarray
    """(N,) int64, tokens of each clip; 0: absent."""
    read: Callable[[int, int], Ragged]
    """Tokens of the clips from the first index to before the second."""

    @property
    def token_bytes(self) -> int:
        """Of one token."""
        return self.spec.dim * np.dtype(self.spec.dtype).itemsize

    @property
    def tokens(self) -> int:
        """ΣT of all clips."""
        return int(self.lengths.sum())

    def blocks(self) -> Iterator[tuple[int, Ragged]]:
        """The index of a first clip, and tokens of clips from it on, about 64 MiB at a time."""
        for first, last in cuts(self.lengths * self.token_bytes, BLOCK_BYTES):
            yield first, self.read(first, last)


@dataclass(frozen=True, eq=False)
class Contents:
    """Clips in order, with their tokens and everything that is known about them."""

    ids: Sequence[str]
    """N clips that have tokens in at least one stream."""
    streams: Mapping[str, StreamTokens]
    absent: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Clip id -> stream -> why it has none."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """Other clips -> why they have no tokens."""
    notes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    """Clip id -> source hash."""
    made_by: Mapping[str, Any] | None = None
    """The recipe that made the numbers, as JSON; None: not known."""
    cells: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Clip id -> column of a manifest -> cell; empty: no manifest was given."""
    ignored: tuple[str, ...] = ()
    """What a file holds beside the streams."""

    def document(self) -> dict[str, Any]:
        """What the arrays do not say, as JSON; :func:`known` takes it back."""
        return {
            "made_by": self.made_by,
            "streams": {name: _spec_document(rows.spec) for name, rows in self.streams.items()},
            "absent": {key: dict(value) for key, value in self.absent.items()},
            "failures": dict(self.failures),
            "notes": {key: dict(value) for key, value in self.notes.items()},
        }

    def choose(self, streams: Sequence[str]) -> "Contents":
        """These streams alone; clips that have none of them are failures.

        Raises:
            StoreError: an unknown stream.
        """
        for name in streams:
            if name not in self.streams:
                raise StoreError(unknown("stream", name, self.streams))
        return replace(self, streams={name: self.streams[name] for name in streams})

    def watched(self, tick: Callable[[int], object]) -> "Contents":
        """The same, calling ``tick`` with the count of clips whenever some of a stream are read."""

        def watch(rows: StreamTokens) -> StreamTokens:
            def read(first: int, last: int) -> Ragged:
                found = rows.read(first, last)
                tick(last - first)
                return found

            return replace(rows, read=read)

        return replace(self, streams={name: watch(rows) for name, rows in self.streams.items()})


def of_folder(
    folder: RecipeFolder,
    *,
    streams: Sequence[str] = (),
    cells: Mapping[str, Mapping[str, str]] | None = None,
) -> Contents:
    """The clips of a recipe in a store.

    Args:
        folder: the recipe's.
        streams: None of them: all.
        cells: only these clips, in this order; None: all.

    Raises:
        StoreError: an unknown stream, or no clip has tokens.
    """
    recipe = folder.recipe
    for name in streams:
        if name not in recipe.streams:
            raise StoreError(f"{folder.path}: {unknown('stream', name, recipe.streams)}")
    done = set(folder.ids)
    wanted = [*folder.ids] if cells is None else [clip_id for clip_id in cells if clip_id in done]
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
        made_by=recipe.to_json(),
        cells=cells or {},
    )


def known(document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of :class:`Contents` that a :meth:`Contents.document` holds."""
    fields = ("made_by", "absent", "failures", "notes")
    return {name: document[name] for name in fields if document.get(name)}


def spec_of(document: Mapping[str, Any], stream: str, dim: int, dtype: str) -> StreamSpec:
    """What a token is, as a document says it; else no more than the array itself shows."""
    found = document.get("streams", {}).get(stream, {})
    try:
        shape = found.get("shape")
        return StreamSpec(
            dim, dtype, found.get("level", "frame"), found.get("kind", "dense"),
            tuple(shape) if shape else None,
        )  # fmt: skip
    except (TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            f"stream {stream!r}: what the file says of it is wrong: {error}"
        ) from error


def cuts(sizes: np.ndarray, most: int) -> Iterator[tuple[int, int]]:
    """Neighbours whose sizes sum up to at most ``most``, at least one: first, and past the last.

    >>> list(cuts(np.array([3, 3, 9, 1]), 6))
    [(0, 2), (2, 3), (3, 4)]
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
    lengths = dict(zip(folder.ids, folder.lengths(stream).tolist(), strict=True))
    return np.array([lengths[clip_id] for clip_id in ids], np.int64)


def _only(
    absent: Mapping[str, Mapping[str, str]], ids: set[str], streams: Sequence[str]
) -> dict[str, dict[str, str]]:
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
    """The recipe of numbers that came from a file."""
    streams = {name: rows.spec for name, rows in contents.streams.items()}
    facts = {"made_by": dict(contents.made_by)} if contents.made_by else {}
    return Recipe(backbone, streams, options, facts=facts)


DOCUMENT = "emo"
"""The name of the JSON that our own files carry beside the arrays."""


def parse_document(text: str, path: Path) -> Mapping[str, Any]:
    """The JSON beside the arrays.

    Raises:
        StoreError: it is none.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise StoreError(
            f"{path}: what is called {DOCUMENT!r} in it is no JSON: {error}"
        ) from error
    if not isinstance(document, dict) or not all(map(_is_as_written, document.items())):
        raise StoreError(f"{path}: what is called {DOCUMENT!r} in it is not what emo writes there")
    return document


def _is_as_written(entry: tuple[str, Any]) -> bool:
    """Whether an entry has the shape that :meth:`Contents.document` gives it."""
    name, value = entry
    if name in ("absent", "notes", "streams"):
        kinds = (int, float) if name == "notes" else (str, list, type(None))
        return isinstance(value, dict) and all(
            isinstance(inner, dict) and all(isinstance(each, kinds) for each in inner.values())
            for inner in value.values()
        )
    if name in ("failures", "folders", "names"):
        return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
    return isinstance(value, dict | list | type(None))
