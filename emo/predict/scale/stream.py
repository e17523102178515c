"""Read the clips of a Parquet manifest some rows at a time, so that memory does not grow with it.

What :func:`emo.manifest.read_manifest` computes from all rows together (ids made of texts, values
of ``dialogue`` that occur in several splits) is not there: such manifests are read whole.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from emo.errors import ManifestError
from emo.machine.untrusted.addresses import url_of
from emo.machine.untrusted.files import open_regular
from emo.machine.untrusted.foreign import foreign_file
from emo.manifest.clips import Clip, parse_rows
from emo.manifest.tables.parquet import cells_of_batch, check_rows
from emo.manifest.tables.table_bytes import MOST_TABLE_BYTES, far_bytes
from emo.manifest.tables.text_table import TextTable, rename, with_numbers

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

BATCH_ROWS = 4096
"""Rows that are read at a time."""


class NotStreamableError(ManifestError):
    """The clips of a manifest cannot be told from some of its rows; it must be read whole."""


def is_streamable(path: Path) -> bool:
    """Return whether a manifest is a Parquet file, local or at a URL."""
    return path.suffix.lower() == ".parquet"


def stream_clips(
    path: Path, *, columns: Mapping[str, str], root: Path | None = None
) -> Iterator[list[Clip]]:
    """Yield the clips of a Parquet manifest in order, up to ``BATCH_ROWS`` in each list.

    Duplicate ids within one list are found; those in different lists are the caller's to find.

    Args:
        path: the file, or ``Path`` of its URL.
        columns: columns under other names: our name -> the file's.
        root: folder of the media; None: the manifest's folder.

    Raises:
        NotStreamableError: a row has no id of its own.
        ManifestError: the file, a column or a row cannot be used; the first such row is named.
    """
    with _opened(path) as file:
        for table in _tables(file, path):
            table = rename(table, columns, path)
            ids = table.columns.get("id")
            if ids is None or not all(map(str.strip, ids)):
                raise NotStreamableError(f"{path}: some rows have no id")
            manifest, problems = parse_rows(with_numbers(table), path, root=root)
            if problems:
                raise ManifestError(f"{url_of(path) or path}: {problems[0].message}")
            yield list(manifest.clips)


def _tables(file: "ParquetFile", path: Path) -> Iterator[TextTable]:
    """Yield the text cells of up to ``BATCH_ROWS`` rows at a time."""
    start = 1
    with foreign_file(path, ManifestError, "not a Parquet file"):
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            columns = cells_of_batch(batch, path, start)
            origins: Sequence[str] = [f"row {start + row}" for row in range(batch.num_rows)]
            if origins:
                yield TextTable(columns, origins)
            start += batch.num_rows


@contextmanager
def _opened(path: Path) -> Iterator["ParquetFile"]:
    """Open a Parquet file; one at a URL is copied to a temporary file first."""
    import pyarrow.parquet

    with ExitStack() as stack:
        url = url_of(path)
        if url is None:
            if not path.is_file():
                raise ManifestError(f"{path}: no such file")
            number, size_bytes = open_regular(path, follow_links=True)
            handle: BinaryIO = stack.enter_context(os.fdopen(number, "rb"))
        else:
            data = far_bytes(url)
            handle, size_bytes = stack.enter_context(tempfile.TemporaryFile()), len(data)
            handle.write(data)
            handle.seek(0)
            del data
        if size_bytes > MOST_TABLE_BYTES:
            raise ManifestError(f"{path}: expected at most {MOST_TABLE_BYTES:,} bytes")
        with foreign_file(path, ManifestError, "not a Parquet file"):
            file = pyarrow.parquet.ParquetFile(handle, pre_buffer=False, buffer_size=2**16)
        check_rows(file, size_bytes, path)
        yield file
