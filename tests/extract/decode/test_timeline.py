"""Where blocks of sound lie on the time axis, by their times and lengths."""

import numpy as np
import pytest

from emo.errors import MediaError
from emo.extract.decode.sound.stray_blocks import without_strays
from emo.extract.decode.sound.timeline import DecodedSound, align

RATE, SIZE = 1000, 20  # blocks of 20 ms


def starts(seconds, *, size=SIZE, damaged=(), **options):
    """Start of each block in milliseconds."""
    blocks = [
        DecodedSound(time, RATE, np.ones((1, size), np.float32), index in damaged)
        for index, time in enumerate(seconds)
    ]
    options = {"tick_seconds": 0.001, "name": "a.mkv", **options}
    return [block.start for block in align(iter(blocks), **options)]


def regular(count, first=0.0, step=0.02):
    return [first + step * index for index in range(count)]


def test_blocks_that_follow_one_another_do_so_however_their_times_are_rounded():
    random = np.random.default_rng(0)
    times = np.array(regular(200)) + random.uniform(-0.001, 0.001, 200)
    assert starts(times) == [20 * index + round(times[0] * 1000) for index in range(200)]


def test_late_sound_and_lost_blocks_leave_holes():
    assert starts(regular(3, first=1.0)) == [1000, 1020, 1040]
    lost = [time for time in regular(40, first=0.5) if not 0.7 <= time < 0.9]
    assert starts(lost) == [round(1000 * time) for time in lost]


def test_a_single_lost_block_is_a_hole_and_several_near_one_another_are():
    lost = [time for index, time in enumerate(regular(40)) if index not in {7, 10, 11, 15}]
    assert starts(lost) == [round(1000 * time) for time in lost]


def test_silence_left_out_between_single_blocks_is_kept():
    times = [*regular(10), 0.6, 1.0, 1.4, *regular(10, first=1.8)]  # Opus: one in 400 ms
    assert starts(times) == [round(1000 * time) for time in times]


def test_times_that_come_back_at_the_next_block_are_no_holes():
    times = np.array(regular(60))
    times[10::7] += 0.010  # Ogg Vorbis, and recorders that stamp a block when it arrives
    assert starts(times) == [20 * index for index in range(60)]


def test_a_container_that_is_wrong_about_all_lengths_is_not_believed():
    assert starts(regular(50, step=0.04)) == [20 * index for index in range(50)]
    short = starts(regular(200, step=0.01))
    assert np.diff(short).min() >= 0
    assert short[-1] > 0.9 * 200 * 20  # hardly any sound is laid over other sound


def test_damage_is_believed_even_if_every_other_block_is_lost():
    times = [*regular(10), *[0.2 + 0.04 * index for index in range(10)], *regular(5, first=0.6)]
    assert starts(times, damaged=range(11, 21)) == [round(1000 * time) for time in times]


def test_two_clocks_that_drift_apart_are_mended_before_they_matter():
    times = np.array(regular(3000)) * 1.002  # 120 ms in a minute
    found = np.array(starts(times))
    assert np.abs(found - 1000 * times).max() <= 45
    assert (np.diff(found) != SIZE).sum() <= 4


def test_sound_that_occurs_twice_is_laid_over_itself():
    assert starts([*regular(10), *regular(10, first=0.1)])[10:] == list(range(100, 300, 20))


def test_a_clock_that_starts_again_goes_on_and_keeps_step_with_the_pictures():
    times = [*regular(100), *regular(100)]
    assert starts(times) == [20 * index for index in range(200)]
    later = starts(times, restart=lambda own: own + 0.08)
    assert later[100] == 2080
    assert later[199] == 2080 + 99 * 20


def test_a_jump_forward_is_a_restart_only_where_clocks_may_jump():
    times = [*regular(50), *regular(50, first=100.0)]
    assert starts(times)[50] == 100_000
    assert starts(times, is_jumpy=True) == [20 * index for index in range(100)]


def test_a_hole_of_more_than_an_hour_is_a_broken_clock():
    with pytest.raises(MediaError, match=r"a\.mkv: the times of the audio jump by 7200 s"):
        starts([*regular(5), *regular(5, first=7200.1)])


def test_garbage_of_another_format_is_left_out_and_a_real_change_is_not():
    def block(rate, second):
        return DecodedSound(second, rate, np.ones((1, SIZE), np.float32))

    rates = [8000] * 5 + [11025, 8000, 44100, 44100] + [8000] * 5
    kept = list(without_strays([block(rate, k) for k, rate in enumerate(rates)]))
    assert [one.seconds for one in kept] == [0, 1, 2, 3, 4, 6, 9, 10, 11, 12, 13]
    assert [one.seconds for one in kept if one.is_after_damage] == [6, 9]
    changed = [block(rate, k) for k, rate in enumerate([8000] * 6 + [16000] * 6)]
    assert len(list(without_strays(changed))) == 12
