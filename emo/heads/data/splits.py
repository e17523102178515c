"""Splits: train, val and test as in the manifest; a split that it lacks is taken from train."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from emo.errors import FitError
from emo.manifest import Clip

SPLITS = ("train", "val", "test")
CUT_SHARE = 0.15
"""Share of the training clips that a split made here gets."""


@dataclass(frozen=True, eq=False)
class Splits:
    """The rows of each split, and notes on the splits that were made here."""

    rows: dict[str, np.ndarray]
    """Rows of each split in rising order, int64 (clips,); train, val, test; no split is empty."""
    notes: tuple[str, ...]
    """How each split that the manifest lacks was made."""
    is_fold: bool = False
    """Whether ``test`` is one fold of a cross-validation: it may lack labels and classes, because
    all folds are scored together."""


def assign_splits(
    clips: Sequence[Clip],
    labels: Sequence[str],
    *,
    seed: int,
    unit: Literal["clip", "dialogue"] = "clip",
    are_classes: bool = True,
) -> Splits:
    """Take ``val`` from ``train`` if there is none, and ``test`` too if no clip has a split.

    Args:
        clips: the clips of the fit.
        labels: label of each clip, ``""`` where unlabelled; splits get similar shares of each.
        seed: seed of the random choices.
        unit: ``dialogue``: dialogues stay whole.
        are_classes: True: the labels are the classes to learn; False: they are only for
            stratification.

    Raises:
        FitError: no clip to train on, a split with one class, or a label that is not in train.
    """
    split = np.array([clip.split or "" for clip in clips], dtype=object)
    missing = [] if (split == "val").any() else ["val"]
    if not (split != "").any():
        split[:] = "train"
        missing = ["test", "val"]
    if not (split == "train").any():
        raise FitError("split train has no clip with a label and features; check the split column")
    notes = []
    for name in missing:
        held_out, how = _cut(
            clips, np.array(labels), split, seed=seed, unit=unit, are_classes=are_classes
        )
        train = np.array(labels)[split == "train"]
        # check_classes has a better message for a train of one class
        if not len(held_out) and (not are_classes or len(set(train)) > 1):
            raise FitError(
                f"no clip of train can be held out for {name}: {len(train)} clips are too few; "
                "say in the split column which clips are val and test"
            )
        split[held_out] = name
        notes.append(f"{name}: {len(held_out)} clips cut from train, {how}")
    rows = {name: np.flatnonzero(split == name) for name in SPLITS}
    rows = {name: found for name, found in rows.items() if len(found)}
    if are_classes:
        check_classes(rows, labels)
    return Splits(rows, tuple(notes))


def check_classes(
    rows: dict[str, np.ndarray], labels: Sequence[str], *, is_fold: bool = False
) -> None:
    """Check that each split has two classes, all of which occur in train.

    A ``test`` without any label is allowed, because its predictions may be wanted.

    Args:
        rows: int64 rows of each split.
        labels: label of each clip, ``""`` where unlabelled.
        is_fold: ``test`` is one fold of a cross-validation, which may have one class or none.

    Raises:
        FitError: nothing can be learnt from these splits.
    """
    counts = {
        name: Counter(labels[row] for row in found if labels[row]) for name, found in rows.items()
    }
    for name, found in counts.items():
        if name == "test" and (is_fold or not found):
            continue
        if not found:
            raise FitError(f"split {name} has no label; check the split and label columns")
        if len(found) < 2:
            raise FitError(
                f"split {name} has one class, {next(iter(found))!r} ({found.total()} clips); "
                "expected at least two. Check the split and label columns."
            )
    for name, found in counts.items():
        for label in sorted(found.keys() - counts["train"].keys()):
            mend = (
                "A class needs clips in several groups: take fewer folds, relabel these clips, or "
                "leave their label empty."
                if is_fold
                else "Relabel these clips, leave their label empty, or move some to train."
            )
            raise FitError(
                f"label {label!r} ({found[label]} clips of {name}) does not occur in train, "
                f"which has: {', '.join(sorted(counts['train']))}. {mend}"
            )


def _cut(
    clips: Sequence[Clip],
    labels: np.ndarray,
    split: np.ndarray,
    *,
    seed: int,
    unit: str,
    are_classes: bool,
) -> tuple[np.ndarray, str]:
    """Choose rows of train to hold out, int64 (held out,), and say in words how.

    Args:
        clips: all N clips.
        labels: (N,) label of each clip.
        split: (N,) split of each clip so far.
        seed: seed of the random choices.
        unit: ``dialogue``: dialogues stay whole.
        are_classes: whether the labels are the classes to learn.
    """
    train = np.flatnonzero(split == "train")
    if are_classes and len(set(labels[train])) < 2:  # check_classes raises the error
        return train[:0], "not possible"
    if unit == "dialogue":
        return train[_cut_dialogues(clips, labels, train, seed=seed)], "whole dialogues"
    tested = [clip for clip, name in zip(clips, split, strict=True) if name == "test"]
    tests_speakers = {clip.speaker for clip in tested} - {None}
    for column in ("speaker", "dialogue"):
        groups = np.array([getattr(clips[int(row)], column) or "" for row in train])
        if column == "speaker" and tests_speakers & set(groups):
            continue  # test shares speakers with train, so val may too
        held_out = cut_groups(labels[train], groups, seed=seed) if all(groups) else None
        if held_out is not None:
            return train[held_out], f"whole {column}s, stratified by label"
    return train[_cut_clips(labels[train], seed=seed)], "stratified by label"


def _cut_dialogues(
    clips: Sequence[Clip], labels: np.ndarray, train: np.ndarray, *, seed: int
) -> np.ndarray:
    """Choose whole dialogues to hold out; return their indices in ``train``."""
    groups = np.array([clips[int(row)].dialogue or clips[int(row)].id for row in train])
    held_out = cut_groups(labels[train], groups, seed=seed)
    if held_out is None:
        raise FitError(
            f"{len(set(groups))} dialogues of train: none can be held out without losing a class; "
            "say in the split column which clips are val and test"
        )
    return held_out


def cut_groups(labels: np.ndarray, groups: np.ndarray, *, seed: int) -> np.ndarray | None:
    """Choose whole groups with about ``CUT_SHARE`` of all rows to hold out.

    Args:
        labels: (N,) label of each row; the rest must keep all of them.
        groups: (N,) group of each row.
        seed: seed of the random choices.

    Returns:
        int64 rows to hold out; None if no choice of groups is good enough.
    """
    folds = min(round(1 / CUT_SHARE), len(set(groups)))
    if folds < 3:
        return None
    from sklearn.model_selection import StratifiedGroupKFold  # seconds to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # rare classes cannot be in every fold
        cutter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        held_out = [rows for _, rows in cutter.split(labels, labels, groups)]
    allowed = [rows for rows in held_out if _leaves_all_classes(labels, rows)]
    return min(allowed, key=lambda rows: _unlikeness(labels, rows), default=None)


def _cut_clips(labels: np.ndarray, *, seed: int) -> np.ndarray:
    """Choose ``CUT_SHARE`` of the rows of each class, at least one of a class that has two."""
    random = np.random.default_rng(seed)
    held_out = []
    for label in sorted(set(labels)):
        rows = random.permutation(np.flatnonzero(labels == label))
        held_out.append(rows[: min(max(1, round(CUT_SHARE * len(rows))), len(rows) - 1)])
    return np.sort(np.concatenate(held_out))


def _leaves_all_classes(labels: np.ndarray, held_out: np.ndarray) -> bool:
    """Return whether the rest has every class, and the held out rows two of them."""
    rest = np.delete(labels, held_out)
    share = len(held_out) / len(labels)
    return (
        set(rest) == set(labels)
        and len(set(labels[held_out])) >= min(2, len(set(labels)))
        and share <= 0.4  # one group may hold most clips
    )


def _unlikeness(labels: np.ndarray, held_out: np.ndarray) -> float:
    """Return how far the held out rows are from ``CUT_SHARE`` of each class; 0: exactly that."""
    names, totals = np.unique(labels, return_counts=True)
    counts = np.array([(labels[held_out] == name).sum() for name in names])
    return float(np.abs(counts - CUT_SHARE * totals).sum() / len(labels))
