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

_V = TypeVar("_V")


@dataclass(frozen=True)
class Entry:
    """Entry of one clip in one part, finished or failed."""

    part: int
    """Index of the part; parts are in order of their file names."""
    attempt: int
    """Number of this attempt at the part's clips: 0 for the first time, K for the K-th time again.
    """
    source: str
    """Hash of the clip's row and source files."""
    ordinal: int | None
    """Number of the finished clip, from 0, counted through all parts; None: a failure."""


class Merged:
    """The clips of all parts of a recipe, each once, read from the parts."""

    def __init__(self, parts: Sequence[Part]) -> None:
        """Merge parts, given in order of their file names."""
        self.parts: Sequence[Part] = parts
        finished = list(chain.from_iterable(part.clip_ids for part in parts))
        self._finished = finished
        self.ordinals: dict[str, int] = dict(zip(finished, range(len(finished)), strict=True))
        """Clip id -> ordinal of its winning entry, for clips whose winning entry has tokens."""
        failed = list(chain.from_iterable(part.failures for part in parts))
        several = len(self.ordinals) + len(set(failed)) != len(finished) + len(failed)
        self.winners: dict[str, Entry] = {}
        """The winning entry of each clip that is in several parts."""
        if several or not self.ordinals.keys().isdisjoint(failed):
            self._resolve(chain(finished, failed))

    def __len__(self) -> int:
        """Number of finished clips."""
        return len(self.ordinals)

    def ordinals_of(self, ids: Sequence[str]) -> np.ndarray:
        """Return the ordinals of many clips, int64 (n,); -1: the clip has no tokens."""
        return np.array([self.ordinals.get(clip_id, -1) for clip_id in ids], np.int64)

    def sources_of(self, ids: Sequence[str]) -> list[str]:
        """Return the hash of the source files of each clip, also of failed ones; "": not known."""
        return [self.sources.get(clip_id, "") for clip_id in ids]

    def part_of(self, ordinal: int) -> Part:
        """Return the part that holds the tokens of a finished clip."""
        return self.parts[part_of_ordinal(ordinal, self._firsts)[0]]

    @cached_property
    def counts(self) -> np.ndarray:
        """int64 (P,): finished clips of each part."""
        return np.array([len(part.clip_ids) for part in self.parts], np.int64)

    def lengths(self, stream: str) -> np.ndarray:
        """Return int64, by ordinal: the number of tokens of each finished clip in a stream."""
        is_remote = any(isinstance(part.path, ObjectPath) for part in self.parts[:1])
        layouts = at_once(is_remote, lambda part: part.layout(stream), self.parts)
        each = [np.diff(layout.offsets) for layout in layouts]
        return np.concatenate([np.zeros(0, np.int64), *each])

    def span(self, stream: str, ordinal: int) -> tuple[int, int, int]:
        """Return where a finished clip's tokens lie: index of the part, first row, stop row."""
        index, row = part_of_ordinal(ordinal, self._firsts)
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
        if len(self.ordinals) == len(self._finished):
            return self._finished
        return [
            clip_id
            for ordinal, clip_id in enumerate(self._finished)
            if self._wins(ordinal, clip_id)
        ]

    @cached_property
    def order(self) -> np.ndarray:
        """int64 (N,): ordinal of each clip of :attr:`ids`."""
        if len(self.ordinals) == len(self._finished):
            return np.arange(len(self._finished))
        return np.fromiter((self.ordinals[clip_id] for clip_id in self.ids), np.int64)

    @cached_property
    def failures(self) -> dict[str, str]:
        """Clip whose winning entry is a failure -> reason."""
        merged = self._over([part.failures for part in self.parts])
        return {clip_id: why for clip_id, why in merged.items() if clip_id not in self.ordinals}

    @cached_property
    def sources(self) -> dict[str, str]:
        """Clip id, also of failed clips -> hash of the clip's row and source files, from the
        winning entry."""
        return self._over([part.sources for part in self.parts])

    @cached_property
    def attempts(self) -> dict[str, int]:
        """Clip id -> number of the latest attempt at the clip; 0 is the first."""
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
        """Clip id -> name of a note -> number that is kept beside the clip's tokens."""
        return self._over([part.notes for part in self.parts])

    def _wins(self, ordinal: int, clip_id: str) -> bool:
        return self.ordinals.get(clip_id) == ordinal

    def _over(self, maps: Sequence[dict[str, _V]]) -> dict[str, _V]:
        """Merge one map of each part; for a clip in several parts, take the winner's part."""
        merged: dict[str, _V] = {}
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
            ordinals = dict(
                zip(part.clip_ids, range(first, first + len(part.clip_ids)), strict=True)
            )
            first += len(part.clip_ids)
            sources = part.sources
            if len(sources) != len(part.clip_ids) + len(part.failures):
                raise DamagedPart(part.path, "a clip is in it twice")
            for clip_id in several.intersection(sources):
                entry = Entry(index, part.attempt, sources[clip_id], ordinals.get(clip_id))
                entries[clip_id].append(entry)
        for clip_id, candidates in entries.items():
            self.winners[clip_id] = winner = choose(candidates)
            if winner.ordinal is None:
                self.ordinals.pop(clip_id, None)
            else:
                self.ordinals[clip_id] = winner.ordinal


def part_of_ordinal(ordinal: int, firsts: np.ndarray) -> tuple[int, int]:
    """Return in which part a finished clip is: index of the part, number of the clip in it.

    Args:
        ordinal: number of the finished clip, from 0, counted through all parts.
        firsts: int64 (P+1,): the first ordinal of each part, then the number of all ordinals.
    """
    index = int(np.searchsorted(firsts, ordinal, side="right")) - 1
    return index, ordinal - int(firsts[index])


def choose(entries: Sequence[Entry]) -> Entry:
    """Return the winning entry of a clip.

    The source with the highest attempt counts; among its entries tokens win over a failure, then
    the higher attempt, then the part whose file name comes first.
    """
    newest: dict[str, int] = {}
    for entry in entries:
        newest[entry.source] = max(entry.attempt, newest.get(entry.source, 0))
    return min(
        entries,
        key=lambda entry: (
            -newest[entry.source],
            entry.ordinal is None,
            -entry.attempt,
            entry.part,
        ),
    )
