"""Read predictions and gold labels from CSV, TSV, JSON, JSONL or Parquet files of any tool."""

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emo.errors import ManifestError, ScoreError, listed
from emo.machine.untrusted.documents import DocumentError, parse_checked
from emo.machine.untrusted.files import UnfitFileError, read_regular
from emo.machine.untrusted.kinds import AnyJson
from emo.manifest import cells as manifest_cells
from emo.manifest.rows import read_rows
from emo.manifest.tables.text_table import TextTable, check_size
from emo.manifest.tasks import parts

IDS = (
    "id", "clip", "clip_id", "name", "key", "file", "filename", "file_name", "utt_id",
    "question_id",
)  # fmt: skip
"""Names by which the column of clip ids is found, tried in this order."""
GOLDS = (
    "label", "gold", "truth", "ground_truth", "true", "y_true", "target", "emotion", "sentiment",
    "class", "answer", "score",
)  # fmt: skip
"""Names by which the column of gold labels is found, tried in this order."""
GOLD_ONLY = ("gold", "truth", "ground_truth", "true", "y_true", "target", "answer")
"""The names in ``GOLDS`` that say nothing about which target the labels are of."""
MOST_ANSWERS_BYTES = 2**29
"""Largest JSON file of predictions that is read, 512 MiB."""
_PARTS_OF_RUN = re.compile(r"run=[0-9a-f]{16}")
ALL = "all"
"""Value of ``--split`` for all clips."""


@dataclass(frozen=True, eq=False)
class Answers:
    """The cells of one column of predictions or labels, by clip."""

    path: Path
    """Path of the file of predictions."""
    cells: dict[str, str]
    """Clip id -> cell."""
    origins: dict[str, str]
    """Clip id -> position in the file, such as ``row 7``."""
    column: str = ""
    """Name of the column."""


def read_table(path: Path) -> TextTable:
    """Read a table of text cells.

    Args:
        path: a CSV, TSV, JSONL or Parquet file, or JSON in the form ``{id: answer}`` or
            ``[{"id": …, "prediction": …}, …]``; or a folder of parts of `emo predict`.

    Raises:
        ScoreError: the file cannot be read as a table.
    """
    try:
        if found := prediction_parts(path):
            return _read_parts(found)
        if path.suffix.lower() != ".json":
            return read_rows(path)
        return _json_rows(read_json(path), path)
    except ManifestError as error:
        raise ScoreError(str(error)) from error


def prediction_parts(path: Path) -> list[Path]:
    """Return the parts that `emo predict` wrote into a folder, sorted; none: it wrote none.

    Args:
        path: a folder ``run=HASH``, or one that holds a single such folder.
    """
    if not path.is_dir():
        return []
    parts = sorted(path.glob("part-*.parquet"))
    runs = [each for each in path.iterdir() if _PARTS_OF_RUN.fullmatch(each.name) and each.is_dir()]
    return parts if parts or len(runs) != 1 else sorted(runs[0].glob("part-*.parquet"))


