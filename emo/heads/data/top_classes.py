"""``--top-classes K``: learn the K commonest answers of train; others are wrong, not dropped.

Open-ended questions have thousands of answers, most of them given once. The head learns the K
commonest ones of train. Rows of train with other answers leave. Rows of val and test with other
answers stay in the denominator of every score: no prediction can be right for them, so that
accuracy is over all questions; weighted F1 and UAR have their answers as classes of F1 and recall
0. So do rows of val and test without any tokens, whose prediction is empty.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from emo.errors import FitError, OptionError, plural
from emo.heads.data.load import LabelledClips
from emo.heads.data.select import are_present
from emo.heads.data.splits import Splits


@dataclass(frozen=True, eq=False)
class LearntAnswers:
    """The clips of a fit after the choice of the answers to learn."""

    loaded: LabelledClips
    """The clips; where dialogues stay whole, other answers of train have lost their label."""
    splits: Splits
    """Rows of each split, without rows of train that have other answers."""
    notes: tuple[str, ...]
    """How many answers and rows are not learnt."""


def commonest(answers: Sequence[str], count: int) -> frozenset[str]:
    """Return the commonest answers; of equally common ones the first by name.

    >>> sorted(commonest(["b", "a", "a", "c", ""], 2))
    ['a', 'b']

    Args:
        answers: answers of train; ``""``: none.
        count: largest number of answers.
    """
    counts = Counter(answer for answer in answers if answer)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return frozenset(name for name, _ in ordered[:count])


def learnt_answers(
    loaded: LabelledClips, splits: Splits, count: int, *, unit: str
) -> LearntAnswers:
    """Choose the answers to learn, and take rows with other answers out of train.

    Args:
        loaded: clips with unscaled tokens, of one target of classes.
        splits: rows of each split.
        count: number of answers to learn, at most.
        unit: ``dialogue``: rows of train stay, without their label, so that dialogues stay whole.

    Raises:
        OptionError: there are several targets, or the target is not of classes.
        FitError: fewer than two answers are left, or val has none of them.
    """
    name = next(iter(loaded.tasks))
    if list(loaded.tasks.values()) != ["classify"]:
        targets = ", ".join(f"{target} ({task})" for target, task in loaded.tasks.items())
        raise OptionError(f"--top-classes: expected one target of classes, got {targets}")
    answers = np.array([clip.targets.get(name, "") for clip in loaded.clips], dtype=object)
    is_bare = ~are_present(loaded.tokens)
    train = splits.rows["train"]
    bare_note = _note_on_bare_rows(splits, is_bare)
    splits = replace(splits, rows={**splits.rows, "train": train[~is_bare[train]]})
    train = splits.rows["train"]
    learnt = commonest(answers[train].tolist(), count)
    is_other = np.array([bool(answer) and answer not in learnt for answer in answers])
    others = train[is_other[train]]
    notes = (*_notes(name, learnt, answers, splits, is_other), *bare_note)
    if len(learnt) < 2:
        raise FitError(
            f"--top-classes {count}: train has {plural(len(learnt), 'answer')}, expected at least "
            "two. Check the split and label columns."
        )
    for split, rows in splits.rows.items():
        if split == "val" and not set(answers[rows]) & learnt:
            raise FitError(
                f"--top-classes {count}: no row of {split} has an answer that is learnt; raise it"
            )
    if unit == "dialogue":
        clips = list(loaded.clips)
        for row in others.tolist():
            rest = {key: cell for key, cell in clips[row].targets.items() if key != name}
            clips[row] = replace(clips[row], targets=rest)
        return LearntAnswers(replace(loaded, clips=clips), splits, notes)
    left = {**splits.rows, "train": train[~is_other[train]]}
    return LearntAnswers(loaded, replace(splits, rows=left), notes)


def _note_on_bare_rows(splits: Splits, is_bare: np.ndarray) -> tuple[str, ...]:
    """Return a line on the rows without any tokens, by split; empty: there are none."""
    counts = {split: int(is_bare[rows].sum()) for split, rows in splits.rows.items()}
    if not any(counts.values()):
        return ()
    kept = [
        f"{count:,} of {plural(len(splits.rows[split]), 'row')} of {split}"
        for split, count in counts.items()
        if split != "train"
    ]
    return (
        f"without features: {plural(counts['train'], 'row')} of train left out; "
        f"{' and '.join(kept)}, which count as wrong",
    )


def _notes(
    name: str, learnt: frozenset[str], answers: np.ndarray, splits: Splits, is_other: np.ndarray
) -> tuple[str, ...]:
    """Return a line on the answers that are learnt and on the rows with others, by split."""
    train = splits.rows["train"]
    every = len(set(answers[train].tolist()) - {""})
    left = int(is_other[train].sum())
    counts = [
        f"{int(is_other[rows].sum()):,} of {plural(len(rows), 'row')} of {split}"
        for split, rows in splits.rows.items()
        if split != "train"
    ]
    return (
        f"{name}: the {len(learnt):,} commonest of {plural(every, 'answer')} of train are learnt; "
        f"{plural(left, 'row')} of train with others left out; {' and '.join(counts)} have others, "
        "which count as wrong",
    )
