"""emotion2vec: PREFIX.npy (ΣT, D), PREFIX.lengths and PREFIX.emo, as its downstream scripts read.

Source: ddlBoJack/emotion2vec, iemocap_downstream/data.py; fairseq's wav2vec unsupervised.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from emo.errors import StoreError, plural
from emo.machine.untrusted.documents import short_repr
from emo.machine.untrusted.files import UnfitFileError, read_regular
from emo.ragged import Ragged, offsets_of
from emo.store.exchange.contents import Contents, StreamTokens, spec_of
from emo.store.exchange.format import Format
from emo.store.exchange.named_arrays import ROW
from emo.store.exchange.per_clip import npy_file

_MOST_BYTES = 2**30


@dataclass(frozen=True)
class Emotion2vecOptions:
    """Options for reading the files."""

    ids: str | None = field(
        default=None, metadata={"help": "#row numbers the clips from 0; default: from .emo."}
    )
    stream: str = field(default="emotion2vec", metadata={"help": "Name of the stream."})


class Emotion2vec(Format):
    """PREFIX.npy, with the tokens of each clip in .lengths and a line ID LABEL for each in .emo."""

    extension = ".npy"
    can_write = False
    ReadOptions = Emotion2vecOptions

    @contextmanager
    def read(self, path: Path, options: Emotion2vecOptions) -> Iterator[Contents]:
        """Read the lists beside the array, which is mapped."""
        array = npy_file(path, self.budget(path))
        lengths = _lengths(path.with_suffix(".lengths"))
        if int(lengths.sum()) != array.tokens:
            raise StoreError(
                f"{path}: has {plural(array.tokens, 'token')}, and {path.stem}.lengths sums to "
                f"{int(lengths.sum()):,}"
            )
        ids, cells, line = _clips(path, len(lengths), options)
        values = np.load(path, mmap_mode="r", allow_pickle=False).reshape(array.tokens, array.dim)
        offsets = offsets_of(lengths)

        def read(first: int, last: int) -> Ragged:
            start, stop = int(offsets[first]), int(offsets[last])
            found = np.asarray(values[start:stop], array.dtype)
            return Ragged(found, offsets[first : last + 1] - start)

        stream = StreamTokens(spec_of({}, "", array.dim, array.dtype), lengths, read)
        yield Contents(ids, {options.stream: stream}, cells=cells, lines=(line,))


def _lines(file: Path) -> list[str]:
    """Return the lines of a list that have anything in them."""
    try:
        text = read_regular(file, most_bytes=_MOST_BYTES, follow_links=False).decode()
    except (OSError, UnfitFileError, UnicodeDecodeError) as error:
        raise StoreError(f"{file}: cannot be read: {error}") from error
    return [line for line in text.splitlines() if line.strip()]


def _lengths(file: Path) -> np.ndarray:
    """Return int64 (N,), the number of tokens of each clip."""
    if not file.is_file():
        raise StoreError(f"{file}: there is no such file beside the array: the length of each clip")
    found = []
    for number, line in enumerate(_lines(file), start=1):
        if not line.strip().isdecimal():
            raise StoreError(f"{file}: line {number}: expected a number, got {short_repr(line)}")
        found.append(int(line))
    return np.array(found, np.int64)


def _words(line: str) -> list[str]:
    """Return the cells of a line of .emo; without tabs the label is what stands behind the last
    blank, so that ids may have blanks.

    >>> _words("clip one\thap"), _words("clip one  hap"), _words("hap")
    (['clip one', 'hap'], ['clip one', 'hap'], ['hap'])
    """
    return line.split("\t") if "\t" in line else line.rsplit(None, 1)


def _clips(
    path: Path, count: int, options: Emotion2vecOptions
) -> tuple[list[str], dict[str, dict[str, str]], str]:
    """Return ids, cells, and a line that says where the ids come from."""
    emo, tsv = path.with_suffix(".emo"), path.with_suffix(".tsv")
    lines = _lines(emo) if emo.is_file() else []
    rows = [_words(line.strip()) for line in lines]
    if rows and len(rows) != count:
        raise StoreError(f"{emo}: has {plural(len(rows), 'line')} for {plural(count, 'clip')}")
    split = {"train": "train", "valid": "val", "dev": "val", "val": "val", "test": "test"}
    fixed = {"split": split[path.stem]} if path.stem in split else {}
    labels = [fixed | ({"label": row[-1]} if row else {}) for row in rows] or [fixed] * count
    if options.ids == ROW:
        ids, line = [str(row) for row in range(count)], "ids: numbers of the lines (-o ids=#row)"
    elif rows and all(len(row) > 1 for row in rows):
        ids, line = [row[0] for row in rows], f"ids: first words of {emo.name}"
    elif tsv.is_file():
        ids = [Path(row.split("\t")[0]).with_suffix("").as_posix() for row in _lines(tsv)[1:]]
        line = f"ids: paths of {tsv.name} without endings"
        if len(ids) != count:
            raise StoreError(f"{tsv}: has {plural(len(ids), 'path')} for {plural(count, 'clip')}")
    else:
        raise StoreError(
            f"{path}: no ids: {emo.name} has no line ID LABEL for each clip, and there is no "
            f"{tsv.name}; -o ids=#row numbers the clips"
        )
    cells = dict(zip(ids, labels, strict=True)) if any(labels) else {}
    return ids, cells, line
