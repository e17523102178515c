"""xy: scikit-learn's X and y, as .npy files in a folder, an .npz, or a pickle (joblib too)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from emo.errors import StoreError, plural
from emo.machine.untrusted.budget import Budget
from emo.machine.untrusted.npy import array_bytes
from emo.ragged import Ragged, offsets_of
from emo.store.exchange.clip_folder import check_folder
from emo.store.exchange.contents import Contents, StreamTokens, spec_of
from emo.store.exchange.format import Format
from emo.store.exchange.labels import cell_text, is_label_name
from emo.store.exchange.named_arrays import ID_NAMES, LENGTH_ENDINGS, ROW, ids_as_text
from emo.store.exchange.npy_headers import check_npz
from emo.store.exchange.per_clip import shape_of_tokens
from emo.store.exchange.readers.unjoblib import is_pickle, object_array, read_any_pickle

_SPLITS = {
    "train": "train", "trn": "train", "tr": "train", "val": "val", "valid": "val",
    "validation": "val", "dev": "val", "devel": "val", "test": "test", "tst": "test", "te": "test",
}  # fmt: skip
_LABELS = ("y", "label", "labels", "target", "targets")


@dataclass(frozen=True)
class XyReadOptions:
    """Options for reading X and y."""

    ids: str | None = field(
        default=None,
        metadata={"help": "The array of clip ids; #row numbers the clips from 0; default: ids …"},
    )
    fixed: bool = field(
        default=False,
        metadata={"help": "All L tokens of X (N, L, D) are tokens; else X_lengths is needed."},
    )
    stream: str = field(default="features", metadata={"help": "Name of the stream of X."})


@dataclass(frozen=True)
class _Name:
    """What the name of an array says: ``X_audio_train`` is X of audio in train."""

    role: str
    split: str = ""
    stream: str = ""


class Xy(Format):
    """X (N, D), X (N, L, D) or N arrays (T, D), y (N,) and ids; also X_train, X_audio_test."""

    extension = ".npz"
    may_be_pickle = True
    can_write = False
    ReadOptions = XyReadOptions

    @contextmanager
    def read(self, path: Path, options: XyReadOptions) -> Iterator[Contents]:
        """Find X, y, ids and lengths by their names, for each split if the names say splits."""
        arrays = self._arrays(path, self.budget(path))
        parts, others = _sorted(arrays, path, options)
        alone = [s for s, part in parts.items() if not any(n.role == "X" for n in part)]
        others += [f"{n.role}_{s or n.stream} (no X)" for s in alone for n in parts.pop(s)]
        if not parts:
            raise StoreError(
                f"{path}: no array X, X_train …; found {', '.join(list(arrays)[:12]) or 'none'}; "
                "`emo store import clip_arrays` reads an array for each clip"
            )
        if "" in parts and len(parts) > 1:
            raise StoreError(f"{path}: has X and X_{'/'.join(s for s in parts if s)}; keep one")
        pieces = [_piece(part, split, path, options) for split, part in parts.items()]
        yield replace(_joined(pieces, path, options), ignored=tuple(others))

    def _arrays(self, path: Path, budget: Budget) -> dict[str, Any]:
        """Return name -> array of all arrays in a folder or file."""
        if path.is_dir():
            check_folder(path)
            return {file.stem: self._npy(file, budget) for file in sorted(path.glob("*.npy"))}
        with path.open("rb") as file:
            start = file.read(8)
        if start.startswith(b"\x93NUMPY"):
            return _named(self._npy(path, budget), path)
        if start.startswith(b"PK"):
            try:
                check_npz(path, budget)
                with np.load(path, allow_pickle=False) as opened:
                    return {name: opened[name] for name in opened.files}
            except ValueError as error:
                raise StoreError(f"{path}: not an .npz of plain arrays: {error}") from error
        if not is_pickle(path, start):
            raise StoreError(f"{path}: neither .npy nor .npz, nor a pickle or a file of joblib")
        if not self.allow_pickle:
            raise self.pickle_error(path)
        return _named(read_any_pickle(path, budget), path)

    def _npy(self, file: Path, budget: Budget) -> np.ndarray:
        """Return the array of an .npy file, mapped; one of objects is read if pickles may be."""
        try:
            with file.open("rb") as opened:
                budget.take(array_bytes(opened, str(file)), str(file))
        except ValueError as error:
            if "pickled objects" not in str(error):
                raise StoreError(f"{file}: not an .npy file: {error}") from error
            if not self.allow_pickle:
                raise self.pickle_error(file) from error
            return object_array(file, budget)
        found: np.ndarray = np.load(file, mmap_mode="r", allow_pickle=False)
        return found


def _named(value: Any, path: Path) -> dict[str, Any]:
    """Return name -> array of a pickle: a dict, a tuple (X, y) or X alone."""
    if isinstance(value, np.ndarray) and value.ndim == 0:  # numpy.save of a dict
        value = value.item()
    if isinstance(value, dict):
        return {str(name): each for name, each in value.items()}
    if isinstance(value, list) and len(value) == 2 and len(value[0]) == len(value[1]):
        first, second = (np.shape(each) if _is_numbers(each) else () for each in value)
        if len(first) == len(second) == 2 and first == second:
            raise StoreError(
                f"{path}: two arrays {first}: X and y, or two clips? Save a dict with X and y, or "
                "with X, a list of clips"
            )
        return {"X": value} if len(first) == 1 else {"X": value[0], "y": value[1]}
    if isinstance(value, np.ndarray | list):
        return {"X": value}
    raise StoreError(f"{path}: expected a dict of arrays, (X, y) or X, got {type(value).__name__}")


def _is_numbers(value: Any) -> bool:
    """Return whether a value is an array of numbers."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiub"


