"""Clips that weights have seen before this adaptation: refused where they are evaluated, and kept.

A base that `emo adapt` trained before, and frozen streams of such weights, have seen clips. Their
lists go on with the new weights, so that adapting twice unites them.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from emo.adapt.live import Live
from emo.heads.data.data import Data
from emo.heads.data.seen_clips import check_unseen, ids_of, seen_of_sources
from emo.store.adapted import ClipIds, SeenClips


def seen_of_bases(lives: Sequence[Live]) -> dict[str, SeenClips]:
    """Return the clips that the weights of each backbone have seen, by recipe.

    Raises:
        WeightsError: weights are of `emo adapt`, and its list of clips is missing or damaged.
    """
    return {live.name: live.kind.seen_clips(live.options) for live in lives}


def without_leaks(data: Data, *, allow_seen: bool) -> Data:
    """Check that no base and no frozen stream has seen clips that are evaluated here.

    Args:
        data: the clips, with the tokens of the base's weights.
        allow_seen: let the notes of the run say so, in place of an error.

    Raises:
        FitError: one has seen some, and it is not allowed.
    """
    seen = check_unseen(data.sources, ids_of(data), allow_seen=allow_seen)
    return dataclasses.replace(data, seen=seen, notes=(*data.notes, *seen))


def inherited(data: Data, runs: Mapping[Path, ClipIds]) -> dict[Path, ClipIds]:
    """Return all clips that were seen before, by the run or the recipe that knew them.

    Args:
        data: the clips, with the tokens of the base's weights.
        runs: clips of the run of ``--init``.
    """
    found = seen_of_sources(data.sources)
    return {**runs, **{Path(name): seen.ids for name, seen in found.items() if seen}}
