"""Find clips in a file of named arrays (npz, HDF5, Zarr, pickle): ids, tokens and lengths.

A stream ``X`` is ragged (``X/values`` (ΣT, D) with ``X/offsets`` (N+1,), or ``X`` (ΣT, D) with
``X_length`` (N,)), padded (``X`` (N, L, D) with ``X_lengths`` (N,)) or pooled (``X`` (N, D)).
Padding is cut off by the lengths. A padded stream without lengths is refused: padding that is
averaged into a mean is the most common way to spoil features.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from emo.errors import StoreError, plural
from emo.machine.untrusted.budget import Budget
from emo.ragged import Ragged, offsets_of
from emo.store.exchange.contents import (
    BLOCK_BYTES,
    Contents,
    StreamTokens,
    contents_fields,
    spec_of,
)
from emo.store.exchange.labels import cells_of_columns, is_label_name, label_columns
from emo.store.lazy import LazyDict

ROW = "#row"
"""Word in place of a name of ids: the clips are numbered from 0."""
_IDS = "OSTUiu"
"""Kinds of numpy dtypes that ids can have."""
MOST_LETTERS = 4096
"""Longest clip id that is imported."""
_FEW_IDS = 256
"""Ids that are read together."""
_TEXT_BYTES = 64
"""Bytes that a text takes beside its letters."""
LENGTH_ENDINGS = ("_lengths", "_length", "_len", "_lens", "/lengths")
"""Endings of the names of arrays that hold lengths."""


@dataclass(frozen=True)
class ArrayOptions:
    """Options for reading arrays that other tools wrote."""

    ids: str | None = field(
        default=None, metadata={"help": "The array of clip ids; #row numbers the clips from 0."}
    )
    lengths: str | None = field(
        default=None, metadata={"help": "Lengths of padded streams that have none of their own."}
    )
    padding: Literal["end", "front"] = field(
        default="end", metadata={"help": "Where the padding of a clip is."}
    )
    zeros: bool = field(
        default=True,
        metadata={"help": "Refuse padding that is not all zeros: its lengths are wrong."},
    )


@dataclass(frozen=True, eq=False)
class _File:
    """A file of named arrays that is being read."""

    arrays: Mapping[str, Any]
    """Array name -> array."""
    path: Path
    options: ArrayOptions
    document: Mapping[str, Any]
    clips: int
    budget: Budget


def find_clips(
    arrays: Mapping[str, Any],
    path: Path,
    options: ArrayOptions,
    budget: Budget,
    *,
    document: Mapping[str, Any] | None = None,
) -> Contents:
    """Find the clips and streams in named arrays.

    Args:
        arrays: array name -> array; it needs a shape, a dtype and slicing. ``/`` in a name
            separates groups.
        path: the file, for error messages.
        options: options of the reader.
        budget: bytes that may be taken; those of the arrays themselves are counted already.
        document: the JSON document that a writer of this package put beside the arrays.

    Raises:
        StoreError: no ids, no streams, padded tokens without lengths, or shapes that disagree.
    """
    if options.ids == ROW:
        arrays = {**arrays, ROW: np.arange(_rows_of_any(arrays, path))}
    id_name = _id_name(arrays, path, options)
    try:
        ids = list(_ids(arrays[id_name], budget, id_name))
    except ValueError as error:
        raise StoreError(f"{path}: {id_name}: {error}") from error
    file = _File(arrays, path, options, document or {}, len(ids), budget)
    used = {id_name, options.lengths or id_name}
    streams: dict[str, Callable[[], StreamTokens]] = {}
    for name in arrays:
        stream, lengths_name = _stream_of(name, arrays)
        if stream is None or name == id_name or _is_label(file, name):
            continue
        if _is_named_label(file, name, stream, lengths_name):
            continue
        if stream in streams:
            raise StoreError(f"{path}: two arrays hold the tokens of {stream!r}, one is {name}")
        streams[stream] = partial(_rows, file, name, stream, lengths_name)
        used |= {name, lengths_name or name}
    if not streams:
        raise StoreError(
            f"{path}: no tokens: expected arrays (ΣT, D) with offsets, (N, L, D) with lengths or "
            f"(N, D); found {_shapes(arrays)}"
        )
    others = [name for name in arrays if name not in used]
    labels = {n: arrays[n] for n in others if _is_label(file, n)}
    ignored = tuple(_left_out(n, arrays[n]) for n in others if n not in labels)
    facts = contents_fields(file.document)
    if labels and "cells" not in facts:
        columns: dict[str, Iterable[Any]] = {}
        for name, array in labels.items():
            names = label_columns(name, array.shape[1] if len(array.shape) > 1 else 1)
            columns |= {each: _column(file, name, k) for k, each in enumerate(names)}
        facts["cells"] = cells_of_columns(ids, columns)
    order = [name for name in file.document.get("streams", ()) if name in streams]
    made = {name: streams[name] for name in dict.fromkeys([*order, *streams])}
    return Contents(ids, LazyDict(made), ignored=ignored, **facts)


def _is_label(file: _File, name: str) -> bool:
    """Return whether an array has cells for each clip: (N,), or (N, C) under a label's name."""
    array = file.arrays[name]
    if array.dtype.kind not in "OSTUiufb" or array.shape[:1] != (file.clips,):
        return False
    if len(array.shape) != 2 or not _is_named_label(file, name, *_stream_of(name, file.arrays)):
        return len(array.shape) == 1
    return bool(label_columns(name, array.shape[1]))


