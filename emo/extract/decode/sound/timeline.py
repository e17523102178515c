"""Align decoded sound to the time axis of its file: where it starts late, has holes or overlaps.

Containers give each decoded block a time. Most blocks follow directly on the one before, however
coarsely their times are rounded; where the times jump and stay so, sound is missing (lost packets,
pauses of the recorder, packets left out in silence) or occurs twice, and the block is placed at
its own time.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from emo.errors import MediaError

JUMP_SECONDS = 0.005
"""Smaller jumps of the times are rounding: containers count in milliseconds or coarser."""
_ROUNDING_SECONDS = 1e-4
"""Muxers add up rounded lengths of blocks, so that times are off by more than a tick."""
_DRIFT_SECONDS = 0.04
"""The clock of a recorder and the number of samples may drift apart so far, before it is mended."""
_LARGE_SECONDS = 0.1
"""A jump forward by so much is a hole although the next block jumps again, as in silence that
Opus leaves out (DTX)."""
_RESTART_SECONDS = 1.0
"""A jump back by so much is a clock that starts again, as in recordings that were joined; a smaller
one is, too, if it ends where the recording began."""
_NEAR_START_SECONDS = 0.05
"""Encoders put so little before the sound that the second block after a restart is as near."""
_FORWARD_RESTART_SECONDS = 10.0
"""A jump forward by so much is one, too, in formats whose clocks may jump (FFmpeg's threshold)."""
_MOST_SILENCE_SECONDS = 3600.0
"""A longer hole is a broken clock."""
_AHEAD = 3
"""Blocks after a jump that must agree with it."""


@dataclass(frozen=True, eq=False)
class DecodedSound:
    """One decoded block of sound (FFmpeg calls it a frame), as the container times it."""

    seconds: float | None
    """Time of the first sample in seconds from the start of the file; None: it has none."""
    rate: int
    """Sample rate in Hz."""
    samples: np.ndarray
    """float32 (channels, S)."""
    is_after_damage: bool = False
    """Whether packets before it could not be decoded."""


@dataclass(frozen=True, eq=False)
class AlignedSound:
    """One block of sound, aligned to the time axis of its file."""

    start: int
    """Index of the first sample, counted from the start of the file."""
    rate: int
    """Sample rate in Hz."""
    samples: np.ndarray
    """float32 (channels, S)."""
    gap: int = 0
    """Samples between the end of the block before (or the start of the file) and this one."""
    is_after_damage: bool = False
    """Whether packets before it could not be decoded."""

    @property
    def end(self) -> int:
        """Index after the last sample, counted from the start of the file."""
        return self.start + int(self.samples.shape[1])


@dataclass(frozen=True)
class Grid:
    """Samples at which blocks of equal length start; it undoes the rounding of their times."""

    base: int
    """Index of a sample at which a block starts."""
    step: int
    """Samples of a block."""
    tick_seconds: float
    """Step of the container's clock."""

    def snap(self, seconds: float, rate: int) -> int | None:
        """Return the index of the sample at which the block starts; None: off the grid.

        Args:
            seconds: the container's time of the block, from the start of the file.
            rate: sample rate in Hz.
        """
        wanted = seconds * rate
        index = self.base + round((wanted - self.base) / self.step) * self.step
        most = (self.tick_seconds + _ROUNDING_SECONDS) * rate + 1
        return index if abs(index - wanted) <= most else None


def grid_of(blocks: Iterable[AlignedSound], tick_seconds: float) -> Grid | None:
    """Return the grid of a track's first blocks; None: their lengths differ.

    The first block is left out: what an encoder put before the sound was cut from it.
    """
    found = list(blocks)[1:]
    steps = {block.samples.shape[1] for block in found[:-1]}
    if len(steps) != 1:
        return None
    return Grid(found[0].start, steps.pop(), tick_seconds)


def align(
    blocks: Iterator[DecodedSound],
    *,
    name: str,
    tick_seconds: float,
    is_jumpy: bool = False,
    grid: Grid | None = None,
    restart: Callable[[float], float] = float,
) -> Iterator[AlignedSound]:
    """Align blocks to the time axis of their file.

    Args:
        blocks: the blocks.
        name: name of the file, for messages.
        tick_seconds: step of the container's clock.
        is_jumpy: whether the container's clock may jump forward without a hole (MPEG-TS).
        grid: samples at which blocks start; None: told from the first ones.
        restart: called when the clock starts again, with the seconds to add to the times so that
            the sound follows directly; returns the seconds to add.

    Yields:
        The blocks, aligned; a later one may overlap the one before.

    Raises:
        MediaError: a hole of more than an hour.
    """
    rounding = 1.5 * tick_seconds if tick_seconds < JUMP_SECONDS else tick_seconds / 2
    clock = _Clock(max(JUMP_SECONDS, rounding), is_jumpy, grid, restart)
    head: list[AlignedSound] = []
    waiting: deque[DecodedSound] = deque()
    for block in blocks:
        waiting.append(block)
        if len(waiting) > _AHEAD:
            aligned = clock.next(waiting.popleft(), waiting)
            yield _expected(aligned, name)
            if clock.grid is None and len(head) < _AHEAD + 1:
                head.append(aligned)
                clock.grid = grid_of(head, tick_seconds) if len(head) > _AHEAD else None
    while waiting:
        yield _expected(clock.next(waiting.popleft(), waiting), name)


class _Clock:
    """Position on the time axis after each block."""

    def __init__(
        self, jump_seconds: float, is_jumpy: bool, grid: Grid | None,
        restart: Callable[[float], float],
    ) -> None:  # fmt: skip
        self.grid, self._restart = grid, restart
        self._jump_seconds, self._is_jumpy = jump_seconds, is_jumpy
        self._next: int | None = None
        """Index at which a block that follows directly starts; None: before the first block."""
        self._covered = 0
        """Index up to which the axis has sound or silence."""
        self._rate = 0
        self._last = 0.0
        """How much later than it was aligned the last block was timed, in seconds."""
        self._drift = 0.0
        """The last such lateness that was taken for rounding."""
        self._offset = 0.0
        """Seconds to add to the container's times since its clock started again."""
        self._overlaps = 0
        """Number of jumps back so far."""
        self._first = np.inf
        """The container's time of the first block since its clock started (again)."""

    def next(self, block: DecodedSound, after: Iterable[DecodedSound]) -> AlignedSound:
        """Align a block; ``after`` are the ones that follow it."""
        if self._next is None:
            self._rate, self._next = block.rate, round((block.seconds or 0.0) * block.rate)
        elif block.rate != self._rate:
            self._next = round(self._next * block.rate / self._rate)
            self._covered = round(self._covered * block.rate / self._rate)
            self._rate = block.rate
        start = self._next if block.seconds is None else self._start_of([block, *after])
        gap = max(0, start - self._covered)
        self._next = start + block.samples.shape[1]
        self._covered = max(self._covered, self._next)
        return AlignedSound(start, block.rate, block.samples, gap, block.is_after_damage)

    def _start_of(self, blocks: list[DecodedSound]) -> int:
        """Return the index at which the first of the blocks starts, which has a time."""
        assert self._next is not None
        seconds = blocks[0].seconds
        assert seconds is not None
        if self._first == np.inf:
            self._first = seconds
        late = list(self._lateness(blocks))
        first, last = late[0], self._last
        self._last = first
        shift = self._shift(late, last, blocks[0].is_after_damage)
        if shift is None:
            return self._next
        if self._is_restart(shift, seconds):
            self._first = seconds
            own = self._offset - shift
            offset = self._restart(own)
            self._last = self._drift = first - shift
            self._offset = offset
            return self._next + round((offset - own) * self._rate)
        if shift < 0:
            if self._overlaps >= 2 + self._next / self._rate:
                return self._next  # more than one a second: the container's lengths are wrong
            self._overlaps += 1
        own_seconds = self._next / self._rate + shift
        snapped = self.grid.snap(own_seconds, self._rate) if self.grid else None
        start = round(own_seconds * self._rate) if snapped is None else snapped
        self._last = self._drift = first - (start - self._next) / self._rate
        return start

    def _is_restart(self, shift: float, seconds: float) -> bool:
        """Return whether a jump by ``shift`` to the container's time ``seconds`` is a new start."""
        is_far = shift < -_RESTART_SECONDS or (self._is_jumpy and shift > _FORWARD_RESTART_SECONDS)
        # sound that is read from a later place on may start again at the file's start
        from_start = min(abs(seconds - self._first), abs(seconds))
        return is_far or (shift < -_LARGE_SECONDS and from_start <= _NEAR_START_SECONDS)

    def _lateness(self, blocks: list[DecodedSound]) -> Iterator[float]:
        """Yield by how much each block with a time is later than if no sound were missing."""
        assert self._next is not None
        index = self._next
        for block in blocks:
            if block.seconds is not None:
                yield block.seconds + self._offset - index / self._rate
            index += block.samples.shape[1]

    def _shift(self, late: list[float], last: float, is_after_damage: bool) -> float | None:
        """Return by how many seconds the axis jumps before the first of the blocks; None: not.

        Times of single blocks that are off (Ogg Vorbis, recorders) come back at the next block;
        a container that is wrong about the length of all blocks jumps at each.

        Args:
            late: lateness of the block and of those after it.
            last: lateness of the block before.
            is_after_damage: whether packets before it were lost for certain.
        """
        most, first = self._jump_seconds, late[0]
        is_jump = abs(first - self._drift) > most
        if not is_jump and abs(first) <= max(_DRIFT_SECONDS, 2 * most):
            self._drift = first
            return None
        usual = self._drift if is_jump else 0.0
        sign = 1 if first > usual else -1
        least = max(most, abs(first - usual) / 2) if is_jump else _DRIFT_SECONDS / 2
        if any(sign * (each - usual) < least for each in late):
            return None
        steps = [abs(after - before) for before, after in pairwise(late)]
        is_certain = is_after_damage or first - last >= _LARGE_SECONDS
        if not is_certain and min(steps, default=np.inf) > most:
            return None
        return min(late, key=abs)


def _expected(block: AlignedSound, name: str) -> AlignedSound:
    if block.gap > _MOST_SILENCE_SECONDS * block.rate:
        raise MediaError(
            f"{name}: the times of the audio jump by {block.gap / block.rate:.0f} s: its clock is "
            "broken; write the audio to a file of its own and name it in the column audio"
        )
    return block
