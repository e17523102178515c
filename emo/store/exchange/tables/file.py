"""Open tables of other tools (CSV, TSV, ARFF, Parquet) and read them a few rows at a time."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from emo.errors import StoreError
from emo.machine.untrusted.budget import Budget
from emo.machine.untrusted.documents import short_repr, shortened
from emo.store.exchange.labels import UNNAMED_COLUMN

TABLE_EXTENSIONS = (".csv", ".tsv", ".txt", ".arff", ".parquet")
"""Endings of tables."""
_BLOCK_BYTES = 2**24
_HEADER_BYTES = 2**22
"""Most bytes of the first line, which names the columns."""
_MOST_COLUMNS = 200_000
"""Largest number of columns of a table."""
_ROWS = 4096
_QUOTED = r"""^\s*(?:"([^"]*)"|'([^']*)')\s*$"""


@dataclass(frozen=True)
class TextOptions:
    """Options of tables that are text."""

    header: Literal["auto", "true", "false"] = field(
        default="auto",
        metadata={
            "help": "Whether the first row names the columns; without names they are 0, 1, 2 …"
        },
    )
    delimiter: str | None = field(
        default=None,
        metadata={"help": "What separates cells; default: found in the first row."},
    )


@dataclass(frozen=True)
class TableFile:
    """A table whose rows are read once, in order."""

    names: list[str]
    """Names of the columns."""
    kinds: Mapping[str, str]
    """Column -> ``number``, ``text`` or ``list`` where the file says so; of others the cells
    tell."""
    batches: Iterator[pa.RecordBatch]
    """Blocks of rows; cells of CSV are text."""
    first_row: int
    """Number that messages give the first row of numbers."""
    dtype: str = "float32"
    """Type that holds the numbers as the file does."""


@contextmanager
def open_table(path: Path, options: TextOptions, budget: Budget) -> Iterator[TableFile]:
    """Open a table by its ending.

    Args:
        path: the file.
        options: options of tables that are text.
        budget: bytes that may be taken.

    Raises:
        StoreError: another ending, no table, two columns of one name, or a row of another length.
    """
    ending = path.suffix.lower()
    if ending not in TABLE_EXTENSIONS:
        raise StoreError(f"{path}: expected a table, one of {' '.join(TABLE_EXTENSIONS)}")
    opened = {".parquet": _open_parquet, ".arff": _open_arff}.get(ending, _open_csv)
    try:
        with path.open("rb") as file:
            yield opened(path, file, options, budget)
    except (pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
        hint = "" if ending == ".parquet" else "; all rows need the same number of cells, in UTF-8"
        reason = shortened(str(error), 200)
        raise StoreError(f"{path}: cannot be read as a table: {reason}{hint}") from error


def _open_parquet(path: Path, file: Any, options: TextOptions, budget: Budget) -> TableFile:
    parquet = pq.ParquetFile(file)
    schema = parquet.schema_arrow
    _check_names(schema.names, path)
    for group in range(parquet.metadata.num_row_groups):
        size = parquet.metadata.row_group(group).total_byte_size
        budget.check_piece(size, f"row group {group}")
    kinds = {each.name: _kind(each.type) for each in schema}
    floats = [each.type for each in schema if pa.types.is_floating(each.type)]
    is_single = floats and not any(pa.types.is_float64(each) for each in floats)
    dtype = "float32" if is_single else "float64"
    return TableFile(list(schema.names), kinds, parquet.iter_batches(_ROWS), 1, dtype)


def _kind(kind: pa.DataType) -> str:
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind):
        return "number"
    return "list" if types.is_nested(kind) else "text"


def _open_csv(path: Path, file: Any, options: TextOptions, budget: Budget) -> TableFile:
    start = file.read(_HEADER_BYTES)
    line = start.partition(b"\n")[0]
    if len(line) == _HEADER_BYTES:
        raise StoreError(f"{path}: its first line has more than {_HEADER_BYTES:,} bytes")
    text = line.decode("utf-8-sig").rstrip("\r")
    if not text or "\0" in text:
        raise StoreError(f"{path}: not a table of text: its first line is {short_repr(text)}")
    delimiter = options.delimiter or _delimiter(text, path)
    cells = next(csv.reader([text], delimiter=delimiter, skipinitialspace=True))
    has_header = _has_header(cells, options, path)
    names = [cell.strip() or UNNAMED_COLUMN for cell in cells] if has_header else []
    names = names or [str(number) for number in range(len(cells))]
    _check_names(names, path)
    file.seek(0)
    kinds = dict.fromkeys(names_of_labels(text, names, delimiter) if has_header else (), "text")
    return _delimited(file, names, delimiter, '"', 1 if has_header else 0, kinds)


def names_of_labels(header: str, names: list[str], delimiter: str) -> list[str]:
    """Return the columns of labels that the quotes of our own writer's header tell.

    :class:`~emo.store.interop.table.Table` writes quotes around the names of ids and labels, and
    none around those of numbers, ``STREAM_0``, ``STREAM_1`` …, which come last.

    >>> names_of_labels('"id","score",audio_0', ["id", "score", "audio_0"], ",")
    ['id', 'score']
    >>> names_of_labels("id,score,audio_0", ["id", "score", "audio_0"], ",")
    []
    """
    count = len(names)
    while count and header.endswith(names[count - 1]):
        header = header.removesuffix(names[count - 1]).removesuffix(delimiter)
        count -= 1
    numbered = [name.rpartition("_")[2] for name in names[count:]]
    is_ours = header.startswith('"') and numbered == [str(k) for k in range(len(numbered))]
    return names[:count] if is_ours and numbered and header.count('"') >= 2 * count else []


