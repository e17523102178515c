"""parquet: a row for each clip, a column of lists for each stream; pandas, DuckDB, R read it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emo.errors import StoreError
from emo.machine.untrusted.budget import Budget
from emo.ragged import Ragged, offsets_of
from emo.store.exchange.contents import (
    BLOCK_BYTES,
    DOCUMENT,
    Contents,
    StreamTokens,
    contents_fields,
    parse_document,
    runs_of_size,
    spec_of,
)
from emo.store.exchange.format import Format
from emo.store.exchange.labels import cell_text
from emo.store.exchange.named_arrays import ID_NAMES, ids_as_text
from emo.store.lazy import LazyDict

_NUMBERS = (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean)
_LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
_WIDTHS = {"INT64": 8, "DOUBLE": 8, "INT96": 12, "BOOLEAN": 1}
"""Bytes of a number of a physical type; 4 for the others, of which texts are an index."""
_IDS = (
    pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary,
    pa.types.is_fixed_size_binary, pa.types.is_integer,
)  # fmt: skip


@dataclass(frozen=True)
class ParquetReadOptions:
    """Options for reading Parquet."""

    id: str | None = field(default=None, metadata={"help": "The column of clip ids."})


class Parquet(Format):
    """A row for each clip: id, and for each stream X a list of T lists of D numbers, or null."""

    extension = ".parquet"
    ReadOptions = ParquetReadOptions

    @contextmanager
    def read(self, path: Path, options: ParquetReadOptions) -> Iterator[Contents]:
        """Find the clips in the table; a column of plain lists has one token for each clip."""
        budget = self.budget(path)
        try:
            with pq.ParquetFile(path) as file:
                schema = file.schema_arrow
                id_name = _id_name(schema, path, options)
                lists = [field.name for field in schema if _is_tokens(field.type)]
                if not lists:
                    raise StoreError(
                        f"{path}: no column of lists of numbers; found {schema.names[:20]}"
                    )
                _take(file, [id_name, *lists], budget)
        except (pa.ArrowException, OSError) as error:
            raise StoreError(f"{path}: not a Parquet file: {error}") from error
        text = (schema.metadata or {}).get(DOCUMENT.encode(), b"{}")
        document = parse_document(text.decode("utf-8", "replace"), path)
        try:
            is_text = not pa.types.is_integer(schema.field(id_name).type)
            table = pq.read_table(
                path, columns=[id_name, *lists], read_dictionary=[id_name] if is_text else None
            )
        except (pa.ArrowException, OSError) as error:
            raise StoreError(f"{path}: not a Parquet file: {error}") from error
        budget.check(table.nbytes, "the table")
        if table[id_name].null_count:
            row = table[id_name].to_pylist().index(None)
            raise StoreError(f"{path}: column {id_name}: the clip in row {row + 1} has no id")
        try:
            ids = list(_ids(table[id_name], budget))
        except ValueError as error:
            raise StoreError(f"{path}: {id_name}: {error}") from error
        streams = {
            name: partial(_rows, name, table[name], f"{path}: {name}", document) for name in lists
        }
        facts = contents_fields(document)
        labels = _label_names(schema, id_name)
        if self.wants_labels and "cells" not in facts:
            facts["cells"] = _cells(path, ids, labels, budget)
        named = {*labels, *(name for row in facts.get("cells", {}).values() for name in row)}
        facts["label_names"] = tuple(labels)
        others = tuple(n for n in schema.names if n not in (id_name, *lists) and n not in named)
        yield Contents(ids, LazyDict(streams), ignored=others, **facts)

    def write(self, contents: Contents, path: Path, options: Any) -> None:
        """Write the table in row groups of about 64 MiB of tokens.

        Cells of the manifest are columns of text; a column that is called as a stream is in the
        JSON document alone.
        """
        if "id" in contents.streams:
            raise StoreError("stream 'id': the column of clip ids has that name")
        kinds = {
            name: pa.list_(pa.list_(pa.from_numpy_dtype(np.dtype(rows.spec.dtype)), rows.spec.dim))
            for name, rows in contents.streams.items()
        }
        document = json.dumps(contents.document(), ensure_ascii=False)
        labels = dict.fromkeys(name for row in contents.cells.values() for name in row)
        names = [name for name in labels if name not in ("id", *kinds)]
        schema = pa.schema(
            [("id", pa.string()), *((name, pa.string()) for name in names), *kinds.items()],
            metadata={DOCUMENT: document.encode()},
        )
        sizes = np.sum([r.lengths * r.token_bytes for r in contents.streams.values()], axis=0)
        with pq.ParquetWriter(path, schema, compression="none", use_dictionary=["id"]) as writer:
            for first, last in runs_of_size(sizes, BLOCK_BYTES):
                ids = contents.ids[first:last]
                rows_of_ids = [contents.cells.get(clip_id, {}) for clip_id in ids]
                columns = [pa.array(ids, pa.string())]
                columns += [pa.array([r.get(n) for r in rows_of_ids], pa.string()) for n in names]
                for name, rows in contents.streams.items():
                    columns.append(_column(rows.read(first, last), kinds[name]))
                writer.write_table(pa.table(columns, schema=schema))


def _label_names(schema: pa.Schema, id_name: str) -> list[str]:
    """Return the columns of text, numbers or truth values that are no ids."""
    kinds = (*_NUMBERS, pa.types.is_string, pa.types.is_large_string)
    found = []
    for column in schema:
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if column.name != id_name and any(is_kind(kind) for is_kind in kinds):
            found.append(column.name)
    return found


def _cells(
    path: Path, ids: Sequence[str], names: Sequence[str], budget: Budget
) -> dict[str, dict[str, str]]:
    """Return clip id -> column -> cell of the columns that are no tokens; {}: there are none."""
    if not names:
        return {}
    rows: list[dict[str, str]] = []
    with pq.ParquetFile(path) as file:
        _take(file, names, budget)
        for batch in file.iter_batches(batch_size=1024, columns=list(names)):
            columns = [map(cell_text, batch.column(name).to_pylist()) for name in names]
            for cells in zip(*columns, strict=True):
                budget.take(sum(map(len, cells)) + 64 * len(names), "the labels")
                rows.append(dict(zip(names, cells, strict=True)))
    return dict(zip(ids, rows, strict=True))


def _take(file: pq.ParquetFile, names: Sequence[str], budget: Budget) -> None:
    """Count the bytes of some columns as their values are in memory, from the file's directory."""
    facts = file.metadata
    for group in range(facts.num_row_groups):
        for number in range(facts.num_columns):
            column = facts.row_group(group).column(number)
            name = column.path_in_schema.partition(".")[0]
            if name in names:
                width = _WIDTHS.get(column.physical_type, 4)
                size = max(column.num_values * width, column.total_uncompressed_size)
                budget.take(size, f"column {name}")
    budget.check(facts.num_rows * 8 * len(names), f"a table of {facts.num_rows:,} rows")


