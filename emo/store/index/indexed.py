"""The clips of a recipe as its index tells them, without opening a part; newer parts on top.

Answers exactly as :class:`emo.store.index.merged.Merged` does over the same parts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from emo.ragged import offsets_of
from emo.store.index.file import DamagedIndexError, part_names
from emo.store.index.merged import Entry, Merged, choose, part_of_slot
from emo.store.index.table import (
    LENGTHS,
    PART_FACTS,
    Columns,
    HeldColumns,
    hash_of,
    index_columns,
    joined,
    string_at,
    strings_of,
)
from emo.store.lazy import LazyParts
from emo.store.part.reader import Part

_LOOKUPS_SHARE = 64
"""A dict of all ids costs as much as looking up one clip in so many."""


class Slots(Mapping[str, int]):
    """Clip id -> the slot of its tokens; a dict is made once so many are asked that it pays."""

    def __init__(self, indexed: "Indexed") -> None:
        """The slots of ``indexed``."""
        self._indexed, self._asked = indexed, 0
        self._dict: dict[str, int] | None = None

    def __getitem__(self, clip_id: str) -> int:
        if self._dict is None:
            self._asked += 1
            if self._asked * _LOOKUPS_SHARE < len(self._indexed):
                return self._indexed.slot(clip_id)
            order = self._indexed.order.tolist()
            self._dict = dict(zip(self._indexed.ids, order, strict=True))
        return self._dict[clip_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._indexed.ids)

    def __len__(self) -> int:
        return len(self._indexed)


class Indexed:
    """The clips of all parts of a recipe, each once."""

    def __init__(
        self,
        columns: Columns,
        names: Sequence[str],
        streams: Iterable[str],
        open_part: Callable[[str], Part],
    ) -> None:
        """Read ``columns``, and parts that they lack on top.

        Args:
            columns: of the index.
            names: the file names of all parts, sorted.
            streams: of the recipe.
            open_part: the part of a name.

        Raises:
            DamagedIndexError: the index cannot be used.
        """
        listed = part_names(columns)
        newer = sorted(set(names) - set(listed))
        if newer:
            fresh = index_columns(Merged([open_part(name) for name in newer]), streams)
            columns = _resolved(joined(columns, fresh, streams), fresh, [*listed, *newer])
        self._columns = columns
        facts = zip(PART_FACTS, columns.whole("parts").T, strict=True)
        self._facts: dict[str, np.ndarray] = dict(facts)
        self.counts: np.ndarray = self._facts["finished"]
        """(P,) finished clips of each part."""
        self.parts = LazyParts([*listed, *newer], self._checked(open_part))
        self.slots = Slots(self)
        self._wins = columns.whole("wins").view(bool)
        self._slot_count = int(self.counts.sum())
        self._count = int(np.count_nonzero(self._wins[: self._slot_count]))

    def __len__(self) -> int:
        """Finished clips."""
        return self._count

    def slot(self, clip_id: str) -> int:
        """The slot of a clip's tokens.

        Raises:
            KeyError: it has none.
        """
        for entry in entries_of(self._columns, self._slot_count, clip_id):
            if entry < self._slot_count and self._wins[entry]:
                return entry
        raise KeyError(clip_id)

    def lengths(self, stream: str) -> np.ndarray:
        """(slots,) int64, the tokens of each."""
        return self._columns.whole(LENGTHS + stream).astype(np.int64)

    def span(self, stream: str, slot: int) -> tuple[int, int, int]:
        """Index of the part of a slot, its first row and the row past its last."""
        index, row = part_of_slot(slot, self._firsts)
        first = int(self._firsts[index])
        lengths = self._columns.rows(LENGTHS + stream, first, first + row + 1)
        stop = int(lengths.sum(dtype=np.int64))
        return index, stop - int(lengths[-1]), stop

    @cached_property
    def _firsts(self) -> np.ndarray:
        return offsets_of(self.counts)

    @cached_property
    def ids(self) -> list[str]:
        """Finished clips, each once, in order of part file name, then position."""
        finished = strings_of(self._columns, "id")
        return [finished[slot] for slot in self.order.tolist()]

    @cached_property
    def order(self) -> np.ndarray:
        """(N,) int64, the slots of :attr:`ids`."""
        stops = np.cumsum(self.counts)
        ranges = [
            np.arange(stops[k] - self.counts[k], stops[k])
            for k in sorted(range(len(self.parts)), key=self.parts.names.__getitem__)
        ]
        slots: np.ndarray = np.concatenate([np.zeros(0, np.int64), *ranges])
        winning: np.ndarray = slots[self._wins[slots]]
        return winning

    @cached_property
    def failures(self) -> dict[str, str]:
        """Clips whose winning entry is a failure, with its reason."""
        return self._failed("reason")

    @cached_property
    def sources(self) -> dict[str, str]:
        """The winning entry's source hash of every clip, failed ones included."""
        finished = strings_of(self._columns, "source")
        sources = [finished[slot] for slot in self.order.tolist()]
        return dict(zip(self.ids, sources, strict=True)) | self._failed("failed_source")

    @cached_property
    def attempts(self) -> dict[str, int]:
        """The highest attempt at every clip; the next one is higher."""
        ids = [*strings_of(self._columns, "id"), *strings_of(self._columns, "failed")]
        attempts = np.concatenate(
            [
                np.repeat(self._facts["attempt"], self._facts[kind])
                for kind in ("finished", "failed")
            ]
        )
        order = np.argsort(attempts, kind="stable").tolist()
        values = attempts.tolist()
        return {ids[entry]: values[entry] for entry in order}

    @property
    def absent(self) -> dict[str, dict[str, str]]:
        """Clip id -> stream -> why it has none; opens all parts."""
        return self._opened.absent

    @property
    def notes(self) -> dict[str, dict[str, float]]:
        """Clip id -> numbers kept beside its tokens; opens all parts."""
        return self._opened.notes

    @cached_property
    def _opened(self) -> Merged:
        order = sorted(range(len(self.parts)), key=self.parts.names.__getitem__)
        return Merged([self.parts[k] for k in order])

    def _failed(self, name: str) -> dict[str, str]:
        """Clips that failed -> what the text column ``name`` says of them."""
        ids, texts = strings_of(self._columns, "failed"), strings_of(self._columns, name)
        wins = self._wins[self._slot_count :].tolist()
        rows = zip(ids, texts, wins, strict=True)
        return {clip_id: text for clip_id, text, win in rows if win}

    def _checked(self, open_part: Callable[[str], Part]) -> Callable[[str], Part]:
        """Open a part and make sure that it is as the index lists it."""

        def opened(name: str) -> Part:
            part = open_part(name)
            number = numbers[name]
            found = len(part.clip_ids), len(part.failures), part.attempt
            if found != tuple(
                int(self._facts[k][number]) for k in ("finished", "failed", "attempt")
            ):
                raise DamagedIndexError(f"{part.path} is not the part that the index lists")
            return part

        numbers = {name: number for number, name in enumerate(part_names(self._columns))}
        return opened


