"""The clips of a recipe, merged over its parts: where their tokens lie, which entry counts.

A clip can be in several parts: a failure and its retry, or tokens of its media file before and
after a change. The entry that counts (the winner) is chosen so. First the source: entries with the
same source hash are of the same file, and the file of the highest attempt is the current one. Among
the entries of that source, tokens win over a failure, then the higher attempt wins, then the lowest
part file name. So tokens of an old file do not hide that the current file cannot be decoded.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TypeVar

import numpy as np

from emo.ragged import offsets_of
from emo.store.backend.object_path import ObjectPath
from emo.store.backend.parallel import at_once
from emo.store.part.reader import Part
from emo.store.part.zip import DamagedPart

V = TypeVar("V")


@dataclass(frozen=True)
class Entry:
    """One clip in one part."""

    part: int
    """Index of the part; parts are in order of their file names."""
    attempt: int
    """How often the part's clips were done again; 0: the first time."""
    source: str
    """Hash of the clip's source files."""
    slot: int | None
    """Number of the finished clip, counted through all parts; None: a failure."""


class Merged:
    """The clips of all parts of a recipe, each once, read from the parts."""

    def __init__(self, parts: Sequence[Part]) -> None:
        """Merge parts, given in order of their file names."""
        self.parts: Sequence[Part] = parts
        finished = list(chain.from_iterable(part.clip_ids for part in parts))
        self._finished = finished
        self.slots: dict[str, int] = dict(zip(finished, range(len(finished)), strict=True))
        """Clip id -> the slot of its tokens, for every clip whose winning entry has tokens."""
        failed = list(chain.from_iterable(part.failures for part in parts))
        several = len(self.slots) + len(set(failed)) != len(finished) + len(failed)
        self.winners: dict[str, Entry] = {}
        """The winning entry of each clip that is in several parts."""
        if several or not self.slots.keys().isdisjoint(failed):
            self._resolve(chain(finished, failed))

    def __len__(self) -> int:
        """Number of finished clips."""
        return len(self.slots)

    @cached_property
    def counts(self) -> np.ndarray:
        """int64 (P,): finished clips of each part."""
        return np.array([len(part.clip_ids) for part in self.parts], np.int64)

    def lengths(self, stream: str) -> np.ndarray:
        """Return int64 (slots,): the tokens of each slot in a stream."""
        is_remote = any(isinstance(part.path, ObjectPath) for part in self.parts[:1])
        layouts = at_once(is_remote, lambda part: part.layout(stream), self.parts)
        each = [np.diff(layout.offsets) for layout in layouts]
        return np.concatenate([np.zeros(0, np.int64), *each])

    def span(self, stream: str, slot: int) -> tuple[int, int, int]:
        """Return the index of the slot's part, its first row there and the row past its last."""
        index, row = part_of_slot(slot, self._firsts)
        offsets = self.parts[index].layout(stream).offsets
        return index, int(offsets[row]), int(offsets[row + 1])

    def check_offsets(self, stream: str, index: int, offsets: np.ndarray) -> None:
        """Do nothing: all that is known of the parts was read from the parts."""

    @cached_property
    def _firsts(self) -> np.ndarray:
        return offsets_of(self.counts)

    @cached_property
    def ids(self) -> list[str]:
        """Finished clips, each once, in order of part file name, then of position in the part."""
        if len(self.slots) == len(self._finished):
            return self._finished
        return [clip_id for slot, clip_id in enumerate(self._finished) if self._wins(slot, clip_id)]

    @cached_property
    def order(self) -> np.ndarray:
        """int64 (N,): the slots of :attr:`ids`."""
        if len(self.slots) == len(self._finished):
            return np.arange(len(self._finished))
        return np.fromiter((self.slots[clip_id] for clip_id in self.ids), np.int64)

    @cached_property
    def failures(self) -> dict[str, str]:
        """Clip whose winning entry is a failure -> reason."""
        merged = self._over([part.failures for part in self.parts])
        return {clip_id: why for clip_id, why in merged.items() if clip_id not in self.slots}

    @cached_property
    def sources(self) -> dict[str, str]:
        """Clip id, also of failed clips -> hash of its source files, from the winning entry."""
        return self._over([part.sources for part in self.parts])

    @cached_property
    def attempts(self) -> dict[str, int]:
        """Clip id -> number of its latest attempt; 0 is the first."""
        merged: dict[str, int] = {}
        for part in sorted(self.parts, key=lambda part: part.attempt):
            merged.update(dict.fromkeys(chain(part.clip_ids, part.failures), part.attempt))
        return merged

    @cached_property
    def absent(self) -> dict[str, dict[str, str]]:
        """Clip id -> stream that the clip lacks -> reason."""
        return self._over([part.absent for part in self.parts])

    @cached_property
    def notes(self) -> dict[str, dict[str, float]]:
        """Clip id -> name -> number kept beside its tokens."""
        return self._over([part.notes for part in self.parts])

    def _wins(self, slot: int, clip_id: str) -> bool:
        return self.slots.get(clip_id) == slot

    def _over(self, maps: Sequence[dict[str, V]]) -> dict[str, V]:
        """Merge one map of each part; for a clip in several parts, take the winner's part."""
        merged: dict[str, V] = {}
        for one in maps:
            merged.update(one)
        for clip_id, winner in self.winners.items():
            merged.pop(clip_id, None)
            if clip_id in maps[winner.part]:
                merged[clip_id] = maps[winner.part][clip_id]
        return merged

    def _resolve(self, ids: Iterable[str]) -> None:
        """Choose the winning entry of each clip that occurs several times in ``ids``."""
        several = {clip_id for clip_id, count in Counter(ids).items() if count > 1}
        entries: dict[str, list[Entry]] = {clip_id: [] for clip_id in several}
        first = 0
        for index, part in enumerate(self.parts):
            slots = dict(zip(part.clip_ids, range(first, first + len(part.clip_ids)), strict=True))
            first += len(part.clip_ids)
            sources = part.sources
            if len(sources) != len(part.clip_ids) + len(part.failures):
                raise DamagedPart(part.path, "a clip is in it twice")
            for clip_id in several.intersection(sources):
                entry = Entry(index, part.attempt, sources[clip_id], slots.get(clip_id))
                entries[clip_id].append(entry)
        for clip_id, candidates in entries.items():
            self.winners[clip_id] = winner = choose(candidates)
            if winner.slot is None:
                self.slots.pop(clip_id, None)
            else:
                self.slots[clip_id] = winner.slot


def part_of_slot(slot: int, firsts: np.ndarray) -> tuple[int, int]:
    """Return the index of a slot's part, and the clip's number in that part.

    Args:
        slot: number of a finished clip, counted through all parts.
        firsts: int64 (P+1,): the first slot of each part, then the number of slots.
    """
    index = int(np.searchsorted(firsts, slot, side="right")) - 1
    return index, slot - int(firsts[index])


def choose(entries: Sequence[Entry]) -> Entry:
    """Return the winning entry of a clip, by the rule in the docstring of this file."""
    newest: dict[str, int] = {}
    for entry in entries:
        newest[entry.source] = max(entry.attempt, newest.get(entry.source, 0))
    return min(
        entries,
        key=lambda entry: (-newest[entry.source], entry.slot is None, -entry.attempt, entry.part),
    )
