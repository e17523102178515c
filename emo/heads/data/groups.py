"""Groups of clips that splits and folds keep together, and the choice of groups to hold out."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from emo.heads.data.interval_groups import value_of
from emo.manifest import Clip
from emo.manifest.spelling import SHOWN, alike, plain, quoted, usual

CUT_SHARE = 0.15
"""Share of the clips that a cut holds out, if whole groups allow it."""
MOST_IN_A_GROUP = 0.4
"""Largest share of the clips that one group of linked speakers and dialogues may hold. If a group
is larger, dialogues alone are kept together."""
FEWEST_GROUPS = 3
"""Fewest groups of linked speakers and dialogues: one for each of train, val and test."""
_DRAWS = 50  # random orders in which groups are added up, where the folds of scikit-learn fail


@dataclass(frozen=True, eq=False)
class Grouping:
    """A way to group N clips, such as by dialogue."""

    kind: str
    """Word for the groups, in plural: ``speakers``, ``dialogues`` or ``speakers and dialogues``."""
    groups: np.ndarray
    """Group of each clip, (N,) of text or int64."""


def groupings(
    clips: Sequence[Clip],
    unit: str,
    *,
    fewest: int = FEWEST_GROUPS,
    largest: float = MOST_IN_A_GROUP,
    shared: Sequence[str] = (),
) -> list[Grouping]:
    """Return the ways to group the clips, the best first; none if no speaker or dialogue is known.

    The best groups are the linked components of speakers and dialogues: clips are in one group if
    a chain of equal speakers and equal dialogues connects them. Where these are too few or one is
    too large (a series with recurring people), dialogues come first, then speakers. Where clips
    share tokens, every way also keeps those of equal values together.

    Args:
        clips: N clips; one without a speaker or dialogue has a speaker or dialogue of its own.
        unit: ``dialogue``: only ways that keep dialogues whole.
        fewest: fewest linked components.
        largest: largest share of the clips in one linked component.
        shared: columns through which clips share tokens, see
            :class:`emo.heads.data.streams.StreamName`.
    """
    ways = _by_people(clips, unit, fewest, largest)
    if not shared:
        return ways
    together = Grouping(shared_kind(shared), group_by_values(clips, shared[0]))
    for column in shared[1:]:
        both = linked(together.groups, group_by_values(clips, column))
        together = replace(together, groups=both)
    joined = [
        Grouping(f"{way.kind} and {together.kind}", linked(way.groups, together.groups))
        for way in ways
    ]
    is_whole = unit == "dialogue" and any(clip.dialogue for clip in clips)
    usable = [way for way in joined if is_whole or _is_usable(way.groups, fewest, largest)]
    return [*usable, *([] if is_whole else [together])]


def _by_people(clips: Sequence[Clip], unit: str, fewest: int, largest: float) -> list[Grouping]:
    """Return the ways to group the clips by speakers and dialogues, see :func:`groupings`."""
    names = [name for name in ("dialogue", "speaker") if any(getattr(c, name) for c in clips)]
    ways = {name: Grouping(f"{name}s", group_by(clips, name)) for name in names}
    if len(ways) < 2:
        return list(ways.values())
    both = linked(ways["speaker"].groups, ways["dialogue"].groups)
    found = [ways["dialogue"], *([ways["speaker"]] if unit == "clip" else [])]
    if _is_usable(both, fewest, largest):
        found.insert(0, Grouping("speakers and dialogues", both))
    return found


def _is_usable(groups: np.ndarray, fewest: int, largest: float) -> bool:
    """Return whether there are enough groups (N,), none of which has too large a share."""
    _, sizes = np.unique(groups, return_counts=True)
    return bool(len(sizes) >= fewest and sizes.max() <= largest * len(groups))


def shared_kind(columns: Sequence[str]) -> str:
    """Return the word, in plural, for groups of clips that share tokens through columns."""
    return " and ".join(f"values of {column}" for column in columns)


def group_by_values(clips: Sequence[Clip], column: str) -> np.ndarray:
    """Return the group (N,) of each clip by its exact value of a column; without one, its id."""
    values = [value_of(clip, column) for clip in clips]
    return np.array([f"v{v}" if v else f"c{c.id}" for v, c in zip(values, clips, strict=True)])


def group_by(clips: Sequence[Clip], column: str) -> np.ndarray:
    """Return the group (N,) of each clip by its value of a column; without a value, its id.

    Values that differ only in spelling are one group.
    """
    values = [getattr(clip, column) for clip in clips]
    one = usual(value for value in values if value)
    return np.array(
        [f"v{one.get(v, v)}" if v else f"c{clip.id}" for v, clip in zip(values, clips, strict=True)]
    )


def linked(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return groups, int64 (N,), so that rows with an equal value in either column share one.

    Args:
        first: (N,) values of one column.
        second: (N,) values of the other column.
    """
    _, group = np.unique(first, return_inverse=True)
    _, other = np.unique(second, return_inverse=True)
    while True:
        lowest = np.full(other.max() + 1, len(group))
        np.minimum.at(lowest, other, group)
        spread = np.full(group.max() + 1, len(group))
        np.minimum.at(spread, group, lowest[other])
        if (spread[group] == group).all():
            return np.asarray(group)
        group = spread[group]


