"""The clips of a recipe, read from its index without opening a part; newer parts are added.

The results equal those of :class:`emo.store.index.merged.Merged` over the same parts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate

import numpy as np

from emo.ragged import offsets_of
from emo.store.index.file import DamagedIndexError, part_names
from emo.store.index.lookup import texts, winning_entries
from emo.store.index.merged import Entry, Merged, choose, part_of_ordinal
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
from emo.store.part.writer import MAX_PART_BYTES

_FEW_PARTS = 64
"""Parts whose ids are compared piece by piece before whole columns of the index are read."""
_LOOKUPS_SHARE = 64
"""A dict of all N ids is built after N / 64 lookups, because it takes about as long as these."""


class Ordinals(Mapping[str, int]):
    """Clip id -> ordinal of its tokens; after many lookups a dict of all clips is built."""

    def __init__(self, indexed: "Indexed") -> None:
        """Take the clips that an index lists."""
        self._indexed, self._lookups = indexed, 0
        self._dict: dict[str, int] | None = None

    def __getitem__(self, clip_id: str) -> int:
        if self._dict is None:
            self._lookups += 1
            if self._lookups * _LOOKUPS_SHARE < len(self._indexed):
                return self._indexed.ordinal(clip_id)
            order = self._indexed.order.tolist()
            self._dict = dict(zip(self._indexed.ids, order, strict=True))
        return self._dict[clip_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._indexed.ids)

    def __len__(self) -> int:
        return len(self._indexed)


class Indexed:
    """The clips of all parts of a recipe, each once, read from the index."""

    def __init__(
        self,
        columns: Columns,
        names: Sequence[str],
        streams: Iterable[str],
        open_part: Callable[[str], Part],
    ) -> None:
        """Read the index, and the parts that it does not list.

        Args:
            columns: the columns of the index.
            names: the file names of all parts, sorted.
            streams: the streams of the recipe.
            open_part: opens the part of a file name.

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
        """int64 (P,): finished clips of each part."""
        self._openings = 0
        self._texts: dict[str, np.ndarray] = {}
        self._lengths: dict[str, np.ndarray] = {}
        self.parts = LazyParts([*listed, *newer], self._checked(open_part))
        self.ordinals = Ordinals(self)
        self._wins = columns.whole("wins").view(bool)
        self._finished_count = int(self.counts.sum())
        self._count = int(np.count_nonzero(self._wins[: self._finished_count]))

    def __len__(self) -> int:
        """Number of finished clips."""
        return self._count

    def ordinal(self, clip_id: str) -> int:
        """Return the ordinal of a clip: its number among the finished clips of all parts.

        Raises:
            KeyError: the clip has no tokens.
        """
        for entry in entries_of(self._columns, self._finished_count, clip_id):
            if entry < self._finished_count and self._wins[entry]:
                return entry
        raise KeyError(clip_id)

    def ordinals_of(self, ids: Sequence[str]) -> np.ndarray:
        """Return the ordinals of many clips, int64 (n,), without a dict of all; -1: no tokens."""
        entries = winning_entries(self._columns, self._finished_count, self._wins, ids)
        return np.where(entries < self._finished_count, entries, -1)

    def sources_of(self, ids: Sequence[str]) -> list[str]:
        """Return the hash of the source files of each clip, also of failed ones; "": not known."""
        entries = winning_entries(self._columns, self._finished_count, self._wins, ids)
        done, failed = (texts(self._columns, name) for name in ("source", "failed_source"))
        count = self._finished_count
        return [
            "" if entry < 0 else (done(entry) if entry < count else failed(entry - count)).decode()
            for entry in entries.tolist()
        ]

    def lengths(self, stream: str) -> np.ndarray:
        """Return int64, by ordinal: the number of tokens of each finished clip in a stream.

        Raises:
            DamagedIndexError: the index does not hold a length for each clip.
        """
        lengths = self._columns.whole(LENGTHS + stream)
        if len(lengths) != self._finished_count:
            raise DamagedIndexError(
                f"{len(lengths)} lengths of {stream} for {self._finished_count} clips"
            )
        self._check_room(stream, lengths)
        self._lengths[stream] = lengths
        return lengths.astype(np.int64)

    def span(self, stream: str, ordinal: int) -> tuple[int, int, int]:
        """Return where a finished clip's tokens lie: index of the part, first row, stop row."""
        index, row = part_of_ordinal(ordinal, self._firsts)
        first = int(self._firsts[index])
        lengths = self._columns.rows(LENGTHS + stream, first, first + row + 1)
        stop = int(lengths.sum(dtype=np.int64))
        return index, stop - int(lengths[-1]), stop

    def part_of(self, ordinal: int) -> Part:
        """Return the part that holds the tokens of a finished clip."""
        return self.parts[part_of_ordinal(ordinal, self._firsts)[0]]

    @cached_property
    def _firsts(self) -> np.ndarray:
        return offsets_of(self.counts)

    @cached_property
    def ids(self) -> list[str]:
        """Finished clips, each once, in order of part file name, then of position in the part."""
        finished = strings_of(self._columns, "id")
        return [finished[ordinal] for ordinal in self.order.tolist()]

    @cached_property
    def order(self) -> np.ndarray:
        """int64 (N,): ordinal of each clip of :attr:`ids`."""
        stops = np.cumsum(self.counts)
        ranges = [
            np.arange(stops[k] - self.counts[k], stops[k])
            for k in sorted(range(len(self.parts)), key=self.parts.names.__getitem__)
        ]
        ordinals: np.ndarray = np.concatenate([np.zeros(0, np.int64), *ranges])
        winning: np.ndarray = ordinals[self._wins[ordinals]]
        return winning

    @cached_property
    def failures(self) -> dict[str, str]:
        """Clip whose winning entry is a failure -> reason."""
        return self._failed("reason")

    @cached_property
    def sources(self) -> dict[str, str]:
        """Clip id, also of failed clips -> hash of its source files, from the winning entry."""
        finished = strings_of(self._columns, "source")
        sources = [finished[ordinal] for ordinal in self.order.tolist()]
        return dict(zip(self.ids, sources, strict=True)) | self._failed("failed_source")

    @cached_property
    def attempts(self) -> dict[str, int]:
        """Clip id -> number of the latest attempt at the clip; 0 is the first."""
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

    def check_offsets(self, stream: str, index: int, offsets: np.ndarray) -> None:
        """Compare the lengths of a part's clips with those in the index.

        Args:
            stream: name of the stream.
            index: index of the part.
            offsets: int64 (N+1,), from the part.

        Raises:
            DamagedIndexError: the index says other lengths, so tokens would go to other clips.
        """
        first = int(self._firsts[index])
        lengths = self._lengths.get(stream)
        if lengths is None:
            lengths = self._columns.rows(LENGTHS + stream, first, first + len(offsets) - 1)
        else:
            lengths = lengths[first : first + len(offsets) - 1]
        if lengths.tobytes() != (offsets[1:] - offsets[:-1]).astype(lengths.dtype).tobytes():
            raise DamagedIndexError(f"{self.parts.names[index]}: the index says other lengths")

    def _check_room(self, stream: str, lengths: np.ndarray) -> None:
        """Raise DamagedIndexError if a part would hold more bytes than its file may have."""
        rows = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
        tokens = rows[self._firsts[1:]] - rows[self._firsts[:-1]]
        if (tokens > MAX_PART_BYTES).any():
            raise DamagedIndexError(f"the index says more tokens of {stream} than a part can hold")

    def _check_ids(self, name: str, first: int, ids: Sequence[str]) -> None:
        """Raise DamagedIndexError unless the rows of a text column from ``first`` are ``ids``."""
        self._openings += 1
        if self._openings == _FEW_PARTS:  # from here on, whole columns are at hand
            self._texts = {
                f"{kind}_{what}": self._columns.whole(f"{kind}_{what}")
                for kind in ("id", "failed")
                for what in ("ends", "text")
            }
        all_ends, all_text = self._texts.get(f"{name}_ends"), self._texts.get(f"{name}_text")
        before, stop = max(0, first - 1), first + len(ids)
        if all_ends is None or all_text is None:
            ends = self._columns.rows(f"{name}_ends", before, stop)
        else:
            ends = all_ends[before:stop]
        start = int(ends[0]) if first else 0
        if all_text is None:
            text = self._columns.rows(f"{name}_text", start, int(ends[-1])) if len(ends) else ends
        else:
            text = all_text[start : int(ends[-1])] if len(ends) else ends
        joined = "".join(ids)
        data = joined.encode("utf-8", "surrogatepass")
        units = ids if joined.isascii() else [e.encode("utf-8", "surrogatepass") for e in ids]
        sizes = map(len, units)
        wanted = np.fromiter(accumulate(sizes, initial=start), np.int64, len(ids) + 1)
        if text.tobytes() != data or ends[first > 0 :].tobytes() != wanted[1:].tobytes():
            raise DamagedIndexError(f"the index says other clips than the part: {ids[:1]!r:.80} …")

    @property
    def absent(self) -> dict[str, dict[str, str]]:
        """Clip id -> stream that the clip lacks -> reason; reading this opens all parts."""
        return self._opened.absent

    @property
    def notes(self) -> dict[str, dict[str, float]]:
        """Clip id -> name -> number kept beside its tokens; reading this opens all parts."""
        return self._opened.notes

    @cached_property
    def _opened(self) -> Merged:
        """The clips read from all parts, for what the index does not hold."""
        order = sorted(range(len(self.parts)), key=self.parts.names.__getitem__)
        return Merged([self.parts[k] for k in order])

    def _failed(self, name: str) -> dict[str, str]:
        """Return failed clip -> its text in the column ``name``."""
        ids, texts = strings_of(self._columns, "failed"), strings_of(self._columns, name)
        wins = self._wins[self._finished_count :].tolist()
        rows = zip(ids, texts, wins, strict=True)
        return {clip_id: text for clip_id, text, win in rows if win}

    def _checked(self, open_part: Callable[[str], Part]) -> Callable[[str], Part]:
        """Return a function that opens a part and compares it with what the index lists."""

        def opened(name: str) -> Part:
            part = open_part(name)
            number = numbers[name]
            if number not in same:
                found = len(part.clip_ids), len(part.failures), part.attempt
                if found != tuple(
                    int(self._facts[k][number]) for k in ("finished", "failed", "attempt")
                ):
                    raise DamagedIndexError(f"{part.path} is not the part that the index lists")
                self._check_ids("id", int(self._firsts[number]), part.clip_ids)
                if part.failures:
                    first = int(self._facts["failed"][:number].sum())
                    self._check_ids("failed", first, list(part.failures))
                same.add(number)
            return part

        same: set[int] = set()
        numbers = {name: number for number, name in enumerate(part_names(self._columns))}
        return opened


