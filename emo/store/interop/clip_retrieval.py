"""clip_retrieval: embeddings of rom1504/clip-retrieval: img_emb/*.npy beside metadata/*.parquet.

Source: rom1504/clip-retrieval, clip_inference/writer.py: img_emb/img_emb_0.npy,
text_emb/text_emb_0.npy and metadata/metadata_0.parquet have the same rows.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emo.errors import StoreError, plural
from emo.machine.untrusted.budget import Budget
from emo.plugins import unknown
from emo.ragged import Ragged, offsets_of
from emo.store.exchange.clip_folder import check_folder
from emo.store.exchange.contents import Contents, StreamTokens, spec_of
from emo.store.exchange.format import Format
from emo.store.exchange.labels import cell_text
from emo.store.exchange.named_arrays import ids_as_text
from emo.store.exchange.per_clip import ClipArray, npy_file

_STREAMS = {"img_emb": "image", "text_emb": "text"}
_IDS = ("key", "image_path", "video_path", "id", "url")
"""Columns of ids, the first that exists is taken."""


@dataclass(frozen=True)
class ClipRetrievalOptions:
    """Options for reading the folder."""

    id: str | None = field(
        default=None,
        metadata={"help": "The column of ids; default: key, image_path, video_path, id or url."},
    )


class ClipRetrieval(Format):
    """A folder of img_emb and text_emb (N, D) in several files, and of metadata with the ids."""

    extension = ""
    can_write = False
    ReadOptions = ClipRetrievalOptions

    @contextmanager
    def read(self, path: Path, options: ClipRetrievalOptions) -> Iterator[Contents]:
        """Find the clips in the metadata; the embeddings of a few at a time are read."""
        check_folder(path)
        budget = self.budget(path)
        streams = {s: _files(path / f, "npy") for f, s in _STREAMS.items() if (path / f).is_dir()}
        tables = _files(path / "metadata", "parquet")
        if not streams or not tables:
            raise StoreError(
                f"{path}: expected folders img_emb or text_emb, and metadata with Parquet files"
            )
        ids: list[str] = []
        cells: dict[str, dict[str, str]] = {}
        arrays: dict[str, list[ClipArray]] = {name: [] for name in streams}
        line = ""
        for number, table in tables.items():
            found, column, rows = _metadata(table, options, budget)
            line = f"ids: column {column} of the metadata (-o id=COLUMN names another)"
            for name, files in streams.items():
                if number not in files:
                    raise StoreError(f"{table}: there is no {name} embedding of this number")
                array = npy_file(files[number], budget)
                if array.tokens != len(found):
                    raise StoreError(
                        f"{files[number]}: has {plural(array.tokens, 'row')}, and {table} "
                        f"{len(found)}"
                    )
                arrays[name].append(array)
            ids += found
            cells |= dict(zip(found, rows, strict=True)) if rows else {}
        made = {name: _stream(each, name) for name, each in arrays.items()}
        yield Contents(ids, made, cells=cells, lines=(line,))


def _files(folder: Path, ending: str) -> dict[int, Path]:
    """Return number -> file ``NAME_NUMBER.ENDING``, in the order of the numbers."""
    found = {}
    for file in folder.glob(f"*.{ending}"):
        if number := re.search(r"_?(\d+)$", file.stem):
            found[int(number[1])] = file
    return dict(sorted(found.items()))


def _metadata(
    table: Path, options: ClipRetrievalOptions, budget: Budget
) -> tuple[list[str], str, list[dict[str, str]]]:
    """Return ids, their column, and the other cells of a file of metadata."""
    try:
        with pq.ParquetFile(table) as file:
            names = file.schema_arrow.names
            column = options.id or next((name for name in _IDS if name in names), None)
            if column not in names:
                raise StoreError(f"{table}: {unknown('column', str(column), names)}; -o id=COLUMN")
            ids: list[str] = []
            rows: list[dict[str, str]] = []
            others = [name for name in names if name != column]
            for batch in file.iter_batches(batch_size=1024):
                ids += ids_as_text(batch.column(column).to_pylist(), len(ids))
                budget.take(batch.nbytes, "the metadata")
                lists = [map(cell_text, batch.column(name).to_pylist()) for name in others]
                for cells in zip(*lists, strict=True):
                    row = dict(zip(others, cells, strict=True))
                    rows.append({"text" if n == "caption" else n: c for n, c in row.items()})
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StoreError(f"{table}: cannot be read: {error}") from error
    return ids, str(column), rows


def _stream(arrays: list[ClipArray], name: str) -> StreamTokens:
    """Return a stream of one token a clip that lies in several files."""
    first = arrays[0]
    for each in arrays:
        if (each.dim, each.dtype) != (first.dim, first.dtype):
            raise StoreError(
                f"{each.where}: expected (N, {first.dim}) {first.dtype} as in {first.where}, got "
                f"(N, {each.dim}) {each.dtype}"
            )
    starts = offsets_of(np.array([each.tokens for each in arrays]))
    lengths = np.ones(int(starts[-1]), np.int64)

    def read(begin: int, end: int) -> Ragged:
        parts = [np.zeros((0, first.dim), first.dtype)]
        for k, each in enumerate(arrays):
            low, high = max(begin, int(starts[k])), min(end, int(starts[k + 1]))
            if low < high:
                mapped = np.load(each.where, mmap_mode="r", allow_pickle=False)
                rows = mapped[low - int(starts[k]) : high - int(starts[k])]
                parts.append(np.asarray(rows, first.dtype).reshape(high - low, first.dim))
        return Ragged(np.concatenate(parts), offsets_of(lengths[begin:end]))

    document = {"streams": {name: {"level": "clip"}}}
    return StreamTokens(spec_of(document, name, first.dim, first.dtype), lengths, read)
