"""Give every picture a time that rises, where the times in the file do not."""

from fractions import Fraction
from itertools import pairwise

import numpy as np

from emo.extract.decode.seeking.listing import MISSING

_REORDERED = 17
"""Frames within which a reordered time is caught up with: H.264 reorders at most 16 frames."""
_BACK_SECONDS = 0.1
"""Decoding times that fall by more are a clock that starts again, as in FFmpeg's tool."""
_STRAY_SECONDS = 1.0
"""Least distance from both neighbours of a time that is wrong alone."""

_EXACT = 1 << 53
"""Integers from here on are rounded as floats."""
MOST_SECONDS = 86400.0
"""A time farther than a day from the one before it is not a time but other bytes."""


def seconds_of(ticks: np.ndarray, time_base: Fraction) -> np.ndarray:
    """Return times int64 (n,) in ticks as seconds, float64 (n,), each rounded once."""
    numerator, denominator = time_base.numerator, time_base.denominator
    if len(ticks) and max(-int(ticks.min()), int(ticks.max())) * numerator >= _EXACT:
        return np.array([int(each) * numerator / denominator for each in ticks])
    seconds: np.ndarray = ticks.astype(np.float64) * numerator / denominator
    return seconds


def are_true(
    pts: np.ndarray, dts: np.ndarray, *, tick_seconds: float, reorders: bool, are_guessed: bool
) -> bool:
    """Return whether the presentation times of a track's packets are the times of its pictures.

    Args:
        pts: int64 (n,), presentation time of each packet that is shown, in the order of the file;
            :data:`~emo.extract.decode.seeking.listing.MISSING` where it has none.
        dts: int64 (m,), decoding time of each packet of the track, in the order of the file.
        tick_seconds: length of a tick.
        reorders: whether the codec shows pictures in another order than it stores them.
        are_guessed: whether the container holds no presentation times (AVI), or may hold decoding
            times in their place.

    >>> pts, dts = np.array([0, 2, 1]), np.array([-1, 0, 1])
    >>> are_true(pts, dts, tick_seconds=1.0, reorders=True, are_guessed=False)
    True
    >>> pts = dts = np.array([0, 1, 0])
    >>> are_true(pts, dts, tick_seconds=1.0, reorders=False, are_guessed=False)
    False
    """
    order = np.argsort(pts, kind="stable")  # as shown -> as stored
    has_equal = bool((np.diff(pts[order]) == 0).any())
    if (reorders and are_guessed) or (pts == MISSING).any() or has_equal:
        return False
    decoding = dts[dts != MISSING].astype(np.float64)
    if len(decoding) > 1 and np.diff(decoding).min() * tick_seconds < -_BACK_SECONDS:
        return False
    jumps = np.abs(np.diff(pts.astype(np.float64))) * tick_seconds
    if len(jumps) and jumps.max() > MOST_SECONDS:
        return False
    # a time farther off than a codec moves pictures is wrong
    return not len(pts) or bool(np.abs(order - np.arange(len(pts))).max() < _REORDERED)


def rising_times(raw: np.ndarray, step_seconds: float) -> np.ndarray:
    """Return one rising time for each picture, in the order in which they are decoded.

    Faults and what is made of them: a clock that starts again goes on one step after the last
    picture; times in another order than the pictures (AVI with B-frames) are sorted; equal times
    are spread up to the next one; a single time far from both neighbours, and a missing one, lie
    evenly between their neighbours.

    Args:
        raw: float64 (n,), seconds as decoded; NaN where the picture has no time.
        step_seconds: distance of two pictures, as the file's headers declare it.

    Returns:
        float64 (n,), each larger than the one before. Rising times are returned unchanged.

    >>> rising_times(np.array([0.0, 2, 1, 3, 0, 1]), 1.0)  # two reordered, then it starts again
    array([0., 1., 2., 3., 4., 5.])
    """
    if not len(raw):
        return raw
    raw = _without_strays(raw, step_seconds)
    starts = [0, *_restarts(raw, step_seconds), len(raw)]
    times, after = np.empty(len(raw)), 0.0
    for low, high in pairwise(starts):
        part = _in_order(raw[low:high], step_seconds)
        times[low:high] = part
        if low:
            times[low:high] += after - part[0]
        after = times[high - 1] + usual_step(part, step_seconds)
    return times


def usual_step(times: np.ndarray, step_seconds: float) -> float:
    """Return the median distance of rising times; of fewer than two, the step of the headers."""
    return float(np.median(np.diff(times))) if len(times) > 1 else step_seconds


def _without_strays(raw: np.ndarray, step: float) -> np.ndarray:
    """Replace each time by NaN that is far from both neighbours, which are near each other."""
    far = max(_STRAY_SECONDS, _REORDERED * step)
    kept = raw.copy()
    for index in range(1, len(raw) - 1):
        before, here, after = kept[index - 1], raw[index], raw[index + 1]
        if 0 < after - before <= far and not before - far <= here <= after + far:
            kept[index] = np.nan
    return kept


def _restarts(raw: np.ndarray, step: float) -> list[int]:
    """Return the indices of the pictures at which the clock starts again."""
    found: list[int] = []
    first, highest = 0, -np.inf
    for index, time in enumerate(raw.tolist()):
        if time < highest and _is_restart(raw, first, index, highest, step):
            found.append(index)
            first, highest = index, time
        elif time > highest:  # False for NaN
            highest = time
    return found


def _is_restart(raw: np.ndarray, first: int, index: int, highest: float, step: float) -> bool:
    """Return whether a time below the highest one is a new start instead of a reordered picture.

    Reordered pictures catch up within a few frames, and no two of them have one time.
    """
    ahead = raw[index : index + _REORDERED]
    higher = np.flatnonzero(ahead > highest)
    below = ahead[: higher[0]] if len(higher) else ahead
    distances = np.abs(below[:, None] - raw[None, first:index])
    if (distances < step / 4).any(axis=1).mean() >= 0.5:
        return True  # times that were there before
    is_far = len(ahead) == _REORDERED or highest - raw[index] > _REORDERED * step
    return is_far and not len(higher)


def _in_order(raw: np.ndarray, step: float) -> np.ndarray:
    """Return rising times of pictures whose clock does not start again."""
    known = np.flatnonzero(~np.isnan(raw))
    if not len(known):
        return np.arange(len(raw)) * step
    ordered = np.sort(raw[known])
    times = np.interp(np.arange(len(raw)), known, ordered)
    head, tail = known[0], len(raw) - 1 - known[-1]
    times[:head] -= step * np.arange(head, 0, -1)
    times[len(raw) - tail :] += step * np.arange(1, tail + 1)
    return _apart(times, step)


def _apart(times: np.ndarray, step: float) -> np.ndarray:
    """Spread each run of equal times evenly up to the next larger one."""
    if len(times) < 2 or (np.diff(times) > 0).all():
        return times
    values, firsts, counts = np.unique(times, return_index=True, return_counts=True)
    gaps = np.diff(np.append(values, values[-1] + step * counts[-1]))
    positions = np.arange(len(times)) - np.repeat(firsts, counts)
    return np.repeat(values, counts) + np.repeat(gaps / counts, counts) * positions
