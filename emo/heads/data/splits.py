"""Which clips train, validate and test: from the manifest, or cut when it does not say."""

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
"""Of the clips that are cut into one more split."""


@dataclass(frozen=True, eq=False)
class Splits:
    """The rows of each split, and how splits came about where the manifest did not say."""

    rows: dict[str, np.ndarray]
    """``{split: (clips,) int64}``, rising; in the order train, val, test; no empty split."""
    notes: tuple[str, ...]
    is_fold: bool = False
    """``test`` is one fold of many: it may lack labels and classes, all folds are scored together.
    """


def assign_splits(
    clips: Sequence[Clip],
    labels: Sequence[str],
    *,
    seed: int,
    unit: Literal["clip", "dialogue"] = "clip",
    are_classes: bool = True,
) -> Splits:
    """Cut ``val`` from ``train`` if there is none, and ``test`` too if no clip has a split.

    Args:
        clips: those that are used.
        labels: of each clip, by which splits are cut alike; unlabelled: empty.
        seed: of the cuts.
        unit: ``dialogue``: dialogues are never cut.
        are_classes: the labels are what is learnt; False: they only stratify.

    Raises:
        FitError: no clip to train on, a split with one class, or a label unseen in training.
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
        if not len(held_out) and (not are_classes or len(set(train)) > 1):  # one: the check says so
            raise FitError(
                f"no clip of train can be held out for {name}: {len(train)} clips are too few; "
                "say in the split column which are val and test"
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
    """Refuse splits from which nothing can be learnt; unlabelled (empty) rows do not count.

    A ``test`` without any label is no such split: the head's classes of its clips may be wanted.
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
    """Rows of train to hold out, and how they were chosen."""
    train = np.flatnonzero(split == "train")
    if are_classes and len(set(labels[train])) < 2:  # nothing to cut; the check says so
        return train[:0], "not possible"
    if unit == "dialogue":
        return train[_cut_dialogues(clips, labels, train, seed=seed)], "whole dialogues"
    tested = [clip for clip, name in zip(clips, split, strict=True) if name == "test"]
    tests_speakers = {clip.speaker for clip in tested} - {None}
    for column in ("speaker", "dialogue"):
        groups = np.array([getattr(clips[int(row)], column) or "" for row in train])
        if column == "speaker" and tests_speakers & set(groups):
            continue  # the test shares speakers with train, so val may too
        held_out = cut_groups(labels[train], groups, seed=seed) if all(groups) else None
        if held_out is not None:
            return train[held_out], f"whole {column}s, stratified by label"
    return train[_cut_clips(labels[train], seed=seed)], "stratified by label"


def _cut_dialogues(
    clips: Sequence[Clip], labels: np.ndarray, train: np.ndarray, *, seed: int
) -> np.ndarray:
    groups = np.array([clips[int(row)].dialogue or clips[int(row)].id for row in train])
    held_out = cut_groups(labels[train], groups, seed=seed)
    if held_out is None:
        raise FitError(
            f"{len(set(groups))} dialogues of train: none can be held out without losing a class; "
            "say in the split column which are val and test"
        )
    return held_out


def cut_groups(labels: np.ndarray, groups: np.ndarray, *, seed: int) -> np.ndarray | None:
    """Rows of whole groups, about ``CUT_SHARE`` of all; None where groups do not allow it."""
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
    """``CUT_SHARE`` of each class, at least one clip of a class that has two."""
    random = np.random.default_rng(seed)
    held_out = []
    for label in sorted(set(labels)):
        rows = random.permutation(np.flatnonzero(labels == label))
        held_out.append(rows[: min(max(1, round(CUT_SHARE * len(rows))), len(rows) - 1)])
    return np.sort(np.concatenate(held_out))


def _leaves_all_classes(labels: np.ndarray, held_out: np.ndarray) -> bool:
    rest = np.delete(labels, held_out)
    share = len(held_out) / len(labels)
    return (
        set(rest) == set(labels)
        and len(set(labels[held_out])) >= min(2, len(set(labels)))
        and share <= 0.4  # one group that holds most clips
    )


def _unlikeness(labels: np.ndarray, held_out: np.ndarray) -> float:
    """How far the held out rows are from ``CUT_SHARE`` of each class; 0: exactly that."""
    names, totals = np.unique(labels, return_counts=True)
    counts = np.array([(labels[held_out] == name).sum() for name in names])
    return float(np.abs(counts - CUT_SHARE * totals).sum() / len(labels))
