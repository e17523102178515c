"""Copy the tokens of chosen clips from many parts into one array, adjacent clips together."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Protocol

import numpy as np

from emo.ragged import Ragged, offsets_of
from emo.store.backend.parallel import at_once
from emo.store.part.reader import Part
from emo.store.part.stream_layout import Layout
from emo.store.part.zarr_layout import stored_dtype
from emo.store.part.zip import DamagedPart
from emo.store.recipe import StreamSpec

OPEN_PARTS = 128
"""Most parts of a recipe that are mapped together; each needs a file descriptor of often 1024."""
THREADED_BYTES = 2**26
"""Reads of at least so many bytes use two threads: one copies while the other verifies."""
FEW_READS = 64
"""Single clips that are looked up one by one before a table of all clips is built."""
_PIECE_BYTES = 2**23
"""About how many bytes a thread copies at a time."""

_Run = tuple[int, int, int, int]
"""Adjacent rows to copy: index of a part, first row and row past the last in it, first row in the
result."""


class Clips(Protocol):
    """The clips of all parts of a recipe: read from the parts, or from their index."""

    @property
    def parts(self) -> Sequence[Part]:
        """The P parts, in the order of their clips' ordinals."""

    @property
    def counts(self) -> np.ndarray:
        """int64 (P,): finished clips of each part."""

    def lengths(self, stream: str) -> np.ndarray:
        """Return int64, by ordinal: the number of tokens of each finished clip in a stream."""

    def span(self, stream: str, ordinal: int) -> tuple[int, int, int]:
        """Return where a finished clip's tokens lie: index of the part, first row, stop row."""

    def check_offsets(self, stream: str, index: int, offsets: np.ndarray) -> None:
        """Raise an error if other offsets of a part's clips are known than those in the part."""


class OpenParts:
    """The parts of a recipe that are mapped now; if there are too many, the oldest is released."""

    def __init__(self) -> None:
        """Start with no mapped part."""
        self._parts: deque[Part] = deque()
        self._lock = Lock()

    def values(self, part: Part, stream: str) -> np.ndarray:
        """Return the mapped tokens (ΣT, D) of a part."""
        with self._lock:
            if not part.opened:
                self._parts.append(part)
                while len(self._parts) > OPEN_PARTS:
                    self._parts.popleft().release()
            return part.values(stream)

    def release(self) -> None:
        """Release all parts: their pages no longer count as memory of this process."""
        with self._lock:
            while self._parts:
                self._parts.popleft().release()


@dataclass(frozen=True, eq=False)
class _Table:
    """Where the tokens of each finished clip of all parts lie in one stream."""

    starts: np.ndarray
    """int64, by ordinal: first row in the part."""
    stops: np.ndarray
    """int64, by ordinal: row past the last in the part."""
    part_of: np.ndarray
    """int64, by ordinal: index of the part."""

    @classmethod
    def of(cls, clips: Clips, stream: str) -> "_Table":
        """Build the table from the lengths of all clips."""
        ends = offsets_of(clips.lengths(stream))
        first = offsets_of(clips.counts)[:-1]  # the first ordinal of each part
        base = np.repeat(ends[first], clips.counts)
        starts, stops = ends[:-1] - base, ends[1:] - base
        part_of = np.repeat(np.arange(len(first)), clips.counts)
        return cls(starts, stops, part_of)


