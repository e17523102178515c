"""Times that rise: restarts, reordered, equal, missing and stray times."""

import numpy as np
import pytest

from emo.extract.decode.pictures.clock import are_true, rising_times
from emo.extract.decode.seeking.listing import MISSING

NAN = float("nan")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ([0, 1, 3, 7], [0, 1, 3, 7]),  # rising times stay as they are
        ([0, 1, 2, 0, 1, 2], [0, 1, 2, 3, 4, 5]),  # starts again
        ([*range(12), *range(5)], [*range(17)]),  # the second recording is shorter
        ([100, 101, 0, 1, 2], [100, 101, 102, 103, 104]),  # far back
        ([0, 2, 1, 3, 5, 4], [0, 1, 2, 3, 4, 5]),  # pictures in another order than their times
        ([0, 1, 1, 1, 4], [0, 1, 2, 3, 4]),  # equal times are spread
        ([0, 0, 0], [0, 1, 2]),
        ([0, NAN, NAN, 3], [0, 1, 2, 3]),  # missing times
        ([NAN, NAN], [0, 1]),
        ([NAN, 1, 2, NAN], [0, 1, 2, 3]),
        ([0, 1, 500, 3, 4], [0, 1, 2, 3, 4]),  # one time far off
        ([0, 1, -500, 3, 4], [0, 1, 2, 3, 4]),
        ([0, 1, 2, 60, 61, 62], [0, 1, 2, 60, 61, 62]),  # a gap is no fault
        ([], []),
        ([5], [5]),
    ],
)
def test_every_picture_gets_a_time_of_its_own(raw, expected):
    times = rising_times(np.array(raw, np.float64), 1.0)
    np.testing.assert_allclose(times, expected)


def test_many_recordings_joined_go_on():
    lengths = np.random.default_rng(0).integers(5, 60, 20)
    raw = np.concatenate([0.04 * np.arange(length) for length in lengths])
    times = rising_times(raw, 0.04)
    np.testing.assert_allclose(times, 0.04 * np.arange(len(raw)))


@pytest.mark.parametrize(
    ("pts", "dts", "reorders", "are_guessed", "expected"),
    [
        ([0, 4, 2, 1, 3], [-1, 0, 1, 2, 3], True, False, True),
        ([0, 1, 2], [0, 1, 2], False, True, True),
        ([0, 1, 2], [0, 1, 2], True, True, False),  # decoding times in place of the others
        ([0, 1, None], [0, 1, 2], False, False, False),
        ([0, 1, 1], [0, 1, 2], False, False, False),
        ([0, 1, 2, 0, 1, 2], [0, 1, 2, 0, 1, 2], False, False, False),
        ([0, 1, 2], [0, 0, 1], False, False, True),  # FFmpeg's first decoding times may be equal
        ([0, 9000, *range(1, 40)], [None] * 41, True, False, False),  # one time far off
        ([], [], False, False, True),
    ],
)
def test_when_the_times_of_packets_are_believed(pts, dts, reorders, are_guessed, expected):
    shown, decoded = (
        np.array([MISSING if each is None else each for each in ticks], np.int64)
        for ticks in (pts, dts)
    )
    found = are_true(shown, decoded, tick_seconds=0.04, reorders=reorders, are_guessed=are_guessed)
    assert found is expected