def _ids(column: pa.ChunkedArray, budget: Budget) -> Iterator[str]:
    """Iterate over clip ids; a text that stands in many rows is counted for each of them."""
    first = 0
    for chunk in column.chunks:
        for start in range(0, len(chunk), 1024):
            for text in ids_as_text(chunk[start : start + 1024].to_pylist(), first + start):
                budget.take(len(text) + 64, "the clip ids")
                yield text
        first += len(chunk)


def _column(ragged: Ragged, kind: pa.DataType) -> pa.Array:
    """Return a column of lists of lists, without copying; null for a clip of length 0."""
    values = pa.array(np.ascontiguousarray(ragged.values).reshape(-1), kind.value_type.value_type)
    tokens = pa.FixedSizeListArray.from_arrays(values, type=kind.value_type)
    is_absent = ragged.lengths == 0
    offsets = pa.array(
        ragged.offsets.astype(np.int32), mask=np.append(is_absent, False), type=pa.int32()
    )
    return pa.ListArray.from_arrays(offsets, tokens, type=kind)


def _id_name(schema: pa.Schema, path: Path, options: ParquetReadOptions) -> str:
    """Return the name of the column of clip ids."""
    names = (options.id,) if options.id else ID_NAMES
    for name in names:
        if name in schema.names and _is_text(schema.field(name).type):
            return name
    found = ", ".join(f"{field.name} ({field.type})" for field in list(schema)[:20])
    raise StoreError(
        f"{path}: no column {' or '.join(names)} of text or whole numbers; found {found}. "
        "Name the column with -o id=NAME"
    )


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(is_kind(kind) for is_kind in _IDS)


def _is_tokens(kind: pa.DataType) -> bool:
    """Return whether a column type is lists of numbers, or lists of such lists."""
    if not _is_list(kind):
        return False
    inner = kind.value_type.value_type if _is_list(kind.value_type) else kind.value_type
    return any(is_kind(inner) for is_kind in _NUMBERS)


def _is_list(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in _LISTS)


def _rows(
    stream: str, column: pa.ChunkedArray, where: str, document: Mapping[str, Any]
) -> StreamTokens:
    """Return the tokens of one column, which is in memory."""
    pieces = [_ragged(chunk, where) for chunk in column.chunks if len(chunk)]
    dims = {piece.width for piece in pieces if len(piece.values)}
    if len(dims) != 1:
        raise StoreError(f"{where}: expected tokens of one width, got {sorted(dims) or 'none'}")
    kept = [piece.values for piece in pieces if len(piece.values)]
    lengths = np.concatenate([piece.lengths for piece in pieces])
    ragged = Ragged(np.concatenate(kept), offsets_of(lengths))
    spec = spec_of(document, stream, ragged.width, ragged.values.dtype.name)

    def read(first: int, last: int) -> Ragged:
        start, stop = int(ragged.offsets[first]), int(ragged.offsets[last])
        return Ragged(ragged.values[start:stop], ragged.offsets[first : last + 1] - start)

    return StreamTokens(spec, lengths, read)


def _ragged(chunk: pa.Array, where: str) -> Ragged:
    """Return the tokens of a chunk of rows: lists of lists, or plain lists of one token each."""
    inner = chunk.type.value_type
    is_nested = _is_list(inner)
    lengths = _counts(chunk) if is_nested else np.array(chunk.is_valid(), dtype=np.int64)
    tokens = chunk.flatten() if is_nested else chunk.drop_null()
    widths = np.unique(_counts(tokens))
    if len(widths) > 1 or tokens.null_count:
        raise StoreError(f"{where}: expected tokens of one width, got {widths.tolist()}")
    flat = tokens.flatten()
    if flat.null_count or not any(is_kind(flat.type) for is_kind in _NUMBERS):
        raise StoreError(f"{where}: expected lists of numbers without gaps, got {flat.type}")
    width = int(widths[0]) if len(widths) else 1
    return Ragged(flat.to_numpy(zero_copy_only=False).reshape(-1, width), offsets_of(lengths))


def _counts(lists: pa.Array) -> np.ndarray:
    """Return int64 (rows,), the length of each list; 0 for null."""
    if pa.types.is_fixed_size_list(lists.type):
        counts: np.ndarray = np.asarray(lists.is_valid(), np.int64) * lists.type.list_size
    else:
        counts = np.asarray(lists.value_lengths().fill_null(0), np.int64)
    return counts
