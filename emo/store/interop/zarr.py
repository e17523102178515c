"""zarr: a plain Zarr v3 group with named dimensions, which xarray opens as a data set.

Streams are contiguous ragged arrays of the CF conventions: ``X`` with the dimensions (X_token,
X_dim), and ``X_length`` with the dimension (clip).
"""

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from emo.errors import StoreError
from emo.store.exchange.contents import (
    BLOCK_BYTES,
    DOCUMENT,
    Contents,
    StreamTokens,
    parse_document,
)
from emo.store.exchange.format import Format
from emo.store.exchange.named_arrays import ArrayOptions, find_clips
from emo.store.exchange.zarr_metadata import check_zarr

_CHUNK_BYTES = BLOCK_BYTES // 4


class Zarr(Format):
    """One folder with the ids as clip (N,) and, for each stream X, X (ΣT, D) and X_length (N,)."""

    extension = ""
    ReadOptions = ArrayOptions

    @contextmanager
    def read(self, path: Path, options: ArrayOptions) -> Iterator[Contents]:
        """Find the clips in the arrays of the group; missing chunks are refused.

        Codecs, filters and types are held against lists before Zarr opens the folder.
        """
        budget = self.budget(path)
        check_zarr(path, budget)
        try:
            files = zarr.storage.LocalStore(path, read_only=True)
            group = zarr.open_group(files, mode="r", use_consolidated=False)
            arrays: dict[str, Any] = {name: _Array(array) for name, array in group.arrays()}
        except (OSError, ValueError, KeyError) as error:
            raise StoreError(f"{path}: not a Zarr group: {error!r}") from error
        text = group.attrs.get(DOCUMENT)
        document: Mapping[str, Any] = {}
        if isinstance(text, str):
            document = parse_document(text, path)
            _check_chunks(group, document, path)
        yield find_clips(arrays, path, options, budget, document=document)

    def write(self, contents: Contents, path: Path, options: Any) -> None:
        """Write the group; tokens pass through memory a few clips at a time."""
        group = zarr.create_group(path, zarr_format=3)
        group.attrs["Conventions"] = "CF-1.11"
        group.attrs[DOCUMENT] = json.dumps(contents.document(), ensure_ascii=False)
        taken = {"clip"}
        for name, rows in contents.streams.items():
            names = {name, f"{name}_length"}
            if names & taken:
                raise StoreError(f"stream {name!r}: {' or '.join(names & taken)} is taken in Zarr")
            taken |= names
            _write_stream(group, name, rows)
        ids = np.array(contents.ids)
        clip = group.create_array(
            "clip", shape=ids.shape, dtype=str, dimension_names=["clip"], chunks=(len(ids),)
        )
        clip[:] = ids
        with warnings.catch_warnings():  # not in Zarr's specification yet, but xarray reads it
            warnings.simplefilter("ignore", UserWarning)
            zarr.consolidate_metadata(group.store)


class _Array:
    """A Zarr array whose slices are numpy arrays."""

    def __init__(self, array: Any) -> None:
        self._array, self.shape = array, array.shape
        self.dtype = np.dtype(array.dtype)

    def __getitem__(self, key: Any) -> np.ndarray:
        return np.asarray(self._array[key])


def _check_chunks(group: zarr.Group, document: Mapping[str, Any], path: Path) -> None:
    """Raise StoreError when chunks are missing: Zarr would read them as zeros."""
    for name in document.get("streams", {}):
        array: Any = group.get(name)
        if array is None or array.nchunks_initialized < array.nchunks:
            raise StoreError(f"{path}: chunks of stream {name!r} are missing; copy it once more")


def _write_stream(group: zarr.Group, name: str, rows: StreamTokens) -> None:
    """Write values and lengths of one stream, block by block."""
    spec = rows.spec
    length = group.create_array(
        f"{name}_length", shape=rows.lengths.shape, dtype="int64", dimension_names=["clip"]
    )
    length[:] = rows.lengths
    length.attrs["sample_dimension"] = f"{name}_token"
    values = group.create_array(
        name, shape=(rows.tokens, spec.dim), dtype=np.dtype(spec.dtype), compressors=None,
        config={"write_empty_chunks": True},
        chunks=(max(1, min(rows.tokens, _CHUNK_BYTES // rows.token_bytes)), spec.dim),
        dimension_names=[f"{name}_token", f"{name}_dim"],
    )  # fmt: skip
    values.attrs.update({"level": spec.level, "kind": spec.kind})
    row = 0
    for _, ragged in rows.blocks():
        if len(ragged.values):
            values[row : row + len(ragged.values)] = ragged.values
        row += len(ragged.values)