def _is_named_label(file: _File, name: str, stream: str | None, lengths_name: str | None) -> bool:
    """Return whether an array of the shape of tokens is no stream, for it is called as labels are.

    A stream of our own document, or values with offsets, which our own writers make, stays one.
    """
    is_ours = stream in file.document.get("streams", ()) or "offsets" in (lengths_name or "")
    return is_label_name(name) and not is_ours


def _left_out(name: str, array: Any) -> str:
    """Return an array that is neither tokens nor labels in words."""
    hint = "; called as labels are: rename it if it is tokens" if is_label_name(name) else ""
    return f"{name} {tuple(array.shape)}{hint}"


def _column(file: _File, name: str, position: int) -> Iterator[Any]:
    """Iterate over a column of an array of labels, of which a few cells are read at a time."""
    array = file.arrays[name]
    for start in range(0, file.clips, _FEW_IDS):
        block = np.asarray(array[start : start + _FEW_IDS])
        for cell in block.reshape(len(block), -1)[:, position].tolist():
            size = len(cell) if isinstance(cell, str | bytes) else 0
            file.budget.take(size + _TEXT_BYTES, f"labels {name}")
            yield cell


def _ids(array: Any, budget: Budget, name: str) -> Iterator[str]:
    """Iterate over the ids in an array, of which a few are read at a time.

    In HDF5 a thousand ids may share one long text, which each of them becomes when it is read.
    """
    for start in range(0, array.shape[0], _FEW_IDS):
        for text in ids_as_text(np.asarray(array[start : start + _FEW_IDS]).tolist(), start):
            budget.take(len(text) + _TEXT_BYTES, f"ids {name}")
            yield text


def _id_name(arrays: Mapping[str, Any], path: Path, options: ArrayOptions) -> str:
    """Return the name of the array of clip ids."""
    names = (options.ids,) if options.ids else ID_NAMES
    for name in names:
        if name in arrays and len(arrays[name].shape) == 1 and arrays[name].dtype.kind in _IDS:
            return name
    raise StoreError(
        f"{path}: no clip ids: expected (N,) text or whole numbers {' or '.join(names)}; "
        f"found {_shapes(arrays)}. "
        "Name the array with -o ids=NAME, or number the clips with -o ids=#row"
    )


def _rows_of_any(arrays: Mapping[str, Any], path: Path) -> int:
    """Return the number of clips of arrays without ids: that of lengths, else of a stream."""
    for name, array in arrays.items():
        stream, lengths = _stream_of(name, arrays)
        if stream is not None:
            shape = arrays[lengths].shape if lengths else array.shape
            return int(shape[0]) - bool(lengths and lengths.endswith("offsets"))
    raise StoreError(f"{path}: no array of tokens; found {_shapes(arrays)}")


