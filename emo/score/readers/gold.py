"""Read the labels that predictions are scored against: a table, a manifest, or dialogues."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from emo.errors import ManifestError, ScoreError
from emo.manifest import COLUMNS, read_manifest
from emo.manifest.conversations import PAIRS
from emo.manifest.questions import question_word
from emo.manifest.tables.text_table import TextTable, rename
from emo.manifest.tasks import SEPARATOR
from emo.plugins import unknown
from emo.score.pairs import check_conversations, check_words
from emo.score.readers.answers import (
    ALL,
    GOLD_ONLY,
    GOLDS,
    IDS,
    answers_of,
    find_column,
    read_json,
    read_table,
    split_of,
)

QUESTION_WORD = "question_word"
"""Column that is told by the question where a table lacks it."""
RESAMPLED_TOGETHER = ("dialogue", "speaker")
"""Columns whose values are resampled as a whole; the first that is there counts."""
_MEDIA = {"video", "audio", "text"}


@dataclass(frozen=True, eq=False)
class Gold:
    """Gold labels: either cells by clip, or dialogues in SemEval's JSON."""

    path: Path
    """Path of the file of gold labels."""
    cells: Mapping[str, str]
    """Clip id -> label; clips without a label are left out. Empty for SemEval's JSON."""
    column: str | None = None
    """Name of the column of labels; None: SemEval's JSON."""
    id_column: str | None = None
    """Name of the column of clip ids; None: SemEval's JSON."""
    conversations: tuple[Mapping[str, Any], ...] = ()
    """Dialogues as entries of SemEval-2024 Task 3's JSON; empty for cells."""
    split: str = ALL
    """The split that is scored."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Clip id -> cell of the column of ``--by``; empty: no column is named."""
    together: Mapping[str, str] = field(default_factory=dict)
    """Clip id -> dialogue or speaker, over which intervals are drawn; empty: there is none."""
    together_by: str = ""
    """Column of ``together``: ``dialogue`` or ``speaker``; empty: there is none."""

    @property
    def drawn_over(self) -> str:
        """What intervals are drawn over: ``dialogue`` or ``speaker``, or ``clip`` of only one."""
        groups = {self.together.get(clip_id) or f"clip\t{clip_id}" for clip_id in self.cells}
        return self.together_by if self.together_by and len(groups) > 1 else "clip"

    @property
    def has_several_labels(self) -> bool:
        """Whether a cell holds several classes, joined by ``|``."""
        return any(SEPARATOR in cell for cell in self.cells.values())

    @property
    def metric(self) -> str:
        """Name of the usual metric for labels of this kind."""
        if self.conversations:
            return "semeval2024-1" if _has_spans(self.conversations) else "semeval2024-2"
        if self.has_several_labels:
            return "multilabel"
        values = [_number(cell) for cell in self.cells.values()]
        is_regression = not any(map(math.isnan, values)) and not all(v.is_integer() for v in values)
        return "regression" if is_regression else "weighted_f1"


def read_gold(
    path: Path, *, columns: Mapping[str, str], split: str | None, target: str | None = None,
    has_our_ids: bool = False, renamed: Mapping[str, str] = MappingProxyType({}),
    by: str | None = None, may_lack_splits: bool = False,
) -> Gold:  # fmt: skip
    """Read the gold labels of a file.

    Args:
        path: a table with ids, a manifest, or the JSON of conversations.
        columns: names of columns that the user gives: ``gold_id`` and ``label``.
        split: the split to score; None: test if the table has it, else all clips.
        target: the target that a run predicts, whose labels are needed; None: any label.
        has_our_ids: the ids of the predictions are those of `emo extract`.
        renamed: renamed columns that the run was fitted with on this manifest: our name -> the
            file's; a column that ``columns`` gives keeps its name.
        by: column by whose values the scores are split; None: none.
        may_lack_splits: whether all clips are read of a table without splits, whatever ``split``.

    Raises:
        ScoreError: the file cannot be read, has no such label, or has no splits to choose from.
    """
    if path.suffix.lower() == ".json":
        document = read_json(path)
        if isinstance(document, list) and any(_is_conversation(each) for each in document):
            if by is not None:
                raise ScoreError(f"{path}: --by {by}: dialogues in JSON have no columns")
            return _conversations(document, path)
    typed = set(columns.values())
    left = {ours: theirs for ours, theirs in renamed.items() if typed.isdisjoint((ours, theirs))}
    rows = rename(read_table(path), left, path)
    if not may_lack_splits or "split" in rows.columns:
        split = chosen_split(rows, path, split)
    else:
        split = ALL
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
        raise ScoreError(f"{path}: no clip has a {column}{where}; choose a split with --split")
    groups: Mapping[str, str] = {}
    if by is not None:
        rows = with_question_word(rows) if by == QUESTION_WORD else rows
        if by not in rows.columns:
            raise ScoreError(f"{path}: --by: {unknown('column', by, rows.columns)}")
        groups = answers_of(rows, path, id_column=id_column, column=by, split=split).cells
    over = next((name for name in RESAMPLED_TOGETHER if any(rows.columns.get(name, ()))), "")
    together: Mapping[str, str] = {}
    if over:
        together = answers_of(rows, path, id_column=id_column, column=over, split=split).cells
    return Gold(path, cells, column, id_column, split=split, groups=groups, together=together,
                together_by=over)  # fmt: skip


