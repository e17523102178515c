"""Choose which clips `emo store compact` moves into which new part, and which parts stay."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from emo.store.backend.location import Location
from emo.store.index.merged import Merged
from emo.store.part.reader import Part
from emo.store.part.writer import MAX_PART_BYTES, part_name
from emo.store.recipe import Recipe

MAX_CLIPS = 16_384
"""Most clips in a part: 62 parts hold a million clips, and a part opens in milliseconds."""


@dataclass(frozen=True)
class Winner:
    """The entry of a clip that readers use."""

    clip_id: str
    part: int
    """Index of the part that has the entry."""
    row: int | None
    """Number of the clip among the part's finished clips; None: a failure."""
    size_bytes: int
    """Size of the clip's tokens in bytes."""


@dataclass
class PartGroup:
    """Clips that become one new part."""

    attempt: int
    """Latest attempt at any clip of the group, which becomes the attempt of the new part."""
    winners: list[Winner] = field(default_factory=list)
    """Winning entry of each clip of the group."""
    size_bytes: int = 0
    """Size of the tokens of all clips of the group in bytes."""

    @property
    def ids(self) -> list[str]:
        """Ids of the group's clips, finished and failed."""
        return [winner.clip_id for winner in self.winners]

    def has_room_for(self, winner: Winner) -> bool:
        """Return whether the part with one more clip stays within its limits of clips and bytes."""
        return (
            len(self.winners) < MAX_CLIPS and self.size_bytes + winner.size_bytes <= MAX_PART_BYTES
        )

    def take(self, winner: Winner) -> None:
        """Add the winning entry of a clip to the group."""
        self.winners.append(winner)
        self.size_bytes += winner.size_bytes


def part_groups(clips: Merged, recipe: Recipe) -> list[PartGroup]:
    """Return the groups of clips to move, in order of attempt, part file name and position.

    A part stays if it is at least half full and every entry in it is read, or if its clips would be
    moved into a new part by themselves. The attempt of a group is the latest of its clips, so that
    the new part wins over all parts that it replaces while these are still there.
    """
    attempts = clips.attempts
    moving: dict[int, list[Winner]] = {}
    for index, part in enumerate(clips.parts):
        winners = list(_winners(clips, index, recipe))
        if not (_is_whole(part, winners, attempts) and _is_large(winners)):
            for winner in winners:
                moving.setdefault(attempts[winner.clip_id], []).append(winner)
    groups = [group for attempt in sorted(moving) for group in _packed(attempt, moving[attempt])]
    return [group for group in groups if not _is_one_part(group, clips.parts, attempts)]


class Moved:
    """Record of the clips that are in new parts by now, to know which old parts can be removed."""

    def __init__(self, clips: Merged, groups: Sequence[PartGroup]) -> None:
        """Start when none of the groups is committed."""
        self._parts = clips.parts
        self._several = clips.winners.keys()
        self._to_move = Counter(winner.part for group in groups for winner in group.winners)
        self._staying = [
            index
            for index, part in enumerate(clips.parts)
            if not self._to_move[index] and len(_lost(clips, index)) < len(_clips_of(part))
        ]
        self._new: set[str] = set()

    def add(self, group: PartGroup) -> None:
        """Note that a group is committed."""
        self._new.add(part_name(group.ids, group.attempt))
        self._to_move.subtract(winner.part for winner in group.winners)

    def emptied(self) -> list[Location]:
        """Return the old parts from which nothing is read any more, the highest name first.

        If a clip could not be moved, all parts with entries of it stay, and so do all parts that
        share clips with these: removing some of them could change which of the others is read.
        """
        staying = [index for index, left in self._to_move.items() if left]
        for index in staying:  # the list grows in the loop
            shared = self._several & set(_clips_of(self._parts[index]))
            for other, part in enumerate(self._parts if shared else ()):
                if other not in staying and not shared.isdisjoint(_clips_of(part)):
                    staying.append(other)
        kept = {self._parts[index].path.name for index in [*staying, *self._staying]} | self._new
        return sorted((p.path for p in self._parts if p.path.name not in kept), reverse=True)


def _clips_of(part: Part) -> list[str]:
    """Return the ids of all clips in a part, finished and failed."""
    return [*part.clip_ids, *part.failures]


def _lost(clips: Merged, index: int) -> list[str]:
    """Return the clips of a part whose winning entry is in another part."""
    won = clips.winners
    if not won:
        return []
    return [id_ for id_ in _clips_of(clips.parts[index]) if id_ in won and won[id_].part != index]


def _packed(attempt: int, winners: Sequence[Winner]) -> Iterator[PartGroup]:
    """Fill groups with clips in order, each up to its limits."""
    group = PartGroup(attempt)
    for winner in winners:
        if not group.has_room_for(winner):
            yield group
            group = PartGroup(attempt)
        group.take(winner)
    yield group


def _winners(clips: Merged, index: int, recipe: Recipe) -> Iterator[Winner]:
    """Iterate over the entries of a part that readers use."""
    part = clips.parts[index]
    sizes = np.zeros(len(part.clip_ids), np.int64)
    for name, spec in recipe.streams.items():
        row_bytes = spec.dim * np.dtype(spec.dtype).itemsize
        sizes += np.diff(part.layout(name).offsets) * row_bytes
    entries = zip(part.clip_ids, range(len(sizes)), sizes.tolist(), strict=True)
    for clip_id, row, size_bytes in chain(entries, ((failed, None, 0) for failed in part.failures)):
        winner = clips.winners.get(clip_id)
        if winner is None or winner.part == index:
            yield Winner(clip_id, index, row, size_bytes)


def _is_whole(part: Part, winners: Sequence[Winner], attempts: dict[str, int]) -> bool:
    """Return whether every entry of the part is read and is of the part's own attempt."""
    is_all = len(winners) == len(part.clip_ids) + len(part.failures)
    return is_all and all(attempts[winner.clip_id] == part.attempt for winner in winners)


def _is_large(winners: Sequence[Winner]) -> bool:
    """Return whether clips of this count and size fill a part at least half."""
    size_bytes = sum(winner.size_bytes for winner in winners)
    return 2 * len(winners) >= MAX_CLIPS or 2 * size_bytes >= MAX_PART_BYTES


def _is_one_part(group: PartGroup, parts: Sequence[Part], attempts: dict[str, int]) -> bool:
    """Return whether a group is the same as an existing part, so that moving it is useless."""
    index = group.winners[0].part
    is_alone = all(winner.part == index for winner in group.winners)
    return is_alone and _is_whole(parts[index], group.winners, attempts)