def entries_of(columns: Columns, slots: int, clip_id: str) -> list[int]:
    """The entries of a clip."""
    hashes, number = columns.whole("hashes"), np.uint32(hash_of(clip_id))
    first = int(np.searchsorted(hashes, number, side="left"))
    last = int(np.searchsorted(hashes, number, side="right"))
    return [
        entry
        for entry in columns.rows("entries", first, last).tolist()
        if _id_of(columns, slots, entry) == clip_id
    ]


def _id_of(columns: Columns, slots: int, entry: int) -> str:
    if entry < slots:
        return string_at(columns, "id", entry)
    return string_at(columns, "failed", entry - slots)


def _resolved(columns: HeldColumns, fresh: Columns, names: Sequence[str]) -> HeldColumns:
    """Decide who wins among the entries of clips that stand in ``fresh`` parts, too."""
    facts = columns.whole("parts")
    finished, failed = facts[:, PART_FACTS.index("finished")], facts[:, PART_FACTS.index("failed")]
    slots = int(finished.sum())
    part_of_entry = np.concatenate(
        [np.repeat(np.arange(len(facts)), counts) for counts in (finished, failed)]
    )
    ranks = {name: rank for rank, name in enumerate(sorted(names))}
    wins = columns.whole("wins").copy()
    for clip_id in {*strings_of(fresh, "id"), *strings_of(fresh, "failed")}:
        found = {}
        for entry in entries_of(columns, slots, clip_id):
            part = int(part_of_entry[entry])
            kind, at = ("source", entry) if entry < slots else ("failed_source", entry - slots)
            found[entry] = Entry(
                part=ranks[names[part]],
                attempt=int(facts[part, PART_FACTS.index("attempt")]),
                source=string_at(columns, kind, at),
                slot=entry if entry < slots else None,
            )
        winner = choose(list(found.values()))
        for entry, one in found.items():
            wins[entry] = one is winner
    return HeldColumns({**columns.arrays, "wins": wins})