def _sorted(
    arrays: Mapping[str, Any], path: Path, options: XyReadOptions
) -> tuple[dict[str, dict[_Name, Any]], list[str]]:
    """Return split -> what its arrays are -> array, and the names of arrays that say nothing.

    Raises:
        StoreError: two arrays hold X, ids or lengths of one stream and split.
    """
    parts: dict[str, dict[_Name, Any]] = {}
    owners: dict[_Name, str] = {}
    others = []
    for name, array in arrays.items():
        found = _parsed(name, options)
        if found is None:
            others.append(name)
            continue
        if found in owners and found.role == "y":
            found = replace(found, stream=name)
        if found in owners:
            raise StoreError(
                f"{path}: {owners[found]} and {name} are both {found.role} of "
                f"{found.split or 'all clips'}; leave one out"
            )
        owners[found] = name
        parts.setdefault(found.split, {})[found] = array
    return parts, others


def _parsed(name: str, options: XyReadOptions) -> _Name | None:
    """Return what the name of an array says; None: nothing.

    >>> _parsed("X_audio_train", XyReadOptions())
    _Name(role='X', split='train', stream='audio')
    >>> _parsed("test_labels", XyReadOptions()).split
    'test'
    """
    split = ""
    words = re.split(r"[_-]", name)
    for word in words if len(words) > 1 else ():
        split = _SPLITS.get(word.lower(), split)
    rest = [word for word in words if word.lower() not in _SPLITS]
    stem, bare = "_".join(rest), "_".join(rest).lower()
    if options.ids in (name, stem) or (options.ids is None and bare in ID_NAMES):
        return _Name("ids", split)
    ending = next((e for e in LENGTH_ENDINGS if bare.endswith(e)), "")
    if ending or bare in ("lengths", "lens"):
        inner = stem[: len(stem) - len(ending)] if ending else "X"
        return _Name("lengths", split, "_".join(inner.split("_")[1:]))
    if rest and rest[0].lower() in ("x", "features"):
        return _Name("X", split, "_".join(rest[1:]))
    if rest and rest[0].lower() in _LABELS:
        return _Name("y", split, "_".join(rest[1:]))
    return _Name("y", split, stem) if is_label_name(bare) else None


@dataclass(frozen=True, eq=False)
class _Piece:
    """The clips of one split."""

    ids: list[str]
    tokens: Mapping[str, tuple[Any, np.ndarray]]
    """Stream -> X, and int64 (N,), the tokens of each clip."""
    cells: list[dict[str, str]]


def _piece(part: Mapping[_Name, Any], split: str, path: Path, options: XyReadOptions) -> _Piece:
    """Return the clips of one split, checked against each other."""
    xs = {name.stream: array for name, array in part.items() if name.role == "X"}
    where = f"{path}: {split}".removesuffix(": ")
    for array in xs.values():
        if not np.shape(array)[:1] or not len(array):
            raise StoreError(f"{where}: X has no clips: a {type(array).__name__} without rows")
    count = len(next(iter(xs.values())))
    ids = _ids(part, split, count, where, options)
    tokens = {}
    for stream, array in xs.items():
        what = f"{where}: X {stream}".rstrip()
        if len(array) != len(ids):
            raise StoreError(f"{what}: expected {plural(len(ids), 'clip')}, got {len(array)}")
        lengths = part.get(_Name("lengths", split, stream))
        tokens[stream] = (array, _lengths(array, lengths, what, options))
    cells: list[dict[str, str]] = [{"split": split} if split else {} for _ in ids]
    for name, array in part.items():
        if name.role == "y":
            if len(array) != len(ids):
                raise StoreError(
                    f"{where}: y has {len(array)} cells for {plural(len(ids), 'clip')}"
                )
            _add_labels(cells, name.stream or "label", array, where)
    return _Piece(ids, tokens, cells)


def _ids(
    part: Mapping[_Name, Any], split: str, count: int, where: str, options: XyReadOptions
) -> list[str]:
    """Return the ids of the clips of a split."""
    if options.ids == ROW:
        return [f"{split}/{row}".lstrip("/") for row in range(count)]
    found = part.get(_Name("ids", split))
    if found is None:
        raise StoreError(
            f"{where}: no array of clip ids (ids, names …): name it with -o ids=NAME, or number "
            "the clips with -o ids=#row"
        )
    try:
        ids = ids_as_text(np.asarray(found).reshape(-1).tolist())
    except ValueError as error:
        raise StoreError(f"{where}: ids: {error}") from error
    if len(ids) != count:
        raise StoreError(f"{where}: {plural(len(ids), 'id')} for X of {plural(count, 'clip')}")
    return ids


