"""npz: an uncompressed zip of .npy arrays, ragged by offsets; numpy alone can read it."""

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from emo.errors import StoreError
from emo.ragged import offsets_of
from emo.store.exchange.contents import DOCUMENT, Contents, StreamTokens, parse_document
from emo.store.exchange.format import Format
from emo.store.exchange.named_arrays import ArrayOptions, find_clips
from emo.store.exchange.npy_headers import check_npz

_UNREADABLE = (
    ValueError, OSError, EOFError, NotImplementedError, RuntimeError, SyntaxError, TypeError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What zipfile and numpy raise for bytes that they cannot read."""


class Npz(Format):
    """One file with ids (N,) and, for each stream X, X/values (ΣT, D) and X/offsets (N+1,)."""

    extension = ".npz"
    ReadOptions = ArrayOptions

    @contextmanager
    def read(self, path: Path, options: ArrayOptions) -> Iterator[Contents]:
        """Find the clips in the arrays, which are read whole; pickled arrays are refused."""
        budget = self.budget(path)
        try:
            if zipfile.is_zipfile(path):
                check_npz(path, budget)
            with np.load(path, allow_pickle=False) as file:
                if not isinstance(file, np.lib.npyio.NpzFile):
                    raise StoreError(
                        f"{path}: expected several arrays in an .npz, got a single one"
                    )
                arrays = {name: file[name] for name in file.files}
        except _UNREADABLE as error:
            raise StoreError(f"{path}: not an .npz of plain arrays: {error}") from error
        yield find_clips(arrays, path, options, budget, document=_document(arrays, path))

    def write(self, contents: Contents, path: Path, options: Any) -> None:
        """Write ids, values and offsets; tokens pass through memory a few clips at a time."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            _member(archive, "ids", np.array(contents.ids))
            text = json.dumps(contents.document(), ensure_ascii=False)
            _member(archive, DOCUMENT, np.array(text))
            for name, rows in contents.streams.items():
                _member(archive, f"{name}/offsets", offsets_of(rows.lengths))
                with archive.open(f"{name}/values.npy", "w", force_zip64=True) as member:
                    _values(member, rows)


def _document(arrays: dict[str, Any], path: Path) -> Mapping[str, Any]:
    """Remove our own JSON document from the arrays and return it; other tools' files have none."""
    if DOCUMENT not in arrays or arrays[DOCUMENT].shape != () or arrays[DOCUMENT].dtype.kind != "U":
        return {}
    return parse_document(str(arrays.pop(DOCUMENT)), path)


def _member(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    """Write one array as a member."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)


def _values(member: Any, rows: StreamTokens) -> None:
    """Write the tokens of a stream as an .npy array (ΣT, D), block by block."""
    dtype = np.dtype(rows.spec.dtype).newbyteorder("<")
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False,
        "shape": (rows.tokens, rows.spec.dim),
    }  # fmt: skip
    np.lib.format.write_array_header_2_0(member, header)
    for _, ragged in rows.blocks():
        member.write(np.ascontiguousarray(ragged.values, dtype).data)
