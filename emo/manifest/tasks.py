"""Tell the task of a target column from its cells, and find cells that do not fit it."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

from emo.machine.untrusted.documents import short_repr
from emo.manifest.spelling import SHOWN, alike, quoted
from emo.manifest.tables.numerals import MISSING_WORDS, MOSTLY, writing_of

CellTask = Literal["classify", "multilabel", "regress"]
"""A task that cells can suggest."""
SEPARATOR = "|"
"""Character between the classes of a multi-label cell."""
NONE = "none"
"""Word of a cell without any class, in a multi-label or pair target."""
NEUTRAL = "neutral"
"""Emotion whose pairs are ignored, in a pair target."""
YES = "yes"
"""Class of the pairs of cells that name no emotion, in a pair target; ``NONE``: no pair."""
_ODD_KINDS = {
    "comma": "with a decimal comma", "percent": "with a percent sign",
    "grouped": "with separated thousands",
}  # fmt: skip


def task_of_cells(cells: Iterable[str | None]) -> CellTask:
    """Return the task that cells suggest.

    It is ``regress`` if all are numbers and not all whole, ``multilabel`` if any has a ``|``, and
    ``classify`` otherwise.
    """
    known = [cell for cell in cells if cell]
    values = [number_in(cell) for cell in known]
    if known and not any(math.isnan(value) for value in values):
        is_whole = all(float(value).is_integer() for value in values)
        return "classify" if is_whole else "regress"
    return "multilabel" if any(SEPARATOR in cell for cell in known) else "classify"


def number_fault(name: str, cells: Mapping[str, str | None], *, remedy: str = "") -> str:
    """Return one line on a column that is mostly numbers but has other cells; "" if it is in order.

    Args:
        name: name of the column.
        cells: id of each clip and its cell; empty or None where unlabelled.
        remedy: options that say what the column is; "": ``--task``.
    """
    others, advice = odd_cells(name, cells, remedy=remedy)
    if not others:
        return ""
    filled = sum(bool(cell) for cell in cells.values())
    count = "1 cell is" if len(others) == 1 else f"{len(others)} cells are"
    kinds = {writing_of(cell) for cell in others.values()}
    kind = _ODD_KINDS.get(kinds.pop(), "not a number") if len(kinds) == 1 else "not a number"
    return (
        f"{name} is a column of numbers, but {count} {kind} of {filled} filled: {some(others)}. "
        f"Please {advice}."
    )


def odd_cells(
    name: str, cells: Mapping[str, str | None], *, remedy: str = ""
) -> tuple[dict[str, str], str]:
    """Return the cells that are no number in a column that is mostly numbers, and what to do.

    Numbers in another writing (0,6 or 60%) count as numbers that are written wrongly. Words for a
    missing number, such as ``nan``, count neither for nor against. A column with a ``|`` has
    several labels.

    Args:
        name: name of the column.
        cells: id of each clip and its cell; empty or None where unlabelled.
        remedy: options that say what the column is; "": ``--task``.

    Returns:
        Id and cell of each clip at fault, empty if the column is in order; and advice in words.
    """
    known = {clip_id: cell.strip() for clip_id, cell in cells.items() if cell and cell.strip()}
    if any(SEPARATOR in cell for cell in known.values()):
        return {}, ""
    kinds = {clip_id: _kind(cell) for clip_id, cell in known.items()}
    counts = Counter(kinds.values())
    written = counts.total() - counts["missing"] - counts["word"]
    if not written or written < MOSTLY * (len(known) - counts["missing"]):
        return {}, ""
    advice = [
        "write decimal commas as points (0.6 for 0,6)" if counts["comma"] else "",
        "write numbers without separated thousands (1234.5)" if counts["grouped"] else "",
        "write - for minus" if counts["minus"] else "",
        "write percentages as numbers (60 for 60%)" if counts["percent"] else "",
        "leave the cell empty where there is no number" if counts["missing"] else "",
        "correct the other cells" if counts["word"] else "",
        "or say what the column is with "
        + (remedy or f"--task {name}=classify or --task {name}=regress"),
    ]
    others = {clip_id: known[clip_id] for clip_id, kind in kinds.items() if kind != "number"}
    return others, ", ".join(filter(None, advice))


def _kind(cell: str) -> str:
    """Return what a filled cell is: ``missing``, ``word``, or how it writes a number."""
    if math.isfinite(number_in(cell)):
        return "number"
    if cell.lower() in MISSING_WORDS:
        return "missing"
    writing = writing_of(cell)
    return "word" if writing in ("", "number") else writing  # Python reads "inf" as a number


def number_advice(cell: str) -> str:
    """Return what to do about a cell that is no finite number."""
    if cell.strip().lower() in MISSING_WORDS:
        return "leave the cell empty where there is no number"
    writing = writing_of(cell.strip())
    if writing == "comma":
        return f"write {cell.strip().replace(',', '.')}, with a point"
    if writing == "percent":
        return "write the number without the sign %"
    return "--task classify takes words" if math.isnan(number_in(cell)) else "write a finite one"


def near_classes(task: str, cells: Iterable[str | None]) -> list[str]:
    """Return a text for each set of classes that differ only in spelling.

    >>> near_classes("classify", ["Joy", "joy", "joy", "sad"])
    ["'joy' (2), 'Joy' (1)"]

    Args:
        task: task of the column; numbers have no classes.
        cells: cells of the column; empty or None where unlabelled.
    """
    if task not in ("classify", "multilabel"):
        return []
    return [
        ", ".join(f"{quoted(name)} ({count})" for name, count in names)
        for names in alike(name for cell in cells if cell for name in classes_in(task, cell))
    ]


def near_classes_note(name: str, task: str, cells: Iterable[str | None]) -> str:
    """Return a line on classes that differ only in spelling; "" if there are none."""
    found = near_classes(task, cells)
    if not found:
        return ""
    dots = "; …" if len(found) > SHOWN else ""
    return (
        f"warning: classes of {name} differ only in spelling (case, blanks, Unicode form, zeros), "
        f"and count as different classes: {'; '.join(found[:SHOWN])}{dots}"
    )


def classes_in(task: str, cell: str) -> list[str]:
    """Return the classes that a filled cell names."""
    return parts(cell) if task == "multilabel" else [cell]


def parts(cell: str) -> list[str]:
    """Return the classes that a multi-label cell names.

    >>> parts("joy|fear"), parts("none")
    (['joy', 'fear'], [])
    """
    return [] if cell == NONE else [part for part in map(str.strip, cell.split(SEPARATOR)) if part]


def number_in(cell: str) -> float:
    """Return the number in a cell, NaN if it is none."""
    try:
        return float(cell)
    except ValueError:
        return math.nan


def some(cells: Mapping[str, str]) -> str:
    """Return the first cells with the ids of their clips, one of each spelling first."""
    firsts = dict(reversed([(cell, clip_id) for clip_id, cell in cells.items()]))
    order = dict.fromkeys([*list(firsts.values())[::-1], *cells])
    shown = list(order)[:SHOWN]
    dots = ", …" if len(cells) > SHOWN else ""
    return ", ".join(f"{clip_id} {short_repr(cells[clip_id])}" for clip_id in shown) + dots
