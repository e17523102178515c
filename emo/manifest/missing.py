"""Find words for a missing value, such as ``nan``, that would count as a class."""

from collections import Counter
from collections.abc import Iterable, Mapping

from emo.machine.untrusted.documents import short_repr
from emo.manifest.spelling import SHOWN
from emo.manifest.tables.numerals import MISSING_WORDS
from emo.manifest.tasks import NONE, classes_in, some

_MAY_BE_CLASSES = frozenset({"-", "?"})


def missing_fault(
    name: str, task: str, cells: Mapping[str, str | None], *, remedy: str = ""
) -> str:
    """Return one line on cells with words such as ``nan`` in a column of classes; "": none.

    Args:
        name: name of the column.
        task: task of the column.
        cells: id of each clip and its cell; empty or None where unlabelled.
        remedy: what to do if the word is a class; "": ``--task``.
    """
    found = missing_cells(task, cells)
    if not found:
        return ""
    remedy = remedy or f"--task {name}={task}"
    one = len(found) == 1
    return (
        f"{name}: {len(found)} {'cell holds' if one else 'cells hold'} a word for a missing value: "
        f"{some(found)}. Please leave a cell empty where there is no label; if the word is a "
        f"class, say so with {remedy}."
    )


def missing_cells(task: str, cells: Mapping[str, str | None]) -> dict[str, str]:
    """Return the cells that name a missing value where a class belongs, by the id of the clip.

    The word ``none``, written so, may be a class, and is the cell of a clip without any class.
    """
    if task not in ("classify", "multilabel"):
        return {}
    distinct = {cell for cell in cells.values() if cell}
    odd = {cell for cell in distinct if any(map(_is_missing, classes_in(task, cell)))}
    return {clip_id: cell for clip_id, cell in cells.items() if cell in odd}


def missing_classes(task: str, cells: Iterable[str | None], *, but: Iterable[str] = ()) -> str:
    """Return the classes that are words for a missing value, with their counts; "": none.

    Args:
        task: task of the column; only single classes are looked at.
        cells: cells of the column; empty or None where unlabelled.
        but: words that are not reported.
    """
    if task != "classify":
        return ""
    counts = Counter(cell for cell in cells if cell and cell.lower() in MISSING_WORDS)
    words = [word for word, _ in counts.most_common() if word not in set(but)]
    return ", ".join(f"{short_repr(word)} ({counts[word]})" for word in words[:SHOWN])


def missing_note(name: str, task: str, cells: Iterable[str | None]) -> str:
    """Return a warning about words for a missing value that count as classes; "": none."""
    found = missing_classes(task, cells)
    if not found:
        return ""
    return (
        f"warning: words for a missing value count as classes of {name}: {found}; leave the cell "
        "empty where the label is unknown"
    )


def _is_missing(word: str) -> bool:
    """Return whether a word says that a value is missing, and is hardly a class."""
    return word != NONE and word.lower() in MISSING_WORDS - _MAY_BE_CLASSES