def _read_parts(parts: Sequence[Path]) -> TextTable:
    """Read parts as one table; origins name the part and the row in it.

    Raises:
        ScoreError: the parts have different columns.
        ManifestError: a part cannot be read.
    """
    columns: dict[str, list[str]] = {}
    origins: list[str] = []
    for part in parts:
        rows = read_rows(part)
        if columns and list(rows.columns) != list(columns):
            raise ScoreError(
                f"{part}: expected the columns {', '.join(columns)}, as in {parts[0].name}; "
                f"found {', '.join(rows.columns)}"
            )
        for name, cells in rows.columns.items():
            columns.setdefault(name, []).extend(cells)
        origins += [f"{part.name}, {origin}" for origin in rows.origins]
    return TextTable(columns, origins)


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ScoreError: the file does not exist, or is not JSON.
    """
    try:
        data = read_regular(path, most_bytes=MOST_ANSWERS_BYTES, follow_links=True)
        return parse_checked(data, AnyJson(), most_bytes=MOST_ANSWERS_BYTES)
    except OSError as error:
        raise ScoreError(f"{path}: {error.strerror}") from error
    except UnfitFileError as error:
        raise ScoreError(f"{path}: {error}") from error
    except DocumentError as error:
        raise ScoreError(f"{path}: not JSON: {error}") from error


def answers_of(
    rows: TextTable, path: Path, *, id_column: str, column: str, split: str = ALL
) -> Answers:
    """Return the cells of one column by clip.

    Args:
        rows: the table.
        path: the file, for error messages.
        id_column: name of the column of clip ids.
        column: name of the column.
        split: take only rows of this split, if the table has a column split.

    Raises:
        ScoreError: a clip occurs twice, or a row has no id.
    """
    splits = rows.columns.get("split")
    cells: dict[str, str] = {}
    origins: dict[str, str] = {}
    lines = zip(rows.columns[id_column], rows.columns[column], rows.origins, strict=True)
    for number, (clip_id, cell, origin) in enumerate(lines):
        if splits is not None and split not in (ALL, split_of(splits[number])):
            continue
        clip_id = clip_id.strip()
        if not clip_id:
            raise ScoreError(f"{path}: {origin}: no {id_column}")
        if clip_id in cells:
            raise ScoreError(
                f"{path}: clip {clip_id!r} occurs twice: {origins[clip_id]} and {origin}; keep one"
            )
        cells[clip_id], origins[clip_id] = cell.strip(), origin
    return Answers(path, cells, origins, column)


def find_column(
    rows: TextTable, path: Path, names: Sequence[str], *, given: str | None, option: str,
    but: Sequence[str] = (),
) -> str:  # fmt: skip
    """Return the name of a column: the one that the user names, else the first usual name.

    Usual names are compared without case.

    Args:
        rows: the table.
        path: the file, for error messages.
        names: usual names, tried in this order.
        given: the name that the user gives; None: a usual name.
        option: the key of ``--column`` that gives it, for error messages.
        but: columns that hold something else; if a single other column is left, it is returned.

    Raises:
        ScoreError: the table has no such column.
    """
    if given is not None:
        if given in rows.columns:
            return given
        names = (given,)
    left = [name for name in rows.columns if name not in but]
    found = {name.lower(): name for name in reversed(left)}
    for name in names if given is None else ():
        if name in left or name.lower() in found:
            return name if name in left else found[name.lower()]
    if given is None and len(left) == 1 and but:
        return left[0]
    raise ScoreError(
        f"{path}: expected a column {' or '.join(names[:4])}; found "
        f"{listed([*rows.columns]) or 'none'}. Name it with --column {option}=NAME"
    )


def check_cells(
    answers: Answers, gold: Mapping[str, str], kind: str, allowed: Collection[str] | None
) -> None:
    """Check that every gold clip is predicted, as one of the allowed classes or as a number.

    Args:
        answers: the predictions.
        gold: clip id -> label.
        kind: ``numbers``, ``classes``, or ``labels``: several classes in a cell, joined by ``|``.
        allowed: the allowed classes; None: all.

    Raises:
        ScoreError: a clip is missing, a class is unknown, or a cell is not a number.
    """
    missing = [clip_id for clip_id in gold if clip_id not in answers.cells]
    if missing:
        hint = "" if kind == "numbers" else "; --open counts them as wrong"
        raise ScoreError(
            f"{answers.path}: {len(missing):,} of {len(gold):,} clips are not predicted, "
            f"the first: {missing[0]!r}{_stray(answers, gold) or hint}"
        )
    known = None if allowed is None else set(allowed)
    for clip_id in gold:
        cell = answers.cells[clip_id]
        where = f"{answers.path}: {answers.origins[clip_id]}, clip {clip_id!r}"
        if kind == "numbers" and not is_number(cell):
            raise ScoreError(f"{where}: expected a number in {answers.column!r}, got {cell!r}")
        if kind != "numbers" and not cell:
            hint = "; write none where no label is predicted" if kind == "labels" else ""
            raise ScoreError(f"{where}: no prediction in {answers.column!r}{hint}")
        classes = parts(cell) if kind == "labels" else [cell]
        odd = [] if known is None or kind == "numbers" else [c for c in classes if c not in known]
        if odd:
            raise ScoreError(
                f"{where}: unknown class {odd[0]!r}; expected one of {listed(sorted(known or ()))} "
                "(--classes a,b,c names all classes; --open counts others as wrong)"
            )


def split_of(cell: str) -> str:
    """Return ``train``, ``val`` or ``test`` for a cell such as ``dev``; unknown words stay."""
    word = cell.strip().lower()
    return manifest_cells.SPLIT_WORDS.get(word, word)


def _stray(answers: Answers, gold: Mapping[str, str]) -> str:
    """Return a text that names an id of the file that gold lacks, or "" if gold has all ids."""
    extra = next((clip_id for clip_id in answers.cells if clip_id not in gold), None)
    return "" if extra is None else f"; gold does not have {extra!r}, which the file has"


def is_number(cell: str) -> bool:
    """Return whether a cell is a finite number."""
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _json_rows(document: Any, path: Path) -> TextTable:
    """Convert a JSON document to a table."""
    if isinstance(document, dict) and not any(
        isinstance(v, dict | list) for v in document.values()
    ):
        document = [{"id": key, "prediction": value} for key, value in document.items()]
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise ScoreError(
            f'{path}: expected {{"id": answer, …}} or [{{"id": …, "prediction": …}}, …]'
        )
    names = dict.fromkeys(name for row in document for name in row)
    check_size(len(names), len(document), path)
    columns = {name: [_text(row.get(name)) for row in document] for name in names}
    return TextTable(columns, [f"entry {number}" for number in range(1, len(document) + 1)])


def _text(value: object) -> str:
    """Return a JSON value as a text cell."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
