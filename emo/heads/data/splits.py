"""Splits: train, val and test as in the manifest; a split that it lacks is taken from train."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from emo.errors import LISTED_NAMES, FitError, listed, plural
from emo.heads.data.groups import (
    CUT_SHARE,
    FEWEST_GROUPS,
    MOST_IN_A_GROUP,
    choose_groups,
    groupings,
    one_name,
    shared,
    shared_kind,
    unknown_speakers,
)
from emo.heads.data.speakers import note_without_speakers
from emo.manifest import Clip
from emo.manifest.cells import SPLITS
from emo.manifest.spelling import plain
from emo.manifest.tasks import number_in


@dataclass(frozen=True, eq=False)
class Splits:
    """The rows of each split, and notes on the splits that were made here."""

    rows: dict[str, np.ndarray]
    """Rows of each split in rising order, int64 (clips,); train, val, test; no split is empty."""
    notes: tuple[str, ...]
    """Notes on how each split that the manifest lacks was made."""
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
    cut: str = "groups",
    columns: Sequence[str] = (),
) -> Splits:
    """Take ``val`` from ``train`` if there is none, and ``test`` too if no clip has a split.

    Whole groups are taken, see :func:`emo.heads.data.groups.groupings`. A note on each split that
    is made names what it shares with train. ``val`` may share both where
    train has too few groups.

    Args:
        clips: the clips of the fit.
        labels: label of each clip, ``""`` where unlabelled; splits get similar shares of each.
        seed: seed of the random choices.
        unit: ``dialogue``: dialogues stay whole.
        are_classes: True: the labels are the classes to learn; False: they are only for
            stratification.
        cut: ``clips``: take single clips, whatever speakers and dialogues they share.
        columns: columns through which clips share tokens; clips of one value stay together.

    Raises:
        FitError: no clip to train on, a split with one class, a label that is not in train, or no
            group that can be held out for ``test``.
    """
    split = np.array([clip.split or "" for clip in clips], dtype=object)
    missing = [] if (split == "val").any() else ["val"]
    if not (split != "").any():
        split[:] = "train"
        missing = ["test", "val"]
    if not (split == "train").any():
        raise FitError("split train has no clip with a label and features; check the split column")
    if missing and cut == "clips":
        expect_single_clips(clips, unit)
    notes = []
    for name in missing:
        held_out, how = _cut(
            name, clips, np.array(labels), split,
            seed=seed, unit=unit, are_classes=are_classes, cut=cut, columns=columns,
        )  # fmt: skip
        train = np.array(labels)[split == "train"]
        # check_classes has a better message for a train of one class
        if not len(held_out) and (not are_classes or len(set(train)) > 1):
            raise FitError(
                f"no clip of train can be held out for {name}: it has only "
                f"{plural(len(train), 'clip')}; say in the split column which clips are val "
                "and test"
            )
        split[held_out] = name
        notes.append(f"{name}: {plural(len(held_out), 'clip')} cut from train, {how}")
    if "test" in missing and cut != "clips" and not any(clip.speaker for clip in clips):
        notes.append(note_without_speakers(clips, labels))
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
                f"split {name} has one class, {next(iter(found))!r} "
                f"({plural(found.total(), 'clip')}); expected at least two. Check the split "
                "and label columns."
            )
    for name, found in counts.items():
        for label in sorted(found.keys() - counts["train"].keys(), key=_order):
            mend = (
                "A class needs clips in several groups: take fewer folds, relabel these clips, or "
                "leave their label empty."
                if is_fold
                else "Relabel these clips, leave their label empty, or move some to train."
            )
            raise FitError(
                f"label {label!r} ({plural(found[label], 'clip')} of {name}) does not occur in "
                f"train, which has: {listed(sorted(counts['train'], key=_order))}. {mend}"
                f"{_number_hint(labels)}"
            )


def _order(label: str) -> tuple[float, str]:
    """Return a key that sorts numbers by value, and words after them by letters."""
    value = number_in(label)
    return (math.inf if math.isnan(value) else value, label)


def _number_hint(labels: Sequence[str]) -> str:
    """Return a hint if the classes are many whole numbers, which may be meant as numbers."""
    names = set(labels) - {""}
    if len(names) <= LISTED_NAMES or any(math.isnan(number_in(name)) for name in names):
        return ""
    return (
        f" All {len(names):,} classes are whole numbers; if the column holds numbers, not classes, "
        "say --task regress."
    )


def _cut(
    name: str,
    clips: Sequence[Clip],
    labels: np.ndarray,
    split: np.ndarray,
    *,
    seed: int,
    unit: str,
    are_classes: bool,
    cut: str,
    columns: Sequence[str],
) -> tuple[np.ndarray, str]:
    """Choose rows of train to hold out, int64 (held out,), and say in words how.

    Args:
        name: ``val`` or ``test``, the split to make.
        clips: all N clips.
        labels: (N,) label of each clip, "" where unlabelled.
        split: (N,) split of each clip so far.
        seed: seed of the random choices.
        unit: ``dialogue``: dialogues stay whole.
        are_classes: whether the labels are the classes to learn.
        cut: ``clips``: take single clips.
        columns: columns through which clips share tokens.

    Raises:
        FitError: no groups can be held out, and single clips would leave ``test`` no new speaker
            or break the dialogues that the head reads.
    """
    train = np.flatnonzero(split == "train")
    if are_classes and len(set(labels[train]) - {""}) < 2:  # check_classes raises the error
        return train[:0], "not possible"
    trained = [clips[int(row)] for row in train]
    # a val needs two groups of train only: test has others already
    fewest, largest = (FEWEST_GROUPS, MOST_IN_A_GROUP) if name == "test" else (2, 0.5)
    ways = groupings(trained, unit, fewest=fewest, largest=largest, shared=columns)
    usable = [] if cut == "clips" else ways
    speakers = np.array([plain(clip.speaker or "") for clip in clips], dtype=object)
    known = {*speakers[train]} - {""}
    if known & {*speakers[split == "test"]}:  # test shares speakers with train: val may too
        usable = [way for way in usable if "speakers" not in way.kind]
    if unit == "dialogue" and name == "test":  # val must be whole dialogues, too
        usable = [way for way in usable if len(set(way.groups)) >= FEWEST_GROUPS]
    for way in usable:
        held_out = choose_groups(labels[train], way.groups, seed=seed, are_classes=are_classes)
        if held_out is not None:
            break
    else:
        if ways and cut == "groups":
            _expect_clips_may_be_cut(name, trained, unit, columns)
        held_out, way = _cut_clips(labels[train], seed=seed), None
    how = f"whole {way.kind}, stratified by label" if way else "stratified by label"
    is_held_out = np.isin(np.arange(len(train)), held_out)
    return train[held_out], "; ".join(filter(None, (
        how if cut == "groups" or not ways else f"{how}, as --cut clips says",
        _sharing(name, trained, is_held_out, columns),
        unknown_speakers(trained) if way and "speakers" in way.kind else "",
        one_name(trained, way.kind) if way else "",
    )))  # fmt: skip


def _sharing(
    name: str, trained: Sequence[Clip], is_held_out: np.ndarray, columns: Sequence[str]
) -> str:
    """Return what a split that is cut from train shares with the rest of train; "" for nothing."""
    found = shared(trained, is_held_out, columns)
    return f"{name} shares {found} with train" if found else ""


def expect_single_clips(clips: Sequence[Clip], unit: str) -> None:
    """Raise if single clips cannot be cut, because the head reads whole dialogues."""
    if unit == "dialogue" and any(clip.dialogue for clip in clips):
        raise FitError(
            "--cut clips: this head reads whole dialogues, which single clips would break; leave "
            "--cut out, or choose a head that reads clips"
        )


def _expect_clips_may_be_cut(
    name: str, trained: Sequence[Clip], unit: str, columns: Sequence[str]
) -> None:
    """Raise if a split must be whole groups, none of which can be held out."""
    counts = {
        column: len({plain(getattr(clip, column) or "") for clip in trained} - {""})
        for column in ("speaker", "dialogue")
    }
    found = " and ".join(
        f"{count} {column}{'' if count == 1 else 's'}" for column, count in counts.items() if count
    )
    if columns and not found:
        raise FitError(
            f"{plural(len(trained), 'row')} of train share the tokens of so few "
            f"{shared_kind(columns)} that none can be held out for {name} without losing a class. "
            "Say in the split column which rows are val and test, or cut single rows with --cut "
            f"clips: {name} then shares {shared_kind(columns)} with train."
        )
    if unit == "dialogue" and counts["dialogue"]:
        raise FitError(
            f"{plural(counts['dialogue'], 'dialogue')} of train: none can be held out without "
            "losing a class; say in the split column which clips are val and test"
        )
    if name == "test":
        others = " or ".join(f"{column}s" for column, count in counts.items() if count)
        raise FitError(
            f"no test can be cut whose {others} are not in train too: train, "
            f"{plural(len(trained), 'clip')} of {found}, must keep every class. Say in the split "
            "column which clips are val and test, cross-validate with --cv speaker "
            f"(where there are several), or cut single clips with --cut clips: test then "
            f"shares {others} with train."
        )


def _cut_clips(labels: np.ndarray, *, seed: int) -> np.ndarray:
    """Choose ``CUT_SHARE`` of the rows of each class, at least one of a class that has two."""
    random = np.random.default_rng(seed)
    held_out = []
    for label in sorted(set(labels)):
        rows = random.permutation(np.flatnonzero(labels == label))
        held_out.append(rows[: min(max(1, round(CUT_SHARE * len(rows))), len(rows) - 1)])
    return np.sort(np.concatenate(held_out))