def entries_of(columns: Columns, finished: int, clip_id: str) -> list[int]:
    """Return the numbers of a clip's entries in an index, with and without tokens.

    Args:
        columns: the columns of the index.
        finished: the number of entries with tokens; entries from there on are failures.
        clip_id: the clip.
    """
    hashes, number = columns.whole("hashes"), np.uint32(hash_of(clip_id))
    first = int(np.searchsorted(hashes, number, side="left"))
    last = int(np.searchsorted(hashes, number, side="right"))
    return [
        entry
        for entry in columns.rows("entries", first, last).tolist()
        if _id_of(columns, finished, entry) == clip_id
    ]


def _id_of(columns: Columns, finished: int, entry: int) -> str:
    """Return the clip id of an entry; the first ``finished`` entries are those with tokens."""
    if entry < finished:
        return string_at(columns, "id", entry)
    return string_at(columns, "failed", entry - finished)


def _resolved(columns: HeldColumns, fresh: Columns, names: Sequence[str]) -> HeldColumns:
    """Choose again among the entries of the clips that are in ``fresh`` parts.

    Args:
        columns: the table of all parts.
        fresh: the table of the parts that the index does not list.
        names: the file names of all parts, the listed ones first.
    """
    facts = columns.whole("parts")
    finished, failed = facts[:, PART_FACTS.index("finished")], facts[:, PART_FACTS.index("failed")]
    count = int(finished.sum())
    part_of_entry = np.concatenate(
        [np.repeat(np.arange(len(facts)), counts) for counts in (finished, failed)]
    )
    ranks = {name: rank for rank, name in enumerate(sorted(names))}
    wins = columns.whole("wins").copy()
    for clip_id in {*strings_of(fresh, "id"), *strings_of(fresh, "failed")}:
        found = {}
        for entry in entries_of(columns, count, clip_id):
            part = int(part_of_entry[entry])
            kind, at = ("source", entry) if entry < count else ("failed_source", entry - count)
            found[entry] = Entry(
                part=ranks[names[part]],
                attempt=int(facts[part, PART_FACTS.index("attempt")]),
                source=string_at(columns, kind, at),
                ordinal=entry if entry < count else None,
            )
        winner = choose(list(found.values()))
        for entry, one in found.items():
            wins[entry] = one is winner
    return HeldColumns({**columns.arrays, "wins": wins})
