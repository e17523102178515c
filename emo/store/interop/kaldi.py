"""kaldi: matrices and vectors in ark files, found by scp files or read one after another.

Source: Kaldi, "Kaldi I/O mechanisms" and matrix/compressed-matrix.h. Commands in scp files
(``sph2pipe … |``) are refused, never run.
"""

import math
import re
import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from emo.errors import StoreError
from emo.machine.untrusted.budget import Budget
from emo.machine.untrusted.documents import short_repr
from emo.machine.untrusted.files import UnfitFileError, read_regular
from emo.store.exchange.clip_folder import check_folder
from emo.store.exchange.contents import Contents
from emo.store.exchange.format import Format
from emo.store.exchange.per_clip import ClipArray, array_of, streams_of_clips

_RANGE = re.compile(r"(.*?)(\[[\d:,]*\])?$")
_POSITION = re.compile(r"(.*?)(?::(\d+))?$")
_MOST_KEY = 4096
_MOST_LIST = 2**30
_TYPES = {b"FM": "<f4", b"DM": "<f8", b"FV": "<f4", b"DV": "<f8"}
_PACKED = {b"CM": 1, b"CM2": 2, b"CM3": 1}
"""Types of compressed matrices -> bytes of a number."""
_NO_FEATURES = ("wav", "cmvn", "segments")
"""Lists of a data folder whose entries are sound, or statistics of speakers, not of clips."""
_NAMES = {"spk": "speaker", "emo": "emotion"}
"""End of a file ``utt2…`` -> column of a manifest, where they differ."""


class Kaldi(Format):
    """An .scp, an .ark, or a folder of them, each a stream; utt2spk and text are labels."""

    extension = ""
    keeps_all = False

    @contextmanager
    def read(self, path: Path, options: Any) -> Iterator[Contents]:
        """Find the matrices; of each only its header is read until its numbers are used."""
        budget = self.budget(path)
        folder = path if path.is_dir() else path.parent
        if path.is_dir():
            check_folder(path)
        every = sorted(path.glob("*.scp")) or sorted(path.glob("*.ark"))
        files = [file for file in every if file.stem not in _NO_FEATURES] or [path]
        if path.is_dir() and files == [path]:
            raise StoreError(f"{path}: expected files .scp or .ark of features, found none")
        left = ", ".join(file.name for file in every if file not in files)
        lines = ["ids: Kaldi's keys", *[f"no features, left out: {left}"] * bool(left)]
        streams: dict[str, dict[str, ClipArray]] = defaultdict(dict)
        for file in files:
            entries = _scp(file, folder, budget) if file.suffix == ".scp" else _ark(file, budget)
            for key, array in entries:
                if key in streams[file.stem]:
                    raise StoreError(f"{file}: clip {short_repr(key)} is in it twice")
                streams[file.stem][key] = array
            if not streams[file.stem]:
                raise StoreError(f"{file}: has no matrix or vector")
        ids = list(dict.fromkeys(key for found in streams.values() for key in found))
        cells = _labels(folder, ids) if path.is_dir() else {}
        yield Contents(ids, streams_of_clips(streams, ids, {}), cells=cells, lines=tuple(lines))

    def write(self, contents: Contents, path: Path, options: Any) -> None:
        """Write STREAM.ark and STREAM.scp, whose paths are relative to the folder."""
        for clip_id in contents.ids:
            if not clip_id or re.search(r"\s", clip_id):
                raise StoreError(f"clip {clip_id!r}: keys of Kaldi have no blanks")
        path.mkdir(parents=True)
        for name, rows in contents.streams.items():
            if np.dtype(rows.spec.dtype).kind != "f" or re.search(r"\s", name):
                raise StoreError(f"stream {name!r}: Kaldi holds float32 and float64 alone")
            dtype = "<f8" if rows.spec.dtype == "float64" else "<f4"
            lines = []
            with (path / f"{name}.ark").open("wb") as ark:
                for first, ragged in rows.blocks():
                    for row, tokens in enumerate(ragged, start=first):
                        if len(tokens):
                            key = contents.ids[row]
                            ark.write(key.encode() + b" ")
                            lines.append(f"{key} {name}.ark:{ark.tell()}\n")
                            kind = b"\0BDM " if dtype == "<f8" else b"\0BFM "
                            ark.write(kind + struct.pack("<bibi", 4, len(tokens), 4, rows.spec.dim))
                            ark.write(np.ascontiguousarray(tokens, dtype).data)
            (path / f"{name}.scp").write_text("".join(lines), encoding="utf-8")
        for column in dict.fromkeys(n for row in contents.cells.values() for n in row):
            words = {"speaker": "utt2spk", "text": "text"}
            name = words.get(column, f"utt2{column}")
            if not re.fullmatch(r"[\w.-]+", name):
                raise StoreError(f"column {column!r}: it cannot name a file utt2…; rename it")
            lines = [
                f"{i} {' '.join(contents.cells[i][column].split())}\n"
                for i in contents.ids
                if contents.cells.get(i, {}).get(column)
            ]
            (path / name).write_text("".join(lines), encoding="utf-8")