def _lengths(array: Any, lengths: Any, where: str, options: XyReadOptions) -> np.ndarray:
    """Return int64 (N,), the tokens of each clip, after checking the shapes."""
    if isinstance(array, list) or array.dtype.kind == "O":
        shapes = [shape_of_tokens(np.shape(each), f"{where}[{k}]") for k, each in enumerate(array)]
        kinds = {(shape[1], np.asarray(each).dtype.name)
                 for shape, each in zip(shapes, array, strict=True)}  # fmt: skip
        if len(kinds) > 1:
            raise StoreError(f"{where}: expected arrays of one width and type, got {sorted(kinds)}")
        return np.array([shape[0] for shape in shapes], np.int64)
    if array.dtype.kind not in "fiub" or array.ndim not in (2, 3) or not array.shape[-1]:
        raise StoreError(
            f"{where}: expected numbers (N, D) or (N, L, D), got {array.dtype} {array.shape}"
        )
    if array.ndim == 2:
        return np.ones(len(array), np.int64)
    longest = array.shape[1]
    if lengths is None and not options.fixed and longest > 1:
        raise StoreError(
            f"{where} {array.shape}: padded tokens without lengths: expected X_lengths (N,), or "
            f"-o fixed=true if each clip has {longest} tokens without padding"
        )
    found = np.full(len(array), longest) if lengths is None else np.asarray(lengths).reshape(-1)
    if found.dtype.kind == "f" and (found % 1 == 0).all():  # as MATLAB and pandas write them
        found = found.astype(np.int64)
    if len(found) != len(array) or (found < 0).any() or found.dtype.kind not in "iu":
        raise StoreError(f"{where}: its lengths are no {len(array)} whole numbers from 0")
    kept: np.ndarray = np.minimum(found, longest).astype(np.int64)
    return kept


def _add_labels(cells: list[dict[str, str]], name: str, array: Any, where: str) -> None:
    """Add y (N,), (N, 1) or (N, C) to the cells of the clips."""
    values = np.asarray(array)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim > 2:
        raise StoreError(f"{where}: y: expected (N,) or (N, C), got {values.shape}")
    for row, value in zip(cells, values, strict=True):
        if values.ndim == 1:
            row[name] = cell_text(value)
        else:
            row |= {f"{name}_{k}": cell_text(each) for k, each in enumerate(value)}


def _joined(pieces: Sequence[_Piece], path: Path, options: XyReadOptions) -> Contents:
    """Join the splits, whose streams must agree."""
    names = list(pieces[0].tokens)
    ids = [clip_id for piece in pieces for clip_id in piece.ids]
    streams = {}
    for name in names:
        kinds = set()
        for piece in pieces:
            if list(piece.tokens) != names:
                raise StoreError(f"{path}: the splits have X of different streams")
            first = piece.tokens[name][0]
            one = np.asarray(first[0]) if len(first) else np.zeros(1)
            kinds.add((one.shape[-1], one.dtype.newbyteorder("=").name))
        if len(kinds) > 1:
            raise StoreError(f"{path}: X differs in width or type between splits: {sorted(kinds)}")
        ((dim, dtype),) = kinds
        tokens = [piece.tokens[name] for piece in pieces]
        streams[name or options.stream] = _stream(tokens, int(dim), dtype, ids, path)
    rows = [row for piece in pieces for row in piece.cells]
    cells = dict(zip(ids, rows, strict=True)) if any(rows) else {}
    named = "the numbers of the rows (-o ids=#row)" if options.ids == ROW else "the array of ids"
    return Contents(ids, streams, cells=cells, lines=(f"ids: {named}",))


def _stream(
    tokens: Sequence[tuple[Any, np.ndarray]], dim: int, dtype: str, ids: Sequence[str], path: Path
) -> StreamTokens:
    """Return a stream whose clips lie in several arrays."""
    lengths = np.concatenate([each for _, each in tokens])
    starts = offsets_of(np.array([len(each) for _, each in tokens]))

    def read(first: int, last: int) -> Ragged:
        parts = [np.zeros((0, dim), dtype)]
        for row in range(first, last):
            piece = int(np.searchsorted(starts, row, side="right")) - 1
            array, counts = tokens[piece]
            inner = row - int(starts[piece])
            clip = np.asarray(array[inner], dtype).reshape(-1, dim)
            if clip[counts[inner] :].any():
                raise StoreError(
                    f"{path}: clip {ids[row]!r} has numbers beyond its {counts[inner]} tokens: its "
                    "length is wrong, or the padding is in front; npz has -o padding=front"
                )
            parts.append(clip[: counts[inner]])
        return Ragged(np.concatenate(parts), offsets_of(lengths[first:last]))

    return StreamTokens(spec_of({}, "", dim, dtype), lengths, read)
