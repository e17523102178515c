"""The labels that predictions are scored against: a table, a manifest, or conversations."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from emo.errors import ManifestError, ScoreError
from emo.manifest import COLUMNS, read_manifest
from emo.manifest.rows import TextTable, rename
from emo.score.answers import (
    ALL,
    GOLDS,
    IDS,
    TRUTHS,
    answers_of,
    find_column,
    read_json,
    read_table,
    split_of,
)
from emo.score.pairs import PAIRS, check_conversations, check_words

_MEDIA = {"video", "audio", "text"}


@dataclass(frozen=True, eq=False)
class Gold:
    """Either cells or conversations."""

    path: Path
    cells: Mapping[str, str]
    """Clip id -> label; clips without one are not there."""
    column: str | None = None
    """Where the labels stand; None: conversations."""
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
    path: Path, *, columns: Mapping[str, str], split: str | None, target: str | None = None,
    has_our_ids: bool = False, renamed: Mapping[str, str] = MappingProxyType({}),
) -> Gold:  # fmt: skip
    """The gold labels of a file.

    Args:
        path: a table with ids, a manifest, or the JSON of conversations.
        columns: ``gold_id`` and ``label``: its columns under other names.
        split: the only one that is scored; None: test if the table has one, else all.
        target: what a run predicts; no other label will do.
        has_our_ids: the predictions name clips as `emo extract` does.
        renamed: ``{ours: theirs}``, with which the run was fitted on this manifest; a column that
            ``columns`` names keeps its name.

    Raises:
        ScoreError: it cannot be read, has no such label, or no splits to take one of.
    """
    if path.suffix.lower() == ".json":
        document = read_json(path)
        if isinstance(document, list) and any(_is_conversation(each) for each in document):
            return _conversations(document, path)
    typed = set(columns.values())
    left = {ours: theirs for ours, theirs in renamed.items() if typed.isdisjoint((ours, theirs))}
    rows = rename(read_table(path), left, path)
    split = _split(rows, path, split)
    if "gold_id" not in columns and _MEDIA & rows.columns.keys():
        names = {name.lower() for name in rows.columns}
        if has_our_ids or "id" in rows.columns or not names & set(IDS):
            rows = _with_ids(rows, path, renamed)
    id_column = find_column(rows, path, IDS, given=columns.get("gold_id"), option="gold_id")
    column = _label_column(rows, path, target, given=columns.get("label"), id_column=id_column)
    found = answers_of(rows, path, id_column=id_column, column=column, split=split)
    cells = {clip_id: cell for clip_id, cell in found.cells.items() if cell}
    if not cells:
        where = "" if split == ALL else f" in split {split}"
        raise ScoreError(f"{path}: no clip has a {column}{where}; --split says which to score")
    return Gold(path, cells, column, split=split)


def _is_conversation(each: object) -> bool:
    return isinstance(each, dict) and "conversation_ID" in each


def _conversations(document: list[Any], path: Path) -> Gold:
    check_conversations(document, path)
    if _has_spans(document):
        check_words(document, path)
    return Gold(path, {}, conversations=tuple(document))


def _label_column(
    rows: TextTable, path: Path, target: str | None, *, given: str | None, id_column: str
) -> str:
    if target is None or given is not None:
        return find_column(rows, path, GOLDS, given=given, option="label", but=(id_column,))
    try:
        return find_column(rows, path, (target, *TRUTHS), given=None, option="label")
    except ScoreError as error:
        known = (*COLUMNS, id_column)
        others = [name for name in rows.columns if name not in known]
        found = f"found {', '.join(others)}" if others else "found no label"
        raise ScoreError(
            f"{path}: expected a column {target!r}, as what was predicted is called; {found}. Name "
            "the one that holds it: --column label=NAME"
        ) from error


def _split(rows: TextTable, path: Path, wanted: str | None) -> str:
    if wanted is None:
        return "test" if "test" in map(split_of, rows.columns.get("split", [])) else ALL
    if split_of(wanted) != ALL and "split" not in rows.columns:
        raise ScoreError(
            f"{path}: --split {wanted}: expected a column split; found "
            f"{', '.join(rows.columns) or 'none'}. Leave --split out to score all clips"
        )
    return split_of(wanted)


def _with_ids(rows: TextTable, path: Path, renamed: Mapping[str, str]) -> TextTable:
    """A manifest's clips with the ids that `emo extract` gives them."""
    try:
        ids = [clip.id for clip in read_manifest(path, columns=renamed).clips]
    except ManifestError as error:
        raise ScoreError(str(error)) from error
    return TextTable({**rows.columns, "id": ids}, rows.origins)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _has_spans(conversations: Sequence[Mapping[str, Any]]) -> bool:
    pairs = [pair for each in conversations for pair in each[PAIRS]]
    return bool(pairs) and all("_" in str(cause) for _, cause in pairs)