def with_question_word(rows: TextTable) -> TextTable:
    """Return a table with a column ``question_word``, told by its column ``question`` or ``text``.

    A table that has the column, or neither of the two, is returned as it is.
    """
    asked = next((name for name in ("question", "text") if name in rows.columns), None)
    if QUESTION_WORD in rows.columns or asked is None:
        return rows
    words = [question_word(cell) for cell in rows.columns[asked]]
    return TextTable({**rows.columns, QUESTION_WORD: words}, rows.origins)


def _is_conversation(each: object) -> bool:
    """Return whether an entry of a JSON list is a conversation of SemEval."""
    return isinstance(each, dict) and "conversation_ID" in each


def _conversations(document: list[Any], path: Path) -> Gold:
    """Check conversations and return them as gold."""
    check_conversations(document, path)
    if _has_spans(document):
        check_words(document, path)
    return Gold(path, {}, conversations=tuple(document))


def _label_column(
    rows: TextTable, path: Path, target: str | None, *, given: str | None, id_column: str
) -> str:
    """Return the name of the column of labels; of ``target`` if it is given."""
    if target is None or given is not None:
        return find_column(rows, path, GOLDS, given=given, option="label", but=(id_column,))
    try:
        return find_column(rows, path, (target, *GOLD_ONLY), given=None, option="label")
    except ScoreError as error:
        known = (*COLUMNS, id_column)
        others = [name for name in rows.columns if name not in known]
        found = f"found {', '.join(others)}" if others else "found no label"
        raise ScoreError(
            f"{path}: expected a column {target!r}, the name of the predicted target; {found}. "
            "Name the column that holds it: --column label=NAME"
        ) from error


def chosen_split(rows: TextTable, path: Path, wanted: str | None) -> str:
    """Return the split to score, ``train``, ``val``, ``test`` or ``all``.

    Args:
        rows: the gold labels.
        path: their file, for errors.
        wanted: the split that the user names; None: test if there is one, else all.

    Raises:
        ScoreError: the table has no column split.
    """
    if wanted is None:
        return "test" if "test" in map(split_of, rows.columns.get("split", [])) else ALL
    if split_of(wanted) != ALL and "split" not in rows.columns:
        raise ScoreError(
            f"{path}: --split {wanted}: expected a column split; found "
            f"{', '.join(rows.columns) or 'none'}. Leave --split out to score all clips"
        )
    return split_of(wanted)


def _with_ids(rows: TextTable, path: Path, renamed: Mapping[str, str]) -> TextTable:
    """Add a column of the ids that `emo extract` gives to the clips of a manifest."""
    try:
        ids = [clip.id for clip in read_manifest(path, columns=renamed).clips]
    except ManifestError as error:
        raise ScoreError(str(error)) from error
    return TextTable({**rows.columns, "id": ids}, rows.origins)


def _number(cell: str) -> float:
    """Parse a number; NaN: it is not one."""
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _has_spans(conversations: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether the causes name words (subtask 1), not only utterances."""
    pairs = [pair for each in conversations for pair in each[PAIRS]]
    return bool(pairs) and all("_" in str(cause) for _, cause in pairs)
