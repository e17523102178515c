"""Folds of a cross-validation: which clips are tested in each; every clip is tested once."""

import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from emo import plugins
from emo.errors import FitError, OptionError, listed, plural
from emo.heads.data.groups import (
    MOST_IN_A_GROUP,
    Grouping,
    choose_groups,
    common_strata,
    groupings,
    one_name,
    shared,
    shared_kind,
    spelt_alike,
    unknown_speakers,
)
from emo.heads.data.splits import Splits, assign_splits, check_classes, expect_single_clips
from emo.manifest import COLUMNS, Clip
from emo.manifest.spelling import usual

FoldUnit = Literal["clip", "dialogue"]


@dataclass(frozen=True, eq=False)
class Fold:
    """One fold; no two folds have a clip of ``test`` in common."""

    name: str
    """The value of the column that is left out, or the number of the fold."""
    splits: Splits
    """Rows of the clips of train, val and test in this fold."""


@dataclass(frozen=True, eq=False)
class Folds:
    """All folds of a cross-validation."""

    how: str
    """Words on how the folds were made, such as ``one session left out``."""
    folds: tuple[Fold, ...]
    """The folds in order of their names."""


def cut_folds(
    clips: Sequence[Clip],
    labels: Sequence[str],
    by: str,
    *,
    seed: int,
    unit: FoldUnit = "clip",
    are_classes: bool = True,
    cut: str = "groups",
    columns: Sequence[str] = (),
) -> Folds:
    """Divide clips into folds, so that every clip is in ``test`` of exactly one fold.

    A group (a speaker, a dialogue, a value of the column) is never in both train and test of one
    fold. In each fold ``val`` is taken from the clips that are not tested: whole groups of the
    same kind, or as :func:`emo.heads.data.splits.assign_splits` does where there are too few
    groups. The fold of a clip does not depend on the order of the clips.

    Args:
        clips: the clips; their own ``split`` is ignored.
        labels: label of each clip, ``""`` where unlabelled; folds get similar shares of each.
        by: a column, of which each value is left out once; or the number of folds.
        seed: seed of the random choices.
        unit: ``dialogue``: dialogues stay whole.
        are_classes: True: the labels are the classes to learn; False: they are only for
            stratification.
        cut: ``clips``: numbered folds and ``val`` are single clips, whatever speakers and
            dialogues they share.
        columns: columns through which clips share tokens; clips of one value stay together.

    Raises:
        OptionError: the number of folds is below 2.
        FitError: an unknown column, a clip without a value, too few groups, or a fold from which
            nothing can be learnt.
    """
    order = np.array(sorted(range(len(clips)), key=lambda row: clips[row].id), dtype=np.int64)
    in_order = [clips[row] for row in order]
    strata = np.array([labels[row] for row in order])
    if by.lstrip("-").isdecimal():
        how, groups, folds = _numbered(
            in_order, strata, int(by), seed=seed, unit=unit, cut=cut, columns=columns
        )
    else:
        how, groups, folds = _left_out(in_order, by, unit)
    found = []
    for name in dict.fromkeys(sorted(set(folds))):
        try:
            one = _fold(
                in_order, strata, groups, folds == name,
                seed=seed, unit=unit, are_classes=are_classes, cut=cut, columns=columns,
            )  # fmt: skip
            if are_classes:
                check_classes(one.rows, strata.tolist(), is_fold=True)
        except FitError as error:
            raise FitError(f"--cv {by}, fold {name}: {error}") from error
        rows = {split: np.sort(order[chosen]) for split, chosen in one.rows.items()}
        found.append(Fold(str(name), dataclasses.replace(one, rows=rows)))
    return Folds(how + _sharing(in_order, folds, columns), tuple(found))


def _sharing(clips: Sequence[Clip], folds: np.ndarray, columns: Sequence[str]) -> str:
    """Return what test shares with train or val in any fold, as the end of a line; or ""."""
    found = {shared(clips, folds == name, columns) for name in set(folds)}
    every = ["speakers", "dialogues", *(shared_kind([name]) for name in columns)]
    names = [name for name in every if any(name in each for each in found)]
    return f"; test shares {' and '.join(names)} with train" if names else ""


def _left_out(
    clips: Sequence[Clip], column: str, unit: FoldUnit
) -> tuple[str, np.ndarray, np.ndarray]:
    """Make one fold for each value of a column.

    Returns:
        How the folds were made, in words; the group (N,) of each clip; the fold (N,) of each clip.
    """
    values = np.array([_value(clip, column) for clip in clips])
    said = spelt_alike(column, values.tolist())
    one = usual(values.tolist())
    values = np.array([one.get(value, value) for value in values.tolist()])
    if not any(values):
        others = dict.fromkeys(name for clip in clips for name in clip.targets)
        known = [name for name in ("speaker", "dialogue") if any(_value(c, name) for c in clips)]
        raise FitError(f"--cv: {plugins.unknown('column', column, [*known, *others])}")
    empty = [clip.id for clip, value in zip(clips, values, strict=True) if not value]
    if empty:
        raise FitError(
            f"--cv {column}: {plural(len(empty), 'clip')} without {column} ({listed(empty)}), but "
            "every clip must be in a fold. Fill the column, or empty the label of these clips."
        )
    if len(set(values)) < 2:
        raise FitError(f"--cv {column}: expected at least two values, got {str(values[0])!r} alone")
    if unit == "dialogue":
        _expect_whole_dialogues(clips, values, column)
    return "; ".join(filter(None, (f"one {column} left out", said))), values, values


