"""mertools: MERBench's folders ``X-FRA`` or ``X-UTT`` of .npy files for a stream X, and label.npz.

Source: zeroQiaoba/MERTools, MERBench/toolkit (utils/read_data.py, preprocess/meld.py).
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import numpy as np

from emo.errors import StoreError
from emo.machine.untrusted.budget import Budget
from emo.machine.untrusted.documents import shortened
from emo.machine.untrusted.npy import array_bytes
from emo.ragged import Ragged, offsets_of
from emo.store.exchange.clip_folder import (
    check_folder,
    clip_file_name,
    ordered,
    read_folder_document,
    write_clips,
    write_folder_document,
)
from emo.store.exchange.contents import Contents, StreamTokens, contents_fields, spec_of
from emo.store.exchange.format import Format
from emo.store.exchange.labels import cell_text
from emo.store.exchange.readers.unjoblib import object_members

UTT, FRA = "-UTT", "-FRA"
"""Endings of folders: one token for each utterance, or one for each frame."""
LOADERS = {
    "split": ("label.npz", ("train", "val", "test")),
    "MER2023": ("label-6way.npz", ("train", "test1", "test2", "test3")),
    "IEMOCAPFour": ("label_4way.npz", ("whole",)),
    "IEMOCAPSix": ("label_6way.npz", ("whole",)),
}
"""Loader of MERBench -> the file of labels that it reads, and its arrays ``…_corpus``."""
_SESSION = 4
"""Place of the session's number in a name of IEMOCAP, such as ``Ses01F_impro01_F000``."""
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
    loader: Literal["split", "MER2023", "IEMOCAPFour", "IEMOCAPSix"] = field(
        default="split",
        metadata={
            "help": "MERBench's loader; split: those of MELD, CMU-MOSI, CMU-MOSEI, SIMS, which "
            "read train, val and test."
        },
    )
    test_set: str = field(
        default="test_set",
        metadata={"help": "MER2023: the column of test1, test2 or test3; default: all test1."},
    )
    means: bool = field(
        default=False,
        metadata={"help": "Write the mean of the tokens of each X-FRA as X-UTT, too."},
    )


class Mertools(Format):
    """A folder with a file features/X-FRA/CLIP.npy (T, D) or X-UTT (D,) a clip, and label.npz."""

    extension = ""
    may_be_pickle = True
    WriteOptions = MertoolsWriteOptions

    @contextmanager
    def read(self, path: Path, options: Any) -> Iterator[Contents]:
        """Find the clips in the folders; ``label.npz`` is a pickle, and read only if allowed.

        Links in the folder are refused: they may lead to files outside of it.
        """
        check_folder(path)
        root = path / "features" if (path / "features").is_dir() else path
        folders = sorted(f for f in root.glob("*") if f.is_dir() and f.name[-4:] in (UTT, FRA))
        if not folders:
            raise StoreError(f"{path}: no folder in it is called NAME{UTT} or NAME{FRA}")
        document = read_folder_document(path)
        names = _stream_names(folders, document)
        files = {stream: _files(folder, bool(document)) for stream, folder in names.items()}
        ids = ordered({clip_id for each in files.values() for clip_id in each}, document)
        budget = self.budget(path)
        streams = {name: _rows(name, files[name], ids, document, budget) for name in names}
        facts = contents_fields(document)
        lines = _order_notes(files)
        labels = sorted(path.glob("label*.npz"))
        if labels and "cells" not in facts:
            if self.allow_pickle:
                found = _cells(labels[0], budget)
                facts["cells"] = {i: found[i] for i in ids if i in found}
            elif self.wants_labels:
                raise self.pickle_error(labels[0])
            else:
                lines.append(f"{labels[0].name} is a pickle; --allow-pickle reads its labels")
        yield Contents(ids, streams, lines=tuple(lines), **facts)

    def write(self, contents: Contents, path: Path, options: MertoolsWriteOptions) -> None:
        """Write a file for each clip and stream; in file names, unsafe characters become %XX."""
        names = {clip_id: clip_file_name(clip_id, "mertools") for clip_id in contents.ids}
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
        write_folder_document(path, contents, written)
        if contents.cells:
            corpora = _corpora(contents, names, options)
            np.savez_compressed(path / LOADERS[options.loader][0], **corpora)


def _corpora(
    contents: Contents, names: Mapping[str, str], options: MertoolsWriteOptions
) -> dict[str, Any]:
    """Return the arrays of labels: ``train_corpus`` … of {file: {"emo": …, "val": …}}."""
    numbers = {name: k for k, name in enumerate((options.classes or "").split(",")) if name}
    corpora: dict[str, dict[str, Any]] = {name: {} for name in LOADERS[options.loader][1]}
    for clip_id in contents.ids:
        cells = contents.cells[clip_id]
        emotion = cells.get(options.emo)
        corpus = _corpus(cells, names[clip_id], options)
        if corpus not in corpora or emotion is None:
            raise StoreError(
                f"clip {clip_id!r}: expected a split and a {options.emo} in the manifest that the "
                f"loader {options.loader} knows ({', '.join(corpora)}), got "
                f"{corpus or 'no split'} and {emotion or 'none'}; -o emo=COLUMN names another"
            )
        if numbers and emotion not in numbers:
            raise StoreError(
                f"clip {clip_id!r}: {emotion!r} is not among -o classes={list(numbers)}"
            )
        valence = cells.get(options.val)
        corpora[corpus][names[clip_id]] = {
            "emo": numbers.get(emotion, emotion),
            "val": float(valence) if valence else NO_VALENCE,
        }
    return {f"{name}_corpus": np.array(corpus, dtype=object) for name, corpus in corpora.items()}


def _corpus(cells: Mapping[str, str], name: str, options: MertoolsWriteOptions) -> str:
    """Return the corpus of a clip for a loader."""
    split = cells.get("split", "")
    if options.loader == "MER2023":
        return cells.get(options.test_set) or "test1" if split == "test" else split
    if options.loader == "split":
        return split
    if not name[_SESSION : _SESSION + 1].isdecimal():
        raise StoreError(
            f"clip {name!r}: MERBench cuts the folds of IEMOCAP by the session's number, the fifth "
            "letter of a name, as in Ses01F_impro01_F000"
        )
    return "whole"


def _cells(file: Path, budget: Budget) -> dict[str, dict[str, str]]:
    """Return name of a clip -> cells, of a file of labels."""
    found: dict[str, dict[str, str]] = {}
    for name, array in object_members(file, budget).items():
        corpus = name.removesuffix("_corpus")
        clips = array.item() if array.shape == () else None
        if not isinstance(clips, dict) or not all(isinstance(c, dict) for c in clips.values()):
            raise StoreError(f"{file}: {name}: expected a dict of the labels of each clip")
        split = {"train": "train", "val": "val"}.get(corpus, "test" if "test" in corpus else "")
        for clip_id, labels in clips.items():
            row = {"split": split} if split else {}
            row |= {"test_set": corpus} if split == "test" and corpus != "test" else {}
            for key, value in labels.items():
                column = {"emo": "label", "val": "valence"}.get(str(key), str(key))
                is_none = key == "val" and value in (NO_VALENCE, "")
                row[column] = "" if is_none else cell_text(value)
            found[str(clip_id)] = row
    return found


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
