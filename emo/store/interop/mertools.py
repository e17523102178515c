"""mertools: MERBench's folders ``X-FRA`` or ``X-UTT`` of .npy files for a stream X, and label.npz.

Source: zeroQiaoba/MERTools, MERBench/toolkit (utils/read_data.py, preprocess/meld.py).
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from emo.errors import StoreError
from emo.ragged import Ragged, offsets_of
from emo.store.exchange.clip_folder import (
    check_folder,
    file_name,
    ordered,
    read_document,
    write_clips,
    write_document,
)
from emo.store.exchange.contents import Contents, StreamTokens, contents_fields, spec_of
from emo.store.exchange.format import Format
from emo.untrusted.budget import Budget
from emo.untrusted.documents import shortened
from emo.untrusted.npy import array_bytes

UTT, FRA = "-UTT", "-FRA"
"""Endings of folders: one token for each utterance, or one for each frame."""
CORPORA = ("train", "val", "test")
"""Splits that ``label.npz`` has."""
NO_VALENCE = -10
"""Value that MERBench writes for a clip without valence."""


@dataclass(frozen=True)
class MertoolsWriteOptions:
    """Options for writing the folders."""

    emo: str = field(default="label", metadata={"help": "The manifest's column of emotions."})
    val: str = field(
        default="valence", metadata={"help": "The manifest's column of valence, if any."}
    )
    classes: str | None = field(
        default=None,
        metadata={"help": "a,b,c: write emotions as 0, 1, 2, as MERBench's MELD loader expects."},
    )
    means: bool = field(
        default=False,
        metadata={"help": "Write the mean of the tokens of each X-FRA as X-UTT, too."},
    )


class Mertools(Format):
    """A folder with a file features/X-FRA/CLIP.npy (T, D) or X-UTT (D,) a clip, and label.npz."""

    extension = ""
    WriteOptions = MertoolsWriteOptions

    @contextmanager
    def read(self, path: Path, options: Any) -> Iterator[Contents]:
        """Find the clips in the folders; ``label.npz`` is not read, because it is a pickle.

        Links in the folder are refused: they may lead to files outside of it.
        """
        check_folder(path)
        root = path / "features" if (path / "features").is_dir() else path
        folders = sorted(f for f in root.glob("*") if f.is_dir() and f.name[-4:] in (UTT, FRA))
        if not folders:
            raise StoreError(f"{path}: no folder in it is called NAME{UTT} or NAME{FRA}")
        document = read_document(path)
        names = _stream_names(folders, document)
        files = {stream: _files(folder, bool(document)) for stream, folder in names.items()}
        ids = ordered({clip_id for each in files.values() for clip_id in each}, document)
        budget = self.budget(path)
        streams = {name: _rows(name, files[name], ids, document, budget) for name in names}
        lines = tuple(_order_notes(files))
        yield Contents(ids, streams, lines=lines, **contents_fields(document))

    def write(self, contents: Contents, path: Path, options: MertoolsWriteOptions) -> None:
        """Write a file for each clip and stream; in file names, unsafe characters become %XX."""
        names = {clip_id: file_name(clip_id, "mertools") for clip_id in contents.ids}
        written = {}
        for stream, rows in contents.streams.items():
            if rows.spec.dim == 1 and rows.lengths.max() > 1:
                raise StoreError(
                    f"stream {stream!r}: MERBench would read tokens (T, 1) as one token of width T"
                )
            ending = UTT if rows.lengths.max(initial=0) <= 1 else FRA
            written[f"{stream}{ending}"] = stream
            root = path / "features"
            write_clips(root / f"{stream}{ending}", contents, rows, names, ending == UTT)
            if ending == FRA and options.means:
                write_clips(root / f"{stream}{UTT}", contents, rows, names, is_mean=True)
        write_document(path, contents, written)
        if contents.cells:
            np.savez_compressed(path / "label.npz", **_corpora(contents, names, options))


def _corpora(
    contents: Contents, names: Mapping[str, str], options: MertoolsWriteOptions
) -> dict[str, Any]:
    """Return the arrays of ``label.npz``: ``train_corpus`` … of {file: {"emo": …, "val": …}}."""
    numbers = {name: k for k, name in enumerate((options.classes or "").split(",")) if name}
    corpora: dict[str, dict[str, Any]] = {name: {} for name in CORPORA}
    for clip_id in contents.ids:
        cells = contents.cells[clip_id]
        split, emotion = cells.get("split", ""), cells.get(options.emo)
        if split not in CORPORA or emotion is None:
            raise StoreError(
                f"clip {clip_id!r}: expected a split and a {options.emo} in the manifest, got "
                f"{split or 'no split'} and {emotion or 'none'}; -o emo=COLUMN names another"
            )
        if numbers and emotion not in numbers:
            raise StoreError(
                f"clip {clip_id!r}: {emotion!r} is not among -o classes={list(numbers)}"
            )
        valence = cells.get(options.val)
        corpora[split][names[clip_id]] = {
            "emo": numbers.get(emotion, emotion),
            "val": float(valence) if valence else NO_VALENCE,
        }
    return {f"{name}_corpus": np.array(corpus, dtype=object) for name, corpus in corpora.items()}


def _stream_names(folders: list[Path], document: Mapping[str, Any]) -> dict[str, Path]:
    """Return stream -> folder, from our own document, else from the folders' names."""
    ours = document.get("folders", {})
    if ours:
        return {ours[folder.name]: folder for folder in folders if folder.name in ours}
    stems = [folder.name[:-4] for folder in folders]
    found = {}
    for folder, stem in zip(folders, stems, strict=True):
        name = folder.name if stems.count(stem) > 1 else stem
        found[re.sub(r"[^A-Za-z0-9_.-]+", "-", name).lstrip("-_.") or name] = folder
    return found