def _numbered(
    clips: Sequence[Clip], strata: np.ndarray, count: int, *, seed: int, unit: FoldUnit, cut: str,
    columns: Sequence[str],
) -> tuple[str, np.ndarray, np.ndarray]:  # fmt: skip
    """Make ``count`` stratified folds of whole groups.

    Returns:
        How the folds were made, in words; the group (N,) of each clip; the fold (N,) of each clip.
    """
    if count < 2:
        raise OptionError(f"--cv {count}: expected a column, or at least 2 folds")
    if cut == "clips":
        expect_single_clips(clips, unit)
    grouping = _grouped(clips, count, unit, cut, columns)
    kind, groups = grouping.kind, grouping.groups
    if len(set(groups)) < count:
        raise FitError(
            f"--cv {count}: expected at least as many {kind} as folds, got {len(set(groups))}"
        )
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # seconds to import

    cutter = StratifiedKFold if kind == "clips" else StratifiedGroupKFold
    folds = np.zeros(len(clips), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # rare classes cannot be in every fold
        cuts = cutter(count, shuffle=True, random_state=seed).split(
            strata, common_strata(strata, count), groups
        )
        for number, (_, rows) in enumerate(cuts, start=1):
            folds[rows] = number
    if len(set(folds)) < count:
        raise FitError(f"--cv {count}: {kind} are too unequal for so many folds; take fewer")
    unknown = unknown_speakers(clips) if "speakers" in kind else ""
    how = f"{count} folds of whole {kind}, stratified by label"
    return "; ".join(filter(None, (how, unknown, one_name(clips, kind)))), groups, folds


def _grouped(
    clips: Sequence[Clip], count: int, unit: FoldUnit, cut: str, columns: Sequence[str]
) -> Grouping:
    """Return what folds keep together: the best grouping that has a group for each fold.

    A clip without a speaker or dialogue is a group of its own.
    """
    largest = max(MOST_IN_A_GROUP, 1 / count)
    ways = []
    if cut == "groups":
        ways = groupings(clips, unit, fewest=count, largest=largest, shared=columns)
    if not ways:
        return Grouping("clips", np.array([clip.id for clip in clips]))
    return next((way for way in ways if len(set(way.groups)) >= count), ways[0])


def _fold(
    clips: Sequence[Clip], strata: np.ndarray, groups: np.ndarray, is_tested: np.ndarray,
    *, seed: int, unit: FoldUnit, are_classes: bool, cut: str, columns: Sequence[str],
) -> Splits:  # fmt: skip
    """Return the splits of one fold; ``val`` is whole groups of training clips if possible.

    Args:
        clips: all N clips.
        strata: (N,) label of each clip.
        groups: (N,) group of each clip.
        is_tested: bool (N,), True for the clips of ``test``.
        seed: seed of the choice of ``val``.
        unit: ``dialogue``: dialogues stay whole.
        are_classes: whether the labels are the classes to learn.
        cut: ``clips``: ``val`` is single clips.
        columns: columns through which clips share tokens.
    """
    split = np.where(is_tested, "test", "train").astype(object)
    train = np.flatnonzero(~is_tested)
    notes: tuple[str, ...] = ()
    if cut == "groups" and len(set(groups[train])) < len(train):
        held_out = choose_groups(strata[train], groups[train], seed=seed, are_classes=are_classes)
        if held_out is not None:
            split[train[held_out]] = "val"
            found = shared([clips[int(row)] for row in train], split[train] == "val", columns)
            sharing = f"; val shares {found} with train" if found else ""
            notes = (f"val: {plural(len(held_out), 'clip')} cut from train, whole groups{sharing}",)
    named = [dataclasses.replace(clip, split=name) for clip, name in zip(clips, split, strict=True)]
    made = assign_splits(
        named, strata.tolist(), seed=seed, unit=unit, are_classes=False, cut=cut, columns=columns
    )
    return Splits(made.rows, (*notes, *made.notes), is_fold=True)


def _expect_whole_dialogues(clips: Sequence[Clip], values: np.ndarray, column: str) -> None:
    """Raise if a dialogue has clips with different values of the column."""
    first: dict[str, str] = {}
    for clip, value in zip(clips, values, strict=True):
        if clip.dialogue and first.setdefault(clip.dialogue, value) != value:
            raise FitError(
                f"--cv {column}: dialogue {clip.dialogue} has clips of {column} "
                f"{first[clip.dialogue]} and {value}, and this head reads whole dialogues: it "
                "would see test clips in training. Use --cv dialogue, or a number of folds."
            )


def _value(clip: Clip, column: str) -> str:
    """Return a clip's value of a column, ``""`` if it has none."""
    if column in COLUMNS:
        value = getattr(clip, column)
        return "" if value is None else str(value)
    return clip.targets.get(column, "")