class StreamRows:
    """Reader of one stream in all parts of a recipe, by ordinal.

    An ordinal is the number of a finished clip, from 0, counted through all parts; see
    :mod:`emo.store.index.merged`.
    """

    def __init__(
        self,
        clips: Clips,
        stream: str,
        spec: StreamSpec,
        opened: OpenParts,
        *,
        is_remote: bool = False,
    ) -> None:
        """Take the clips and the stream; parts are opened when their tokens are read.

        Args:
            clips: all clips of the recipe.
            stream: name of the stream.
            spec: its width and dtype.
            opened: the mapped parts, shared by the streams of the recipe.
            is_remote: the parts are in a bucket: fetch chunks of many parts at the same time.
        """
        self._parts, self._stream, self._opened = clips.parts, stream, opened
        self._dim, self._dtype = spec.dim, stored_dtype(spec.dtype)
        self._layouts: dict[int, Layout] = {}
        self._clips, self._left, self._is_remote = clips, FEW_READS, is_remote
        self._short: tuple[memoryview, memoryview, memoryview] | None = None

    def forget(self) -> None:
        """Forget where tokens lie within single parts; it is read again when it is needed."""
        self._layouts = {}

    def lengths(self, ordinals: np.ndarray) -> np.ndarray:
        """Return int64 (N,): the number of tokens of clips, given their ordinals int64 (N,)."""
        lengths: np.ndarray = self._table.stops[ordinals] - self._table.starts[ordinals]
        return lengths

    def one(self, ordinal: int) -> Ragged:
        """Return the tokens of one clip, fast, for random access: values (T, D), offsets (2,)."""
        if self._short is None:
            index, start, stop = self._span(ordinal)
        else:
            parts, starts, stops = self._short
            index, start, stop = parts[ordinal], starts[ordinal], stops[ordinal]
        values = self._values(index)
        if not (self._layouts.get(index) or self._layout(index)).is_trusted:
            self._parts[index].check(self._stream, start, stop)
        ragged = object.__new__(Ragged)  # skips its checks: a fifth of the time of a short read
        offsets = np.array((0, stop - start), np.int64)
        ragged.__dict__.update(values=values[start:stop].copy(), offsets=offsets)
        return ragged

    def many(self, ordinals: np.ndarray, *, threads: int | None = None) -> Ragged:
        """Copy the tokens of many clips into one array.

        Args:
            ordinals: int64 (N,), numbers of the clips; -1 stands for a clip of length 0.
            threads: threads that copy and verify; None: 2 for a large read, else 1.

        Returns:
            values (ΣT, D) in the stored dtype and offsets int64 (N+1,).
        """
        lengths = np.zeros(len(ordinals), np.int64)
        lengths[ordinals >= 0] = self.lengths(ordinals[ordinals >= 0])
        offsets = offsets_of(lengths)
        values = np.empty((int(offsets[-1]), self._dim), self._dtype)
        runs = self._runs(ordinals[lengths > 0], offsets[:-1][lengths > 0])
        if self._is_remote:
            runs = self._fetched(list(runs))
        if threads is None:
            threads = 2 if values.nbytes >= THREADED_BYTES else 1
        if threads == 1:
            for run in runs:
                self._copy(run, values)
        else:
            with ThreadPoolExecutor(threads) as pool:
                pieces = (piece for run in runs for piece in self._pieces(run))
                for _ in pool.map(lambda piece: self._copy(piece, values), pieces):
                    pass
        return Ragged(values, offsets)

    def _runs(self, ordinals: np.ndarray, rows: np.ndarray) -> Iterator[_Run]:
        """Find rows that are adjacent both in a part and in the result, to copy them together."""
        table = self._table
        parts, starts, stops = (
            table.part_of[ordinals],
            table.starts[ordinals],
            table.stops[ordinals],
        )
        is_break = np.ones(len(ordinals) + 1, dtype=bool)
        is_break[1:-1] = (parts[1:] != parts[:-1]) | (starts[1:] != stops[:-1])
        first = np.flatnonzero(is_break[:-1]) if len(ordinals) else np.zeros(0, np.int64)
        last = np.flatnonzero(is_break[1:]) if len(ordinals) else first
        columns = parts[first], starts[first], stops[last], rows[first]
        return zip(*(column.tolist() for column in columns), strict=True)

    def _fetched(self, runs: list[_Run]) -> Iterator[_Run]:
        """Fetch the tokens of all ranges of rows from the bucket, then return the ranges."""
        spans: dict[int, list[tuple[int, int]]] = {}
        for index, start, stop, _ in runs:
            spans.setdefault(index, []).append((start, stop))

        def fetch(index: int) -> None:
            self._layout(index)  # waits for the network, so before values() takes its lock
            self._values(index)
            self._parts[index].check_all(self._stream, spans[index])

        at_once(True, fetch, list(spans))
        return iter(runs)

    def _pieces(self, run: _Run) -> Iterator[_Run]:
        """Cut a range of adjacent rows into pieces of a few megabytes, for the threads to share."""
        part, start, stop, row = run
        step = max(1, _PIECE_BYTES // (self._dim * self._dtype.itemsize))
        for first in range(start, stop, step):
            yield part, first, min(first + step, stop), row + first - start

    def _copy(self, run: _Run, out: np.ndarray) -> None:
        """Verify the checksums of a range of adjacent rows and copy it into ``out`` (ΣT, D)."""
        index, start, stop, row = run
        part, layout, values = self._parts[index], self._layout(index), self._values(index)
        # unverified chunks one by one: a chunk is copied while it is in the processor's cache
        step = stop - start if layout.is_trusted else layout.rows
        first = start
        while first < stop:
            last = min(stop, (first // step + 1) * step) if step < stop - start else stop
            part.check(self._stream, first, last)
            out[row + first - start : row + last - start] = values[first:last]
            first = last

    def _span(self, ordinal: int) -> tuple[int, int, int]:
        """Return where one clip's tokens lie; after ``FEW_READS`` calls, build the table of all."""
        self._left -= 1
        if not self._left:
            table = self._table
            # a Python int from a memoryview takes a third of the time of one from an array
            self._short = table.part_of.data, table.starts.data, table.stops.data
        return self._clips.span(self._stream, ordinal)

    @cached_property
    def _table(self) -> "_Table":
        return _Table.of(self._clips, self._stream)

    def _layout(self, index: int) -> Layout:
        layout = self._layouts.get(index)
        if layout is None:
            part = self._parts[index]
            layout = part.layout(self._stream)
            if (layout.dim, layout.dtype) != (
                self._dim,
                self._dtype,
            ):  # numpy would broadcast D = 1
                what = f"stream {self._stream!r}: {layout.dtype.name} of width {layout.dim}, "
                raise DamagedPart(part.path, f"{what}not {self._dtype.name} of width {self._dim}")
            self._clips.check_offsets(self._stream, index, layout.offsets)
            self._layouts[index] = layout
        return layout

    def _values(self, index: int) -> np.ndarray:
        part = self._parts[index]
        values = part.opened.get(self._stream)
        return self._opened.values(part, self._stream) if values is None else values