def _stream_of(name: str, arrays: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the stream whose tokens an array holds, and the name of its offsets or lengths.

    Returns:
        (None, None) for an array that is not a stream; the second is None if there are no lengths.
    """
    array = arrays[name]
    if array.dtype.kind not in "fiub" or len(array.shape) not in (2, 3):
        return None, None
    for ending in ("/values", "_values"):
        stem = name.removesuffix(ending)
        offsets = stem + ending.replace("values", "offsets")
        if name.endswith(ending) and offsets in arrays:
            return stem.replace("/", "-"), offsets
    stem = name.removesuffix("/values")
    found = (stem + ending for ending in LENGTH_ENDINGS)
    return stem.replace("/", "-"), next((each for each in found if each in arrays), None)


def _lengths(file: _File, name: str | None, where: str) -> np.ndarray | None:
    """Return int64 (N,), the lengths in the array ``name`` of offsets or lengths."""
    if name is None:
        return None
    where = f"{file.path}: {where}: {name}"
    if name not in file.arrays:
        raise StoreError(f"{where}: no such array; found {_shapes(file.arrays)}")
    numbers = np.asarray(file.arrays[name][...]).reshape(-1)
    if numbers.dtype.kind == "f" and (numbers == np.floor(numbers)).all():
        numbers = numbers.astype(np.int64)
    is_offsets = name.endswith("offsets")
    expected = file.clips + is_offsets
    if numbers.dtype.kind not in "iu" or len(numbers) != expected:
        raise StoreError(
            f"{where}: expected {expected} whole numbers for {plural(file.clips, 'clip')}, got "
            f"{numbers.dtype} {numbers.shape}"
        )
    lengths = np.diff(numbers.astype(np.int64)) if is_offsets else numbers.astype(np.int64)
    if (lengths < 0).any() or (is_offsets and numbers[0] != 0):
        raise StoreError(f"{where}: expected lengths >= 0, or offsets from 0 that do not decrease")
    return lengths


def _rows(file: _File, name: str, stream: str, lengths_name: str | None) -> StreamTokens:
    """Return the tokens of one stream, read from the array ``name``."""
    array, where = file.arrays[name], f"{file.path}: {name} {tuple(file.arrays[name].shape)}"
    lengths = _lengths(file, lengths_name, stream)
    dtype = np.dtype(array.dtype).newbyteorder("=")
    spec = spec_of(file.document, stream, int(array.shape[-1]), dtype.name)
    if len(array.shape) == 3:
        if lengths is None:
            lengths = _lengths(file, file.options.lengths, stream)
        return StreamTokens(spec, *_padded(array, lengths, file, name, where))
    if lengths is None:
        if array.shape[0] != file.clips:
            raise StoreError(
                f"{where}: expected {plural(file.clips, 'row')}, one for each clip, or an "
                "array of offsets"
            )
        lengths = np.ones(file.clips, np.int64)
    offsets = offsets_of(lengths)
    if int(offsets[-1]) != array.shape[0]:
        raise StoreError(
            f"{where}: expected {plural(int(offsets[-1]), 'row')}, the sum of its lengths"
        )

    def read(first: int, last: int) -> Ragged:
        start, stop = int(offsets[first]), int(offsets[last])
        return Ragged(np.asarray(array[start:stop]), offsets[first : last + 1] - start)

    return StreamTokens(spec, lengths, read)


def _padded(
    array: Any, lengths: np.ndarray | None, file: _File, name: str, where: str
) -> tuple[np.ndarray, Callable[[int, int], Ragged]]:
    """Return the lengths of a padded array (N, L, D), cut to L, and a reader without padding."""
    longest, clips, options = array.shape[1], file.clips, file.options
    if array.shape[0] != clips:
        raise StoreError(f"{where}: expected {plural(clips, 'clip')}, the number of ids")
    if lengths is None and longest > 1:
        raise StoreError(
            f"{where}: padded tokens without lengths: expected an array of {clips} lengths called "
            f"{name}_lengths; -o lengths=NAME names another"
        )
    # tools that cut long clips at L keep the length before the cut
    kept = np.ones(clips, np.int64) if lengths is None else np.minimum(lengths, longest)

    clip_bytes = math.prod(array.shape[1:]) * np.dtype(array.dtype).itemsize
    file.budget.check_piece(clip_bytes, f"a clip of {name} with its padding")
    # the padding of clips that are read together takes room although it is not kept
    together = max(1, BLOCK_BYTES // max(1, clip_bytes))

    def read(first: int, last: int) -> Ragged:
        starts = range(first, last, together)
        values = [few(start, min(start + together, last)) for start in starts]
        empty = np.zeros((0, array.shape[2]), array.dtype)
        return Ragged(np.concatenate(values or [empty]), offsets_of(kept[first:last]))

    def few(first: int, last: int) -> np.ndarray:
        block, counts = np.asarray(array[first:last]), kept[first:last, None]
        positions = np.arange(longest)[None]
        is_token = positions < counts if options.padding == "end" else positions >= longest - counts
        if options.zeros and block[~is_token].any():
            wrong = first + int(np.flatnonzero((~is_token & block.any(axis=2)).any(axis=1))[0])
            raise StoreError(
                f"{where}: clip {wrong} has numbers beyond its {kept[wrong]} tokens: the lengths "
                "are wrong, or the padding is in front (-o padding=front). -o zeros=false drops "
                "these numbers"
            )
        return block[is_token]

    return kept, read


def _shapes(arrays: Mapping[str, Any]) -> str:
    """Return names and shapes of the first arrays, for error messages."""
    found = [f"{name} {tuple(array.shape)}" for name, array in arrays.items()]
    return ", ".join(found[:12]) or "no arrays"


ID_NAMES = ("ids", "id", "clip", "clips", "clip_ids", "names", "name", "keys")
"""Names by which an array or column of clip ids is found; the first that exists is taken."""


def ids_as_text(cells: Iterable[object], first: int = 0) -> list[str]:
    """Return ids as text; they may be text, whole numbers or bytes of UTF-8.

    Args:
        cells: the ids.
        first: number of the first one, for messages.

    Raises:
        ValueError: an id is missing, of another type, or very long.
    """
    return [_text(cell, index) for index, cell in enumerate(cells, first)]


def _text(cell: object, index: int) -> str:
    """Return an id as text; ``index``, the clip's, is named in the error message."""
    if isinstance(cell, bytes | str) and len(cell) > MOST_LETTERS:
        raise ValueError(
            f"the id of clip {index} has {len(cell):,} letters, at most {MOST_LETTERS}"
        )
    if isinstance(cell, bytes):
        try:
            return cell.decode()
        except UnicodeDecodeError:
            raise ValueError(f"the id of clip {index}, {cell[:40]!r}, is not UTF-8") from None
    if isinstance(cell, str) or (isinstance(cell, int) and not isinstance(cell, bool)):
        return str(cell)
    raise ValueError(f"the id of clip {index}: expected text or a whole number, got {cell!r:.60}")
