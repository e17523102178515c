"""Reads predictions and gold labels: anybody's CSV, TSV, JSON, JSONL or Parquet."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emo.errors import ManifestError, ScoreError, listed
from emo.manifest import cells as manifest_cells
from emo.manifest.rows import TextTable, read_rows

IDS = (
    "id", "clip", "clip_id", "name", "key", "file", "filename", "file_name", "utt_id",
)  # fmt: skip
PREDICTIONS = (
    "prediction", "predicted", "pred", "preds", "y_pred", "predicted_label", "label_pred", "answer",
    "output", "label", "emotion", "sentiment", "class", "score",
)  # fmt: skip
GOLDS = (
    "label", "gold", "truth", "ground_truth", "true", "y_true", "target", "emotion", "sentiment",
    "class", "answer", "score",
)  # fmt: skip
TRUTHS = ("gold", "truth", "ground_truth", "true", "y_true", "target", "answer")
"""Those of ``GOLDS`` that can be of any target."""
ALL = "all"


@dataclass(frozen=True, eq=False)
class Answers:
    """One cell a clip."""

    path: Path
    cells: dict[str, str]
    """Clip id -> cell."""
    origins: dict[str, str]
    """Clip id -> where it stands: ``row 7``."""
    column: str = ""


def read_table(path: Path) -> TextTable:
    """A table of text cells; JSON is ``{id: answer}`` or ``[{"id": …, "prediction": …}, …]``.

    Raises:
        ScoreError: it cannot be read as one.
    """
    try:
        if path.suffix.lower() != ".json":
            return read_rows(path)
        return _json_rows(read_json(path), path)
    except ManifestError as error:
        raise ScoreError(str(error)) from error


def read_json(path: Path) -> Any:
    """A JSON file.

    Raises:
        ScoreError: there is none, or it is none.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScoreError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ScoreError(f"{path}: not JSON: {error}") from error


def answers_of(
    rows: TextTable, path: Path, *, id_column: str, column: str, split: str = ALL
) -> Answers:
    """The cells of one column by clip, of one split where the table has a column of splits.

    Raises:
        ScoreError: a clip stands twice, or has no id.
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
                f"{path}: clip {clip_id!r} stands twice: {origins[clip_id]} and {origin}; keep one"
            )
        cells[clip_id], origins[clip_id] = cell.strip(), origin
    return Answers(path, cells, origins, column)


def find_column(
    rows: TextTable, path: Path, names: Sequence[str], *, given: str | None, option: str,
    but: Sequence[str] = (),
) -> str:  # fmt: skip
    """The column of that name, else the first usual one, as spelled or whatever its capitals.

    Args:
        rows: the table.
        path: named in errors.
        names: the usual ones, the likeliest first.
        given: the one that the user names; None: a usual one.
        option: what of ``--column`` names it.
        but: columns that are something else; when one is left beside them, it is that.

    Raises:
        ScoreError: none of them is there.
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
        f"{', '.join(rows.columns) or 'none'}. Name it with --column {option}=NAME"
    )


def check_cells(answers: Answers, gold: Mapping[str, str], allowed: Sequence[str] | None) -> None:
    """Every clip of gold is predicted, as one of the allowed classes, or as a number.

    Args:
        answers: of a prediction.
        gold: clip id -> cell.
        allowed: classes; None: numbers.

    Raises:
        ScoreError: a clip is missing, a class unknown, a cell no number.
    """
    missing = [clip_id for clip_id in gold if clip_id not in answers.cells]
    if missing:
        raise ScoreError(
            f"{answers.path}: {len(missing):,} of {len(gold):,} clips are not predicted, "
            f"the first: {missing[0]!r}{_stray(answers, gold)}"
        )
    known = None if allowed is None else set(allowed)
    for clip_id in gold:
        cell = answers.cells[clip_id]
        where = f"{answers.path}: {answers.origins[clip_id]}, clip {clip_id!r}"
        if known is None and not _is_number(cell):
            raise ScoreError(f"{where}: expected a number in {answers.column!r}, got {cell!r}")
        if known is not None and cell not in known:
            raise ScoreError(
                f"{where}: unknown class {cell!r}; expected one of {listed(allowed or ())} "
                "(--classes a,b,c says which there are)"
            )


def split_of(cell: str) -> str:
    """``train``, ``val`` or ``test``."""
    word = cell.strip().lower()
    return manifest_cells.SPLITS.get(word, word)


def _stray(answers: Answers, gold: Mapping[str, str]) -> str:
    """An id that gold does not have: often both name the same clip in two ways."""
    extra = next((clip_id for clip_id in answers.cells if clip_id not in gold), None)
    return "" if extra is None else f"; gold does not have {extra!r}, which the file has"


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _json_rows(document: Any, path: Path) -> TextTable:
    """A table of a JSON document."""
    if isinstance(document, dict) and not any(
        isinstance(v, dict | list) for v in document.values()
    ):
        document = [{"id": key, "prediction": value} for key, value in document.items()]
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise ScoreError(
            f'{path}: expected {{"id": answer, …}} or [{{"id": …, "prediction": …}}, …]'
        )
    names = dict.fromkeys(name for row in document for name in row)
    columns = {name: [_text(row.get(name)) for row in document] for name in names}
    return TextTable(columns, [f"entry {number}" for number in range(1, len(document) + 1)])


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
