"""Refuse features whose weights have seen the clips that a fit is scored on.

Weights that `emo adapt` trained on a clip make its tokens fit its label, and so a score on that
clip would be too good. The store lists these clips, see :mod:`emo.store.adapted`.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emo.errors import FitError, plural
from emo.heads.data.data import Data
from emo.heads.data.streams import StreamSource
from emo.store.adapted import NOTHING_SEEN, ClipIds, SeenClips

EVALUATED = {"train": ("val", "test"), "val": ("test",)}
"""Split of clips that weights or a head have seen -> splits in which they may not be here."""
_NAMED = 3


@dataclass(frozen=True)
class Overlap:
    """Clips that were seen elsewhere and are evaluated here."""

    theirs: str
    """Split in which they were seen, ``train`` or ``val``."""
    ours: str
    """Split in which they are here, ``val`` or ``test``."""
    ids: tuple[str, ...]
    """Ids of the clips, sorted; at least one."""

    def words(self, *, named: int = _NAMED) -> str:
        """Return a clause such as ``2 clips of its train are in test here (a, b)``."""
        are = "is" if len(self.ids) == 1 else "are"
        more = ", …" if len(self.ids) > named else ""
        return (
            f"{plural(len(self.ids), 'clip')} of its {self.theirs} {are} in {self.ours} here "
            f"({', '.join(self.ids[:named])}{more})"
        )


def overlaps(seen: ClipIds, splits: Mapping[str, Iterable[str]]) -> list[Overlap]:
    """Return the clips that were seen and are evaluated here, for each two splits that share some.

    Args:
        seen: ids of the clips that were seen, by split.
        splits: ids of the clips here, by split.
    """
    found = []
    for theirs, evaluated in EVALUATED.items():
        for ours in evaluated:
            both = sorted(seen.get(theirs, frozenset()).intersection(splits.get(ours, ())))
            if both:
                found.append(Overlap(theirs, ours, tuple(both)))
    return found


def ids_of(data: Data) -> dict[str, tuple[str, ...]]:
    """Return the ids of a fit's clips by split."""
    return {name: split.ids for name, split in data.splits.items()}


def noting_seen(data: Data, *, allow_seen: bool) -> Data:
    """Return the clips of a fit with notes on evaluated ones that weights have seen.

    Args:
        data: the clips.
        allow_seen: note them; False: refuse them.

    Raises:
        FitError: weights have seen some, and it is not allowed.
    """
    seen = check_unseen(data.sources, ids_of(data), allow_seen=allow_seen)
    return dataclasses.replace(data, seen=seen, notes=(*data.notes, *seen))


def seen_before(data: Data, runs: Mapping[Path, ClipIds]) -> dict[Path, ClipIds]:
    """Return all clips that were seen before a fit, by the run or the recipe that saw them.

    Args:
        data: the clips of the fit, with their streams.
        runs: clips of the runs of ``--init``.
    """
    found = seen_of_sources(data.sources)
    return {**runs, **{Path(name): seen.ids for name, seen in found.items() if seen}}


def check_unseen(
    sources: Sequence[StreamSource], splits: Mapping[str, Iterable[str]], *, allow_seen: bool
) -> tuple[str, ...]:
    """Check that no stream was made with weights that have seen clips which are evaluated here.

    Args:
        sources: the streams that are read.
        splits: ids of the clips by split; a cross-validation evaluates all of its clips.
        allow_seen: return sentences in place of an error.

    Returns:
        A sentence for each recipe whose weights have seen some.

    Raises:
        FitError: weights have seen some, and it is not allowed.
        StoreError: the list of clips that adapted weights have seen is missing or was changed.
    """
    seen = {f"features {name}": each for name, each in seen_of_sources(sources).items()}
    return check_disjoint(seen, splits, allow_seen=allow_seen)


def check_disjoint(
    seen: Mapping[str, SeenClips], splits: Mapping[str, Iterable[str]], *, allow_seen: bool
) -> tuple[str, ...]:
    """Check that adapted weights have seen no clip which is evaluated here.

    Args:
        seen: what the weights are called in messages -> clips that they have seen.
        splits: ids of the clips here by split.
        allow_seen: return sentences in place of an error.

    Returns:
        A sentence for each weights that have seen some.

    Raises:
        FitError: weights have seen some, and it is not allowed.
    """
    found = []
    for name, clips in seen.items():
        if both := overlaps(clips.ids, splits):
            words = "; ".join(each.words() for each in both)
            found.append(f"{name}: the weights were adapted with `emo adapt`: {words}")
    if found and not allow_seen:
        raise FitError(
            f"{'. '.join(found)}. The score would be too good. Adapt and fit on the same splits; "
            "or give --allow-seen, which the run will say"
        )
    return tuple(f"{each}: the score is too good" for each in found)


def seen_of_sources(sources: Sequence[StreamSource]) -> dict[str, SeenClips]:
    """Return the clips that the weights of each recipe have seen, by all stores that hold it.

    Raises:
        StoreError: the list of clips that adapted weights have seen is missing or was changed.
    """
    every: dict[str, SeenClips] = {}
    for source in sources:
        recipe = source.name.partition("/")[0]
        if recipe not in every:
            every[recipe] = NOTHING_SEEN
            for folder in source.folders:
                every[recipe] |= folder.seen
    return every
