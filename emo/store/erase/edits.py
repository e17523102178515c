"""Take clips out of the tables, documents and logs that runs, jobs and predictions consist of.

Each function returns the new contents of a file, in which everything else is byte for byte as
before. Rows, list items and JSON entries go if they *are* the clip (an id of theirs equals it);
lines of plain text if they name it.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from emo.errors import StoreError
from emo.store.erase.media import without_objects
from emo.store.erase.spelled import IdPattern, is_distinct
from emo.store.erase.wide import as_utf8

_ID_COLUMNS = ("id", "clip", "query", "truth", "neighbour", "match", "duplicate")
"""Columns of tables whose cells are ids of clips, besides those that end in ``_id``."""
_ID_KEYS = ("id", "clip", "clip_id")
"""Keys of JSON objects that are about one clip."""
_HOLDERS = (
    "id", "clip", "clip_id", "ids", "clips", "clip_ids", "begin", "failures", "absent", "notes",
    "sources",
)  # fmt: skip
"""Keys of JSON below which any text may be an id, also one such as ``12`` or ``audio``."""
_FIGURE = re.compile(rb"<figure>.*?</figure>", re.DOTALL)
_GONE = object()


@dataclass(frozen=True)
class ErasedClips:
    """The clips that are erased."""

    ids: frozenset[str]
    """Ids of the clips."""
    pattern: IdPattern
    """Finds the distinct ones of them, and of ``media``, in any bytes."""
    media: frozenset[str] = frozenset()
    """Addresses and ETags of the clips' media that no other clip has."""
    found: set[str] = field(default_factory=set, compare=False)
    """Ids, and names of media, that were met anywhere."""

    def are_among(self, words: Iterable[str]) -> bool:
        """Return whether any of some words is one of the ids, and note which were met."""
        met = self.ids.intersection(words)
        self.found.update(met)
        return bool(met)

    def holds(self, word: object, key: str = "") -> bool:
        """Return whether a text of a JSON document is one of the ids.

        Args:
            word: the text.
            key: key below which it stands; ids that could be another word count below some only.
        """
        if word not in self.ids or not (key in _HOLDERS or is_distinct(str(word))):
            return False
        self.found.add(str(word))
        return True


@dataclass(frozen=True)
class Edit:
    """New contents of a file."""

    data: bytes
    """All of them."""
    pieces: list[tuple[int, bytes]] | None = None
    """Changes to write over the old bytes, which are as many; None: the file is replaced."""


def edit_of(name: str, data: bytes, clips: ErasedClips) -> Edit | None:
    """Return the new contents of a file without the clips; None: it holds nothing of them.

    Args:
        name: name of the file; its extension tells the format.
        data: its bytes.
        clips: the clips to take out.
    """
    if (wide := as_utf8(data)) is not None:
        edit = edit_of(name, wide[0], clips)
        return None if edit is None else Edit(wide[1](edit.data))
    kind = name.lower().rpartition(".")[2]
    if kind in ("jsonl", "ndjson"):
        return json_lines(data, clips, is_plan=name == "parts.jsonl")
    editors: dict[str, Callable[[bytes, ErasedClips], bytes]] = {
        "csv": table, "tsv": lambda data, clips: table(data, clips, delimiter="\t"),
        "json": document, "ipynb": document, "html": page, "parquet": parquet,
    }  # fmt: skip
    editor = editors.get(kind, text if is_text(data) else None)
    new = data if editor is None else editor(data, clips)
    return None if new == data else Edit(new)


def is_text(data: bytes) -> bool:
    """Return whether bytes are UTF-8 text without control characters of binary formats."""
    if b"\0" in data[:65536]:
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def table(data: bytes, clips: ErasedClips, *, delimiter: str = ",") -> bytes:
    """Return a CSV table without the rows of the clips; other rows keep their bytes."""
    try:
        rows = list(_raw_rows(data, delimiter))
    except (csv.Error, UnicodeDecodeError):
        return text(data, clips) if is_text(data) else data
    if not rows:
        return data
    header = [cell.strip().lstrip("\ufeff") for cell in rows[0][0]]
    columns = [k for k, name in enumerate(header) if name in _ID_COLUMNS or name.endswith("_id")]
    kept = [rows[0][1]]
    for cells, raw in rows[1:]:
        if columns:
            own = [cells[k].strip() for k in columns if k < len(cells)]
        else:  # no column says that it holds ids
            own = [cell.strip() for cell in cells if is_distinct(cell.strip())]
        if not clips.are_among(own) and clips.media.isdisjoint(cells):
            kept.append(raw)
    return b"".join(kept)


def _raw_rows(data: bytes, delimiter: str) -> Iterator[tuple[list[str], bytes]]:
    """Yield the cells of each row of a table, and the row as it stands in the file."""
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in io.StringIO(data.decode("utf-8"), newline=""):
            taken.append(line)
            yield line

    for cells in csv.reader(lines(), delimiter=delimiter):
        yield cells, "".join(taken).encode()
        taken.clear()