def shared(clips: Sequence[Clip], is_held_out: np.ndarray, columns: Sequence[str] = ()) -> str:
    """Return what held out clips share with the others: ``speakers``, ``dialogues``, both or "".

    Args:
        clips: N clips.
        is_held_out: bool (N,), True for the clips that are held out.
        columns: further columns, through which clips share tokens; their values are compared as
            they are.
    """
    names = {
        "speakers": [plain(clip.speaker or "") for clip in clips],
        "dialogues": [plain(clip.dialogue or "") for clip in clips],
        **{shared_kind([name]): [value_of(clip, name) for clip in clips] for name in columns},
    }
    found = []
    for what, values in names.items():
        held, others = (
            {values[row] for row in np.flatnonzero(chosen).tolist()} - {""}
            for chosen in (is_held_out, ~is_held_out)
        )
        if held & others:
            found.append(what)
    return " and ".join(found)


def one_name(clips: Sequence[Clip], kind: str) -> str:
    """Return a text on speakers and dialogues that are joined, though spelt in two ways; or "".

    Args:
        clips: the clips that are grouped.
        kind: what is kept together, such as ``speakers and dialogues``.
    """
    found = [
        spelt_alike(column, [getattr(clip, column) for clip in clips])
        for column in ("speaker", "dialogue")
        if column in kind
    ]
    return "; ".join(filter(None, found))


def spelt_alike(column: str, values: Sequence[str | None]) -> str:
    """Return a text on values of a column that differ only in spelling; "" if there are none."""
    found = alike(value for value in values if value)
    if not found:
        return ""
    sets = [" and ".join(quoted(name) for name, _ in names) for names in found]
    dots = "; …" if len(sets) > SHOWN else ""
    return f"spelt in several ways, counted as one {column}: {'; '.join(sets[:SHOWN])}{dots}"


def unknown_speakers(clips: Sequence[Clip]) -> str:
    """Return a text on clips without a speaker among clips that have one; "" if there are none."""
    count = sum(not clip.speaker for clip in clips)
    if count in (0, len(clips)):
        return ""
    one = "1 clip has" if count == 1 else f"{count} clips have"
    return f"{one} no speaker: each counts as a speaker of its own"


def choose_groups(
    labels: np.ndarray, groups: np.ndarray, *, seed: int, are_classes: bool = True
) -> np.ndarray | None:
    """Choose whole groups with about ``CUT_SHARE`` of all rows to hold out.

    Args:
        labels: (N,) label of each row, "" where unlabelled; the rest must keep all of them.
        groups: (N,) group of each row.
        seed: seed of the random choices.
        are_classes: False: labels are only for stratification, so that the rest may lack some if
            no choice keeps all.

    Returns:
        int64 rows to hold out; None if no choice of groups is good enough.
    """
    count = len(set(groups))
    if count < 2:
        return None
    candidates = []
    if count >= FEWEST_GROUPS:
        candidates = list(_stratified(labels, groups, min(round(1 / CUT_SHARE), count), seed))
    most = MOST_IN_A_GROUP if count > 2 else 0.5
    for is_strict in (True,) if are_classes else (True, False):
        for tried in (candidates, _sums(groups, seed)):
            allowed = [rows for rows in tried if _is_allowed(labels, rows, most, is_strict)]
            if allowed:
                return min(allowed, key=lambda rows: _unlikeness(labels, rows))
    return None


def _stratified(
    labels: np.ndarray, groups: np.ndarray, folds: int, seed: int
) -> Iterator[np.ndarray]:
    """Return the rows of each of several stratified folds of whole groups."""
    from sklearn.model_selection import StratifiedGroupKFold  # seconds to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # rare classes cannot be in every fold
        cutter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        strata = common_strata(labels, folds)
        yield from [rows for _, rows in cutter.split(strata, strata, groups)]


def common_strata(strata: np.ndarray, count: int) -> np.ndarray:
    """Return the strata, or one common stratum if none has a clip for each of ``count`` folds.

    scikit-learn raises an error in that case.
    """
    _, sizes = np.unique(strata, return_counts=True)
    return strata if sizes.max() >= count else np.full_like(strata, "")


def _sums(groups: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Return rows of single groups, and of groups added up in random orders to ``CUT_SHARE``."""
    _, numbers = np.unique(groups, return_inverse=True)
    sizes = np.bincount(numbers)
    random = np.random.default_rng(seed)
    for _ in range(_DRAWS):
        order = random.permutation(len(sizes))
        enough = int(np.searchsorted(np.cumsum(sizes[order]), CUT_SHARE * len(groups))) + 1
        yield np.flatnonzero(np.isin(numbers, order[:enough]))
    for number in range(len(sizes)) if len(sizes) <= 4 * _DRAWS else ():
        yield np.flatnonzero(numbers == number)


def _is_allowed(labels: np.ndarray, held_out: np.ndarray, most: float, is_strict: bool) -> bool:
    """Return whether the rest has every class, and the held out rows two of them.

    Args:
        labels: (N,) label of each row, "" where unlabelled.
        held_out: int64 rows that are held out.
        most: largest share of the rows that may be held out.
        is_strict: False: a label in both parts is enough.
    """
    if not 0 < len(held_out) <= most * len(labels):
        return False
    names, held = set(labels) - {""}, set(labels[held_out]) - {""}
    rest = set(np.delete(labels, held_out)) - {""}
    if not names:  # no row is labelled: every choice is as good
        return True
    if not is_strict:
        return bool(held and rest)
    return rest == names and len(held) >= min(2, len(names))


def _unlikeness(labels: np.ndarray, held_out: np.ndarray) -> float:
    """Return how far the held out rows are from ``CUT_SHARE`` of each class; 0: exactly that."""
    names, totals = np.unique(labels, return_counts=True)
    counts = np.array([(labels[held_out] == name).sum() for name in names])
    return float(np.abs(counts - CUT_SHARE * totals).sum() / len(labels))