def _scp(file: Path, folder: Path, budget: Budget) -> Iterator[tuple[str, ClipArray]]:
    """Iterate over the entries of an scp file; its paths may not leave its folder."""
    for number, line in enumerate(_text(file).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{file}: line {number}"
        key, rest = [*line.split(maxsplit=1), ""][:2]
        rest = rest.strip()
        if not rest:
            raise StoreError(f"{where}: expected KEY FILE:OFFSET, got {short_repr(line)}")
        if "|" in rest:
            raise StoreError(
                f"{where}: refused: {short_repr(rest)} is a command to run; run copy-feats "
                "yourself and import what it writes"
            )
        found = _RANGE.fullmatch(rest)
        if found is None or found[2]:
            raise StoreError(f"{where}: ranges of rows such as {rest[-20:]} are not read")
        position = _POSITION.fullmatch(found[1])
        ark = _inside(position[1] if position else rest, folder, where)
        offset = int(position[2]) if position and position[2] else 0
        yield key, _matrix(ark, offset, f"{where}: {key}", budget)[0]


def _inside(name: str, folder: Path, where: str) -> Path:
    """Return the path of an ark that an scp names; a path elsewhere is looked for in the folder."""
    root = folder.resolve()
    for candidate in (folder / name, folder / Path(name).name):
        if candidate.is_file() and candidate.resolve().is_relative_to(root):
            return candidate
    raise StoreError(
        f"{where}: {short_repr(name)} is not in {folder}; put the ark files beside the scp"
    )


def _ark(file: Path, budget: Budget) -> Iterator[tuple[str, ClipArray]]:
    """Iterate over the entries of an ark file, binary or text."""
    position, size = 0, file.stat().st_size
    while position < size:
        key, start = _key(file, position)
        if not key:
            return
        array, position = _matrix(file, start, f"{file}: {key}", budget)
        yield key, array


def _key(file: Path, position: int) -> tuple[str, int]:
    """Return the key at a position, and where its matrix begins; an empty key ends the file."""
    with file.open("rb") as opened:
        opened.seek(position)
        data = opened.read(_MOST_KEY)
    blank = len(data) - len(data.lstrip(b"\n\r "))
    key, space, _ = data[blank:].partition(b" ")
    if not data[blank:]:
        return "", position
    try:
        text = key.decode()
    except UnicodeDecodeError:
        text = ""
    if not space or not text.isprintable() or not text:
        raise StoreError(f"{file}: byte {position:,}: expected a key, got {short_repr(repr(key))}")
    return text, position + blank + len(key) + 1


def _matrix(file: Path, start: int, where: str, budget: Budget) -> tuple[ClipArray, int]:
    """Return the matrix at a position of a file, and where the next entry begins."""
    with file.open("rb") as opened:
        opened.seek(start)
        head = opened.read(64)
        if head[:2] != b"\0B":
            return _text_matrix(opened, start, where, budget)
        kind, _, rest = head[2:].partition(b" ")
        begin = start + 2 + len(kind) + 1
        try:
            shape, skip, size = _shape(kind, rest)
        except (struct.error, ValueError) as error:
            raise StoreError(f"{where}: not a matrix or vector of Kaldi: {error}") from error
        end = begin + skip + size
        if end > file.stat().st_size:
            raise StoreError(f"{where}: the file ends within it; copy {file} once more")
    budget.take(math.prod(shape) * 8, where)
    read = partial(_read, file, kind, begin, skip, size, shape)
    dtype = "<f8" if kind.startswith(b"D") else "<f4"
    return array_of(shape, dtype, read, where), end


def _shape(kind: bytes, rest: bytes) -> tuple[tuple[int, ...], int, int]:
    """Return shape, bytes before the numbers, and bytes of the numbers, from a header."""
    if kind in _PACKED:
        _, _, rows, columns = struct.unpack_from("<ffii", rest)
        headers = 8 * columns if kind == b"CM" else 0
        shape: tuple[int, ...] = (rows, columns)
        skip, size = 16, headers + rows * columns * _PACKED[kind]
    elif kind in _TYPES:
        sizes = struct.unpack_from("<bi" if kind[1:] == b"V" else "<bibi", rest)
        if any(mark != 4 for mark in sizes[::2]):
            raise ValueError("its sizes are no numbers of 4 bytes")
        shape, skip = tuple(sizes[1::2]), 5 * len(sizes[1::2])
        size = math.prod(shape) * int(_TYPES[kind][2])
    else:
        raise ValueError(f"type {short_repr(repr(kind))}")
    if min(shape) < 1:
        raise ValueError(f"shape {shape}")
    return shape, skip, size


def _read(
    file: Path, kind: bytes, begin: int, skip: int, size: int, shape: tuple[int, ...]
) -> np.ndarray:
    """Return the numbers of a matrix or vector."""
    with file.open("rb") as opened:
        opened.seek(begin)
        head, data = opened.read(skip), opened.read(size)
    if kind in _TYPES:
        return np.frombuffer(data, _TYPES[kind]).reshape(shape)
    low, span = struct.unpack_from("<ff", head)
    if kind != b"CM":
        packed = np.frombuffer(data, "<u2" if kind == b"CM2" else "u1").reshape(shape)
        scale = np.float32(span / (65535 if kind == b"CM2" else 255))
        plain: np.ndarray = (np.float32(low) + packed * scale).astype(np.float32)
        return plain
    rows, columns = shape
    points = np.frombuffer(data[: 8 * columns], "<u2").reshape(columns, 4)
    p0, p25, p75, p100 = (low + points * np.float32(span / 65535)).astype(np.float32).T[..., None]
    codes = np.frombuffer(data[8 * columns :], "u1").reshape(columns, rows).astype(np.float32)
    found: np.ndarray = np.where(
        codes <= 64,
        p0 + (p25 - p0) * codes / 64,
        np.where(
            codes <= 192, p25 + (p75 - p25) * (codes - 64) / 128,
            p75 + (p100 - p75) * (codes - 192) / 63,
        ),
    )  # fmt: skip
    unpacked: np.ndarray = found.T.astype(np.float32)
    return unpacked


def _text_matrix(opened: Any, start: int, where: str, budget: Budget) -> tuple[ClipArray, int]:
    """Return a matrix or vector that is written as text, and where the next entry begins."""
    opened.seek(start)
    data = b""
    while b"]" not in data:
        piece = opened.read(2**16)
        budget.take(8 * len(piece), where)
        if not piece:
            raise StoreError(f"{where}: expected a matrix [ … ], binary or text")
        data += piece
    inner, _, _ = data.partition(b"]")
    body = inner.strip()
    if not body.startswith(b"["):
        raise StoreError(f"{where}: expected a matrix [ … ], binary or text")
    lines = [line.split() for line in body[1:].splitlines() if line.strip()]
    if len({len(line) for line in lines}) != 1:
        raise StoreError(f"{where}: its rows have different lengths, or none")
    try:
        array = np.array([[float(word) for word in line] for line in lines], np.float32)
    except ValueError as error:
        raise StoreError(f"{where}: {error}") from error
    return array_of(array.shape, array.dtype, lambda: array, where), start + len(inner) + 1


def _labels(folder: Path, ids: list[str]) -> dict[str, dict[str, str]]:
    """Return the cells of the files ``text`` and ``utt2…`` of a data folder."""
    columns: dict[str, Mapping[str, str]] = {}
    files = [folder / "text", *sorted(folder.glob("utt2*"))]
    for file in files:
        if file.is_file() and file.name not in ("utt2num_frames", "utt2dur"):
            word = file.name.removeprefix("utt2")
            pairs = (line.split(maxsplit=1) for line in _text(file).splitlines())
            found = {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}
            columns[_NAMES.get(word, word)] = found
    if not columns:
        return {}
    return {i: {name: found.get(i, "") for name, found in columns.items()} for i in ids}


def _text(file: Path) -> str:
    """Return the text of a list."""
    try:
        return read_regular(file, most_bytes=_MOST_LIST, follow_links=False).decode()
    except (UnfitFileError, UnicodeDecodeError) as error:
        raise StoreError(f"{file}: {error}") from error