def _files(folder: Path, is_ours: bool) -> dict[str, Path]:
    """Return clip id -> its file, or its folder with a file for each frame."""
    found = {}
    for each in sorted(folder.iterdir()):
        if each.is_dir() or each.suffix == ".npy":
            name = each.name if each.is_dir() else each.stem
            found[unquote(name) if is_ours else name] = each
    return found


def _rows(
    stream: str,
    files: Mapping[str, Path],
    ids: list[str],
    document: Mapping[str, Any],
    budget: Budget,
) -> StreamTokens:
    """Return the tokens of one stream, read from a file for each clip."""
    if not files:
        raise StoreError(f"stream {stream!r}: its folder holds no .npy file")
    shapes = {clip_id: _shape(file, budget) for clip_id, file in files.items()}
    _, dim, dtype = next(iter(shapes.values()))
    for clip_id, (_, found, kind) in shapes.items():
        if (found, kind) != (dim, dtype):
            raise StoreError(f"{files[clip_id]}: expected (T, {dim}) {dtype}, got {found} {kind}")
    lengths = np.array([shapes[each][0] if each in shapes else 0 for each in ids], np.int64)

    def read(first: int, last: int) -> Ragged:
        arrays = [_tokens(files[clip_id]) for clip_id in ids[first:last] if clip_id in files]
        values = np.concatenate([np.zeros((0, dim), dtype), *arrays])
        return Ragged(values, offsets_of(lengths[first:last]))

    return StreamTokens(spec_of(document, stream, dim, dtype), lengths, read)


def _shape(file: Path, budget: Budget) -> tuple[int, int, str]:
    """Return T, D and dtype of a clip; numbers are not read if the clip is a single file."""
    for each in frames_of(file) if file.is_dir() else [file]:
        _take(each, budget)
    tokens = _tokens(file, is_mapped=True)
    return len(tokens), int(tokens.shape[1]), np.dtype(tokens.dtype).newbyteorder("=").name


def _take(file: Path, budget: Budget) -> None:
    """Count the bytes of an .npy file's array, from its header, before it is read.

    Raises:
        StoreError: the budget is spent, it is no such file, or it holds fewer bytes than it says.
    """
    try:
        with file.open("rb") as opened:
            size = array_bytes(opened, str(file))
    except (OSError, ValueError, EOFError) as error:
        raise StoreError(f"{file}: not an .npy file of numbers: {shortened(str(error))}") from error
    budget.take(size, str(file))


def frames_of(folder: Path) -> list[Path]:
    """Return the files of a clip's frames in their natural order: ``2.npy`` before ``10.npy``."""
    return sorted(folder.glob("*.npy"), key=lambda file: (_natural(file.stem), file.stem))


def _natural(stem: str) -> list[tuple[int, int, str]]:
    """Return the words and numbers of a name, so that numbers are compared by value."""
    return [
        (1, int(part), "") if part.isdecimal() else (0, 0, part)
        for part in re.split(r"(\d+)", stem)
    ]


def _is_order_certain(folder: Path) -> bool:
    """Return whether the names of a clip's frames tell their order.

    They do if they differ in one number alone, and no two have the same number.
    """
    stems = [file.stem for file in frames_of(folder)]
    words = [re.split(r"(\d+)", stem) for stem in stems]
    if len({len(each) for each in words}) > 1:
        return False
    varying = [k for k, parts in enumerate(zip(*words, strict=True)) if len(set(parts)) > 1]
    numbers = [int(each[k]) for each in words for k in varying if each[k].isdecimal()]
    return len(stems) < 2 or (len(varying) == 1 and len(set(numbers)) == len(stems))


def _order_notes(files: Mapping[str, Mapping[str, Path]]) -> list[str]:
    """Return a line about the clips whose frames have names that do not tell their order."""
    unsure = [
        folder
        for each in files.values()
        for folder in each.values()
        if folder.is_dir() and not _is_order_certain(folder)
    ]
    if not unsure:
        return []
    names = ", ".join(file.name for file in frames_of(unsure[0])[:3])
    return [
        f"the order of the frames is not certain in {len(unsure):,} folders, such as "
        f"{unsure[0]}: {names} …; they were joined in this order"
    ]


def _tokens(file: Path, *, is_mapped: bool = False) -> np.ndarray:
    """Return the tokens (T, D) of a clip: a file (T, D) or (D,), or a folder of files (D,)."""
    if file.is_dir():
        frames = [_tokens(each) for each in frames_of(file)]
        return np.concatenate(frames) if frames else np.zeros((0, 1), np.float32)
    try:
        array: np.ndarray = np.load(file, allow_pickle=False, mmap_mode="r" if is_mapped else None)
    except (OSError, ValueError, EOFError) as error:
        raise StoreError(f"{file}: not an .npy file of numbers: {error}") from error
    if array.ndim == 1:
        array = array[None]
    while array.ndim > 2 and 1 in array.shape[:-1]:
        array = array.squeeze(axis=array.shape.index(1))
    if array.ndim != 2:
        raise StoreError(f"{file}: expected (T, D) or (D,), got {array.shape}")
    return array
