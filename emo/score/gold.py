"""The labels that predictions are scored against: a table, a manifest, or conversations."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emo.errors import ManifestError, ScoreError
from emo.manifest import read_manifest
from emo.manifest.rows import Rows
from emo.score.tables import (
    ALL,
    GOLDS,
    IDS,
    answers_of,
    find_column,
    read_json,
    read_table,
    split_of,
)

_MEDIA = {"video", "audio", "text"}


@dataclass(frozen=True, eq=False)
class Gold:
    """Either cells or conversations."""

    path: Path
    cells: Mapping[str, str]
    """Clip id -> label; clips without one are not there."""
    conversations: tuple[Mapping[str, Any], ...] = ()
    """As SemEval-2024 Task 3 writes them."""
    split: str = ALL
    """The split that is scored."""

    @property
    def metric(self) -> str:
        """The metric that such labels are usually scored by."""
        if self.conversations:
            return "semeval2024-1" if _has_spans(self.conversations) else "semeval2024-2"
        values = [_number(cell) for cell in self.cells.values()]
        is_regression = not any(map(math.isnan, values)) and not all(v.is_integer() for v in values)
        return "regression" if is_regression else "weighted_f1"


def read_gold(
    path: Path, *, columns: Mapping[str, str], split: str | None, target: str | None = None
) -> Gold:
    """The gold labels of a file.

    Args:
        path: a table with ids, a manifest, or the JSON of conversations.
        columns: ``gold_id`` and ``label``: its columns under other names.
        split: the only one that is scored; None: test if the table has one, else all.
        target: the column that a run predicts, taken if it is there.

    Raises:
        ScoreError: it cannot be read, or has no label.
    """
    if path.suffix.lower() == ".json":
        document = read_json(path)
        if isinstance(document, list) and document and "conversation_ID" in document[0]:
            return Gold(path, {}, tuple(document))
    rows = read_table(path)
    split = split or _split(rows)
    if "gold_id" not in columns and _MEDIA & rows.columns.keys():
        rows = _with_ids(rows, path)
    id_column = find_column(rows, path, IDS, given=columns.get("gold_id"), option="gold_id")
    column = find_column(
        rows, path, (target, *GOLDS) if target else GOLDS, given=columns.get("label"),
        option="label", but=(id_column,),
    )  # fmt: skip
    found = answers_of(rows, path, id_column=id_column, column=column, split=split)
    cells = {clip_id: cell for clip_id, cell in found.cells.items() if cell}
    if not cells:
        where = "" if split == ALL else f" in split {split}"
        raise ScoreError(f"{path}: no clip has a {column}{where}; --split says which to score")
    return Gold(path, cells, split=split)


def _split(rows: Rows) -> str:
    return "test" if "test" in map(split_of, rows.columns.get("split", [])) else ALL


def _with_ids(rows: Rows, path: Path) -> Rows:
    """A manifest's clips with the ids that `emo extract` gives them."""
    try:
        ids = [clip.id for clip in read_manifest(path).clips]
    except ManifestError as error:
        raise ScoreError(str(error)) from error
    return Rows({**rows.columns, "id": ids}, rows.places)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _has_spans(conversations: tuple[Mapping[str, Any], ...]) -> bool:
    pairs = [pair for each in conversations for pair in each["emotion-cause_pairs"]]
    return bool(pairs) and all("_" in str(cause) for _, cause in pairs)
