"""files: a plain folder of one .npy, .npz, .csv or .pt file for each clip, named by its id."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import numpy as np

from emo.errors import StoreError, plural
from emo.machine.untrusted.budget import Budget
from emo.store.exchange.clip_folder import (
    check_folder,
    clip_file_name,
    ordered,
    read_folder_document,
    write_clips,
    write_folder_document,
)
from emo.store.exchange.contents import Contents, contents_fields
from emo.store.exchange.format import Format
from emo.store.exchange.labels import cell_text, is_label_name
from emo.store.exchange.npy_headers import npz_members
from emo.store.exchange.per_clip import ClipArray, array_of, npy_file, streams_of_clips, take_labels
from emo.store.exchange.readers.tensors import tensor_file
from emo.store.exchange.tables.columns import ColumnOptions
from emo.store.exchange.tables.one_clip import TokenTables, UnfitClip
from emo.store.exchange.tables.spool import Spool

_File = tuple[str, str, Path]
"""Sub-folder that is a stream or ``""``, clip id and path of a file."""
_Clip = tuple[Mapping[str, ClipArray], dict[str, str]]
"""Name -> array, and cells of labels."""
ENDINGS = (".npy", ".npz", ".csv", ".tsv", ".txt", ".pt")
"""Endings of files of a clip."""


@dataclass(frozen=True)
class FilesReadOptions(ColumnOptions):
    """Options for reading a folder of files."""

    stream: str = field(
        default="features", metadata={"help": "Name of the stream of files with one array."}
    )
    folders: Literal["ask", "ids", "streams"] = field(
        default="ask",
        metadata={"help": "ids: names of sub-folders begin the ids; streams: each is a stream."},
    )
    ending: str | None = field(
        default=None, metadata={"help": "Read files with this ending alone, such as .npy."}
    )


class Files(Format):
    """A folder with a file for each clip: STREAM/CLIP.npy, or files of any of the endings."""

    extension = ""
    ReadOptions = FilesReadOptions

    @contextmanager
    def read(self, path: Path, options: FilesReadOptions) -> Iterator[Contents]:
        """Find the clips by the names of the files; links are refused."""
        check_folder(path)
        document = read_folder_document(path)
        budget = self.budget(path)
        files, lines = _files(path, options, is_ours=bool(document))
        streams: dict[str, dict[str, ClipArray]] = defaultdict(dict)
        cells: dict[str, dict[str, str]] = {}
        folders = document.get("folders", {})
        unfit: dict[str, str] = {}
        with Spool() as spool:
            reader = _Reader(options, budget, spool)
            for (owner, clip_id, file), read in reader.read_each(files):
                if isinstance(read, UnfitClip):
                    unfit.setdefault(clip_id, str(read))
                    cells |= {clip_id: read.cells} if read.cells else {}
                    continue
                arrays, row = read
                for name, array in arrays.items():
                    stream = folders.get(owner, owner) or name or options.stream
                    stream = f"{owner}-{name}" if owner and name else stream
                    if clip_id in streams[stream]:
                        raise StoreError(f"{file}: clip {clip_id!r} has another file of this name")
                    streams[stream][clip_id] = array
                if row:
                    cells[clip_id] = row
            if not document:
                lines += take_labels(streams, cells, options.stream)
            if not streams:
                raise StoreError(next(iter(unfit.values()), f"{path}: holds labels alone"))
            for found in streams.values():
                for clip_id in unfit:
                    found.pop(clip_id, None)
            ids = ordered({clip_id for _, clip_id, _ in files if clip_id not in unfit}, document)
            facts = {"failures": unfit, **contents_fields(document)}
            facts = facts if cells == {} else {"cells": cells, **facts}
            made = streams_of_clips(streams, ids, document)
            yield Contents(ids, made, lines=tuple(lines + reader.lines), **facts)

    def write(self, contents: Contents, path: Path, options: Any) -> None:
        """Write STREAM/CLIP.npy (T, D) for each clip and stream, and emo.json with the rest."""
        names = {clip_id: clip_file_name(clip_id, "files") for clip_id in contents.ids}
        folders = {clip_file_name(stream, "files"): stream for stream in contents.streams}
        for folder, stream in folders.items():
            rows = contents.streams[stream]
            write_clips(path / folder, contents, rows, names, is_mean=False)
        write_folder_document(path, contents, folders)


def _files(
    path: Path, options: FilesReadOptions, *, is_ours: bool
) -> tuple[list[tuple[str, str, Path]], list[str]]:
    """Find the files of the clips.

    Returns:
        Sub-folder that is a stream or ``""``, clip id and path of each file; lines for people.
    """
    if not path.is_dir():
        raise StoreError(f"{path}: expected a folder with a file for each clip")
    endings = (options.ending,) if options.ending else ENDINGS
    every = sorted(f for f in path.rglob("*") if f.is_file() and not f.name.startswith("."))
    found = [f for f in every if f.suffix.lower() in endings]
    others = [f for f in every if f not in set(found) and f.name != "emo.json"]
    counts = Counter(f.suffix.lower() for f in found)
    if len(counts) != 1:
        kinds = " and ".join(f"{count} {ending}" for ending, count in counts.items())
        raise StoreError(
            f"{path}: expected files of one ending ({' '.join(endings)}), found {kinds or 'none'}"
            + ("; choose with -o ending=" + next(iter(counts)) if counts else "")
        )
    deep = [f for f in found if f.parent != path]
    if deep and options.folders == "ask" and not is_ours:
        raise StoreError(
            f"{path}: has sub-folders, such as {deep[0].relative_to(path).parent}: -o folders=ids "
            "puts their names before the ids, -o folders=streams makes each a stream"
        )
    by_stream = is_ours or options.folders == "streams"
    clips = []
    for file in found:
        parts = file.relative_to(path).with_suffix("").parts
        owner, rest = (parts[0], parts[1:]) if by_stream and len(parts) > 1 else ("", parts)
        clip_id = "/".join(rest)
        clips.append((owner, unquote(clip_id) if is_ours else clip_id, file))
    (ending,) = counts
    lines = [] if is_ours else [f"ids: names of the files without {ending}"]
    named = [each for each in clips if not (each[0] or "/" in each[1]) and is_label_name(each[1])]
    if named and not is_ours and len(named) < len(clips):
        left_out = set(named)
        clips = [each for each in clips if each not in left_out]
        names = ", ".join(file.name for *_, file in named)
        lines.append(f"{names}: called as labels are, no clips, left out")
    if others:
        lines.append(f"other files, left out: {plural(len(others), 'file')}, {others[0].name} …")
    return clips, lines


class _Reader:
    """Reads files of clips by their endings."""

    def __init__(self, options: FilesReadOptions, budget: Budget, spool: Spool) -> None:
        self._options, self._budget, self._spool = options, budget, spool
        self._tables = TokenTables(options, budget, stream=options.stream)

    @property
    def lines(self) -> list[str]:
        """Lines for people about what is no feature."""
        varying = ", ".join(sorted(self._tables.varying))
        line = f"labels that differ between the rows of a clip, left out: {varying}"
        return self._tables.lines + [line] * bool(varying)

    def read_each(self, files: Sequence[_File]) -> Iterator[tuple[_File, _Clip | UnfitClip]]:
        """Yield each file with its arrays and labels, or with why its clip cannot be read."""
        return self._tables.read_each(files, lambda each: self.read(each[2]))

    def read(self, file: Path) -> _Clip:
        """Return name -> array (the name is ``""`` for the only one), and cells of labels."""
        ending = file.suffix.lower()
        if ending == ".npy":
            return {"": npy_file(file, self._budget)}, {}
        if ending == ".npz":
            return self._npz(file)
        if ending == ".pt":
            found = tensor_file(file, self._budget)
            arrays = {
                name: array_of(a.shape, a.dtype, self._spool.add(a), f"{file}: {name}".rstrip(": "))
                for name, a in found.items()
                if a.ndim
            }
            cells = {name: cell_text(a.item()) for name, a in found.items() if not a.ndim}
            return self._named(arrays), cells
        table = self._tables.read(file)
        arrays = {
            "" if name == self._options.stream else name: array_of(
                tokens.shape, tokens.dtype, self._spool.add(tokens), str(file)
            )
            for name, tokens in table.streams.items()
        }
        return arrays, dict(table.cells)

    def _npz(self, file: Path) -> tuple[Mapping[str, ClipArray], dict[str, str]]:
        """Return the arrays of an .npz; a single number or text is a label of the clip."""
        arrays, cells = {}, {}
        for name, (shape, dtype) in npz_members(file, self._budget).items():
            if shape == () or dtype.kind in "SU":
                if np.prod(shape, dtype=int) == 1:
                    with np.load(file, allow_pickle=False) as opened:
                        cells[name] = cell_text(opened[name].reshape(-1)[0])
                continue
            arrays[name] = array_of(shape, dtype, partial(_member, file, name), f"{file}: {name}")
        if not arrays:
            raise StoreError(f"{file}: holds no array of tokens")
        return self._named(arrays), cells

    def _named(self, arrays: Mapping[str, ClipArray]) -> Mapping[str, ClipArray]:
        """Return the arrays; one that is alone needs no name."""
        return {"": next(iter(arrays.values()))} if len(arrays) == 1 else arrays


def _member(file: Path, name: str) -> np.ndarray:
    with np.load(file, allow_pickle=False) as opened:
        found: np.ndarray = opened[name]
        return found
