"""Streams whose tokens are an array of their own for each clip: a file, member or data set."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from emo.errors import StoreError
from emo.machine.untrusted.budget import Budget
from emo.machine.untrusted.documents import shortened
from emo.machine.untrusted.npy import array_facts
from emo.ragged import Ragged, offsets_of
from emo.store.exchange.contents import StreamTokens, spec_of
from emo.store.exchange.labels import cell_text, is_label_name, label_columns
from emo.store.lazy import LazyDict


@dataclass(frozen=True)
class ClipArray:
    """Tokens of one clip in one stream, which are read when they are used."""

    where: str
    """The file or member, for messages."""
    tokens: int
    """Number of tokens, T."""
    dim: int
    """Length of a token, D."""
    dtype: str
    """Name of the dtype, in this machine's byte order."""
    read: Callable[[], np.ndarray]
    """Returns the tokens (T, D)."""


def streams_of_clips(
    arrays: Mapping[str, Mapping[str, ClipArray]],
    ids: Sequence[str],
    document: Mapping[str, Any],
) -> Mapping[str, StreamTokens]:
    """Return streams of tokens from an array for each clip; each is built when it is asked for.

    Args:
        arrays: stream -> clip id -> tokens.
        ids: the N clips in order; a clip without an array lacks the stream.
        document: from ``Contents.document``, for level, kind and shape; empty: defaults.

    Raises:
        StoreError: the arrays of a stream differ in width or dtype.
    """
    return LazyDict(
        {name: partial(_stream, name, found, ids, document) for name, found in arrays.items()}
    )


def _stream(
    name: str, found: Mapping[str, ClipArray], ids: Sequence[str], document: Mapping[str, Any]
) -> StreamTokens:
    """Return one stream; raise StoreError unless all its arrays have one width and dtype."""
    if not found:
        raise StoreError(f"stream {name!r}: there is no array of any clip")
    first = next(iter(found.values()))
    for each in found.values():
        if (each.dim, each.dtype) != (first.dim, first.dtype):
            raise StoreError(
                f"{each.where}: expected (T, {first.dim}) {first.dtype} as in "
                f"{first.where}, got (T, {each.dim}) {each.dtype}"
            )
    lengths = np.array([found[i].tokens if i in found else 0 for i in ids], np.int64)

    def read(start: int, stop: int) -> Ragged:
        parts = [np.zeros((0, first.dim), first.dtype)]
        for clip_id in ids[start:stop]:
            if clip_id in found:
                tokens = found[clip_id].read()
                if tokens.shape != (found[clip_id].tokens, first.dim):
                    raise StoreError(f"{found[clip_id].where}: changed while it was read")
                parts.append(tokens)
        return Ragged(np.concatenate(parts), offsets_of(lengths[start:stop]))

    return StreamTokens(spec_of(document, name, first.dim, first.dtype), lengths, read)


def take_labels(
    streams: dict[str, dict[str, ClipArray]], cells: dict[str, dict[str, str]], own: str
) -> list[str]:
    """Remove the streams that are called as labels are, and return lines about them.

    Args:
        streams: stream -> clip id -> array; those of labels are removed.
        cells: clip id -> column -> cell; arrays (1,) and (C,) of labels are added.
        own: name of a stream that the user chose, which stays.
    """
    lines = []
    for name in [n for n in streams if n != own and is_label_name(n)]:
        found = streams.pop(name)
        if any(each.tokens != 1 or not label_columns(name, each.dim) for each in found.values()):
            lines.append(f"{name}: called as labels are, left out: rename it if it is tokens")
            continue
        lines.append(f"{name}: called as labels are: a column of the manifest, no tokens")
        for clip_id, each in found.items():
            names = label_columns(name, each.dim)
            values = map(cell_text, each.read()[0])
            cells.setdefault(clip_id, {}).update(zip(names, values, strict=True))
    return lines


def leave_out_labels(arrays: dict[str, Any], where: str) -> list[str]:
    """Remove arrays called as labels are from a file whose names are ids; return a line about them.

    Args:
        arrays: name -> array; names with ``/`` are of a clip and stay.
        where: the file, for messages.

    Raises:
        StoreError: the others are no clips but X of many clips.
    """
    names = [name for name in arrays if "/" not in name and is_label_name(name)]
    if not names:
        return []
    for name in names:
        del arrays[name]
    if {name.lower() for name in arrays} <= {"x", "features", "lengths", "x_lengths"}:
        raise StoreError(
            f"{where}: {', '.join([*arrays, *names])}: arrays of many clips, not one for each; "
            "`emo store import xy` reads X and y"
        )
    return [f"{', '.join(names)}: called as labels are, no clips, left out"]


def shape_of_tokens(shape: Sequence[int], where: str) -> tuple[int, int]:
    """Return T and D of an array (T, D), or (D,), which is one token; axes of length 1 may be more.

    >>> shape_of_tokens((5,), "a.npy"), shape_of_tokens((1, 3, 5), "a.npy")
    ((1, 5), (3, 5))

    Raises:
        StoreError: another shape.
    """
    found = list(shape)
    if len(found) == 1:
        found = [1, *found]
    while len(found) > 2 and 1 in found[:-1]:
        found.remove(1)
    if len(found) != 2 or found[1] < 1:
        raise StoreError(f"{where}: expected tokens (T, D) or (D,), got {tuple(shape)}")
    return found[0], found[1]


def array_of(
    shape: Sequence[int], dtype: Any, read: Callable[[], np.ndarray], where: str
) -> ClipArray:
    """Return the tokens of a clip that are an array of numbers.

    Args:
        shape: shape of the array, as :func:`shape_of_tokens` takes it.
        dtype: its dtype.
        read: returns the array.
        where: the file or member, for messages.

    Raises:
        StoreError: another shape, or the cells are no numbers.
    """
    kind = np.dtype(dtype)
    if kind.kind not in "fiub":
        raise StoreError(f"{where}: expected numbers, got {kind}")
    tokens, dim = shape_of_tokens(shape, where)
    native = kind.newbyteorder("=")
    return ClipArray(
        where, tokens, dim, native.name,
        lambda: np.asarray(read()).reshape(tokens, dim).astype(native, copy=False),
    )  # fmt: skip


def npy_file(file: Path, budget: Budget) -> ClipArray:
    """Return the tokens in an .npy file, of which only the header is read now.

    Raises:
        StoreError: it is no .npy file of numbers, or takes too many bytes.
    """
    try:
        with file.open("rb") as opened:
            shape, dtype = array_facts(opened, str(file))
            left = file.stat().st_size - opened.tell()
    except (OSError, ValueError, EOFError) as error:
        raise StoreError(f"{file}: not an .npy file of numbers: {shortened(str(error))}") from error
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if size > left:
        raise StoreError(
            f"{file}: its header says {size:,} bytes of numbers, and there are {left:,}; "
            "it was cut off: copy it once more"
        )
    budget.take(size, str(file))
    return array_of(shape, dtype, lambda: np.load(file, allow_pickle=False), str(file))


def resident(array: np.ndarray, where: str) -> ClipArray:
    """Return the tokens of an array that is in memory."""
    return array_of(array.shape, array.dtype, lambda: array, where)