def _delimited(
    file: Any,
    names: list[str],
    delimiter: str,
    quote: str,
    skip: int,
    kinds: Mapping[str, str],
    *,
    is_arff: bool = False,
) -> TableFile:
    """Return a table of text from the position of ``file`` on, whose cells are all read as text."""
    reader = pyarrow.csv.open_csv(
        file,
        read_options=pyarrow.csv.ReadOptions(
            use_threads=False, block_size=_BLOCK_BYTES, column_names=names, skip_rows=skip
        ),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=delimiter,
            quote_char=quote,
            newlines_in_values=True,
            escape_char="\\" if is_arff else False,
            invalid_row_handler=_skip_comment if is_arff else None,
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )
    return TableFile(names, kinds, iter(reader), 1 + skip)


def _skip_comment(row: Any) -> str:
    """Return that a row of ARFF with another number of cells is skipped if it is a comment."""
    return "skip" if row.text.lstrip().startswith("%") else "error"


def _delimiter(line: str, path: Path) -> str:
    """Return the most frequent separator of a line outside of quotes."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    outside = "".join(line.split('"')[::2])
    counts = Counter(letter for letter in outside if letter in ",;\t")
    return counts.most_common(1)[0][0] if counts else ","


def _has_header(cells: list[str], options: TextOptions, path: Path) -> bool:
    """Return whether the first row names the columns; numbers 0, 1, 2 … are names, too."""
    if options.header != "auto":
        return options.header == "true"
    words = [cell.strip() for cell in cells]
    if not all(map(_is_number, words)) or words == [str(k) for k in range(len(words))]:
        return True
    raise StoreError(
        f"{path}: its first row is numbers ({', '.join(words[:3])} …): "
        "-o header=false if the table has no names of columns, else -o header=true"
    )


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _check_names(names: list[str], path: Path) -> None:
    """Raise StoreError for too many columns, or two of one name."""
    if len(names) > _MOST_COLUMNS:
        raise StoreError(f"{path}: has {len(names):,} columns; at most {_MOST_COLUMNS:,} are read")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise StoreError(f"{path}: two columns are called {short_repr(twice[0])}; rename one")


def _open_arff(path: Path, file: Any, options: TextOptions, budget: Budget) -> TableFile:
    names, kinds, lines = [], {}, 0
    for line in iter(lambda: file.readline(_HEADER_BYTES), b""):
        lines += 1
        text = line.decode("utf-8-sig").strip()
        word = text.partition(" ")[0].partition("\t")[0].lower()
        if word == "@attribute":
            name, kind = _attribute(text, f"{path}: line {lines}")
            names.append(name)
            kinds[name] = kind
        elif word == "@data":
            break
        elif text and not text.startswith("%") and word != "@relation":
            raise StoreError(f"{path}: line {lines}: not ARFF: {short_repr(text)}")
    else:
        raise StoreError(f"{path}: not ARFF: no line @data")
    _check_names(names, path)
    if not names:
        raise StoreError(f"{path}: not ARFF: no line @attribute")
    position, start = file.tell(), file.read(_HEADER_BYTES).lstrip()
    if start.startswith(b"{"):
        raise StoreError(f"{path}: sparse ARFF is not read; save it as dense ARFF or CSV")
    file.seek(position)
    quote = '"' if start.count(b'"') > start.count(b"'") else "'"
    table = _delimited(file, names, ",", quote, 0, kinds, is_arff=True)
    batches = (_plain_words(batch, kinds) for batch in table.batches)
    return TableFile(table.names, kinds, batches, 1 + lines)


def _plain_words(batch: pa.RecordBatch, kinds: Mapping[str, str]) -> pa.RecordBatch:
    """Return a block of ARFF in which no text has quotes around it, and a missing one is empty.

    ARFF allows both quotes in one file, and the parser knows one of them; ``?`` is a missing cell.
    """
    columns = []
    for name, cells in zip(batch.schema.names, batch.columns, strict=True):
        if kinds[name] == "text":
            bare = pc.replace_substring_regex(cells, _QUOTED, r"\1\2")
            cells = pc.if_else(pc.equal(pc.utf8_trim_whitespace(bare), "?"), "", bare)
        columns.append(cells)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _attribute(text: str, where: str) -> tuple[str, str]:
    """Return name and kind of a line ``@attribute NAME TYPE``."""
    rest = text[len("@attribute") :].strip()
    quote = rest[:1] if rest[:1] in "'\"" else None
    if quote:
        name, _, kind = rest[1:].partition(quote)
    else:
        name, _, kind = rest.replace("\t", " ").partition(" ")
    kind = kind.strip().lower()
    if not name or not kind:
        raise StoreError(f"{where}: expected @attribute NAME TYPE, got {short_repr(text)}")
    is_number = kind.startswith(("numeric", "real", "integer"))
    return name.replace("\\", ""), "number" if is_number else "text"