def document(data: bytes, clips: ErasedClips) -> bytes:
    """Return a JSON document without the entries of the clips."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return text(data, clips) if is_text(data) else data
    kept = _without(found, clips)
    if kept is _GONE:
        kept = {}
    if kept == found:
        return data
    indent = 2 if b"\n" in data.strip() else None
    written = json.dumps(kept, indent=indent, ensure_ascii=False)
    return written.encode("utf-8", "surrogatepass") + (b"\n" if data.endswith(b"\n") else b"")


def json_lines(data: bytes, clips: ErasedClips, *, is_plan: bool = False) -> Edit | None:
    """Return JSON lines without the entries of the clips, each line as long as it was.

    Blanks fill the lines, so that positions of other lines stay (those of a job's parts.jsonl are
    listed in a file of their own), and a process that appends to a log can go on.

    Args:
        data: the lines.
        clips: the clips to take out.
        is_plan: the file is the plan of a job, whose readers expect whole lines: it is replaced.
    """
    pieces, at, names = [], 0, _new_names(data, clips)
    for line in data.split(b"\n"):
        new = _line(line, clips, names) if line.strip() else line
        if new != line:
            pieces.append((at, new + b" " * (len(line) - len(new))))
        at += len(line) + 1
    if not pieces:
        return None
    whole = bytearray(data)
    for start, piece in pieces:
        whole[start : start + len(piece)] = piece
    return Edit(bytes(whole), None if is_plan else pieces)


def _line(line: bytes, clips: ErasedClips, names: dict[str, str]) -> bytes:
    """Return a line of JSON without the entries of the clips; empty: nothing of it stays."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return b"" if clips.pattern.is_in(line) else line
    kept = _without(without_objects(found, clips.ids), clips)
    if isinstance(kept, dict) and kept.get("clips") in names and {"ids", "run"} & kept.keys():
        kept = {**kept, "clips": names[kept["clips"]]}
    if kept is _GONE:
        return b""
    if kept == found:
        return line
    new = json.dumps(kept, ensure_ascii=False).encode("utf-8", "surrogatepass")
    if len(new) > len(line):  # another spelling of the same; the shortest one fits
        new = json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()
    return new if len(new) <= len(line) else b""


def _new_names(data: bytes, clips: ErasedClips) -> dict[str, str]:
    """Return how the ledger of test scorings calls its lists of clips, before -> after.

    A list is called by a hash of its ids, by which somebody who knows the others could test an id.
    """
    names = {}
    for line in data.split(b"\n") if b'"ids"' in data else ():
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict) and isinstance(found.get("ids"), list) and "clips" in found:
            kept = sorted(each for each in found["ids"] if each not in clips.ids)
            if len(kept) < len(found["ids"]):
                name = hashlib.sha256(json.dumps(kept).encode()).hexdigest()[:16]
                names[str(found["clips"])] = name
    return names


def _without(value: Any, clips: ErasedClips, key: str = "") -> Any:
    """Return a JSON value without the entries of the clips; ``_GONE``: it is about one of them."""
    if isinstance(value, str):
        if clips.holds(value, key):
            return _GONE
        return clips.pattern.without(value) if len(value) > 5 else value
    if isinstance(value, list):
        kept = [_without(each, clips, key) for each in value]
        return [each for each in kept if each is not _GONE]
    if not isinstance(value, dict):
        return value
    if clips.are_among(each for name in _ID_KEYS if isinstance(each := value.get(name), str)):
        return _GONE
    return {
        clips.pattern.without(name): kept
        for name, each in value.items()
        if not clips.holds(name, key) and (kept := _without(each, clips, name)) is not _GONE
    }


def text(data: bytes, clips: ErasedClips) -> bytes:
    """Return a text without the lines that name one of the clips."""
    if not clips.pattern.is_in(data):
        return data
    return b"".join(line for line in data.splitlines(True) if not clips.pattern.is_in(line))


def page(data: bytes, clips: ErasedClips) -> bytes:
    """Return a page of hits without the figures of the clips, which hold stills of them."""

    def kept(figure: re.Match[bytes]) -> bytes:
        return b"" if clips.pattern.is_in(figure[0]) else figure[0]

    return text(_FIGURE.sub(kept, data), clips)


def parquet(data: bytes, clips: ErasedClips) -> bytes:
    """Return a Parquet file without the rows of the clips.

    Raises:
        StoreError: pyarrow is not installed.
    """
    pyarrow, pq = _pyarrow()
    try:
        rows = pq.read_table(pyarrow.BufferReader(data))
    except (pyarrow.ArrowException, OSError):
        return data
    names = [column.name for column in rows.schema if _is_text_column(column.type)]
    columns = [name for name in names if name in _ID_COLUMNS or name.endswith("_id")] or names
    keep = [True] * len(rows)
    for name in columns:
        cells = rows.column(name).to_pylist()
        is_id = name in _ID_COLUMNS or name.endswith("_id")
        keep = [
            each and not ((is_id or is_distinct(str(cell))) and clips.are_among([cell]))
            for each, cell in zip(keep, cells, strict=True)
        ]
    if all(keep):
        return data
    out = pyarrow.BufferOutputStream()
    pq.write_table(rows.filter(pyarrow.array(keep, pyarrow.bool_())), out)
    written: bytes = out.getvalue().to_pybytes()
    return written


def parquet_texts(data: bytes) -> Iterator[str]:
    """Yield the texts of a Parquet file, which its bytes hold compressed.

    Raises:
        StoreError: pyarrow is not installed, or the file cannot be read.
    """
    pyarrow, pq = _pyarrow()
    try:
        rows = pq.read_table(pyarrow.BufferReader(data))
    except (pyarrow.ArrowException, OSError) as error:
        raise StoreError(f"it cannot be read as Parquet: {error}") from error
    for key, value in (rows.schema.metadata or {}).items():
        yield f"{key!r} {value!r}"
    for column in rows.schema:
        if _is_text_column(column.type):
            yield from (str(cell) for cell in rows.column(column.name).to_pylist() if cell)


def _is_text_column(kind: Any) -> bool:
    return str(kind) in ("string", "large_string", "string_view") or str(kind).startswith("diction")


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise StoreError(
            "Parquet files can only be searched with pyarrow: pip install pyarrow"
        ) from error
    return pyarrow, pyarrow.parquet
