"""Score the clips that a run tested where gold does not say which these are.

A run whose manifest has no splits cut them itself; its predictions hold the clips it was trained
on, too, and a score over all of them is too high.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from emo.errors import EmoError, ScoreError
from emo.score.readers.answers import ALL, split_of
from emo.score.readers.gold import Gold
from emo.score.readers.run_folder import answers_of_run, is_run


def gold_of_run(path: Path, gold: Gold, target: str | None, wanted: str | None) -> Gold:
    """Return the gold labels of the split that a run calls so, if gold itself has no splits.

    Args:
        path: the run.
        gold: the labels, of all clips or of a split that the file names.
        target: target of the run; None: its first.
        wanted: the split to score; None: the run's test, if it has one.

    Raises:
        ScoreError: the run has no clip of the wanted split with a label.
    """
    if gold.split != ALL or gold.conversations or (wanted and split_of(wanted) == ALL):
        return gold
    splits = _splits_of(path, target)
    name = split_of(wanted) if wanted else "test"
    cells = {clip_id: cell for clip_id, cell in gold.cells.items() if splits.get(clip_id) == name}
    if cells:
        return replace(gold, cells=cells, split=name)
    if wanted:
        raise ScoreError(f"{path}: it has no clip of split {name} with a label in {gold.path}")
    return gold


def split_note(path: Path, gold: Gold, scored: Gold, target: str | None) -> str:
    """Return a line on the clips that the head learned from, or that were left out; "": neither.

    Args:
        path: a run, or a file, which says nothing.
        gold: all labels.
        scored: those that are scored.
        target: target of the run; None: its first.
    """
    if not is_run(path) or gold.split != ALL or gold.conversations:
        return ""
    try:
        splits = _splits_of(path, target)
    except EmoError:
        return ""  # scoring says what is wrong
    counts = Counter(splits.get(clip_id, "") for clip_id in gold.cells)
    known = [f"{counts[name]:,} {name}" for name in ("train", "val") if counts[name]]
    if not known:
        return ""
    if scored is gold:
        return f"the run was fitted on {' and '.join(known)} of these {len(gold.cells):,} clips"
    return (
        f"{gold.path} has no splits, so the run's own {scored.split} is scored; --split all would "
        f"score {' and '.join(known)} clips, on which it was fitted, too"
    )


def _splits_of(path: Path, target: str | None) -> Mapping[str, str]:
    """Return clip id -> split, as a run's predictions say."""
    rows = answers_of_run(path, target)[1].columns
    if not {"id", "split"} <= rows.keys():
        return {}
    return dict(zip(rows["id"], map(split_of, rows["split"]), strict=True))
