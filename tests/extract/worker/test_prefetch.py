"""The queue before the models: order and batches do not depend on timing, memory has a limit."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emo.extract.backbone import Prepared
from emo.extract.decode.source import ClipSource
from emo.extract.worker.decoding.prefetch import BatchLimits, Pipeline, PreparedUnit, size_of
from emo.extract.worker.decoding.units import WorkUnit
from emo.extract.worker.meter import StageMeter
from emo.manifest import Clip


def units(prefix, count):
    return [
        [WorkUnit(Clip(f"{prefix}{k}", text="x"), (), ClipSource(), True, True)]
        for k in range(count)
    ]


def ids(batches):
    return [[ready.unit.clip.id for ready in batch] for batch in batches]


class Threads:
    """Work of the threads: takes given seconds, makes arrays of a given size, records its clips."""

    def __init__(self, seconds=(0.0,), size_bytes=1):
        self.seconds, self.size_bytes = seconds, size_bytes
        self.begun, self.lock = [], threading.Lock()

    def __call__(self, group):
        with self.lock:
            index = len(self.begun)
            self.begun += [unit.clip.id for unit in group]
        time.sleep(self.seconds[index % len(self.seconds)])
        prepared = {"r": Prepared({"x": [np.zeros(self.size_bytes, np.uint8)]})}
        return [PreparedUnit(unit, "", prepared, {}) for unit in group]


@pytest.fixture
def make(request):
    made = []

    def one(threads=2, **more):
        made.append(Pipeline(threads, MOST_UNITS, StageMeter(threads), **more))
        return made[-1]

    yield one
    for each in made:
        each.close()


THREE, MOST_UNITS = BatchLimits(3), 7


def all_of(pipe, work, prefix, count, limits=THREE):
    queue = pipe.open(iter(units(prefix, count)), work, limits)
    return ids(pipe.batches(queue, lambda: False, lambda: None))


@given(
    seconds=st.lists(st.sampled_from([0.0, 0.001, 0.004]), min_size=1, max_size=5),
    threads=st.integers(1, 4),
    count=st.integers(0, 14),
)
@settings(max_examples=25, deadline=None)
def test_batches_are_the_same_however_long_each_clip_takes(seconds, threads, count):
    pipe = Pipeline(threads, MOST_UNITS, StageMeter(threads))
    try:
        found = all_of(pipe, Threads(seconds), "c", count)
    finally:
        pipe.close()
    names = [f"c{k}" for k in range(count)]
    assert found == [names[low : low + 3] for low in range(0, count, 3)]


def test_a_stop_gives_what_is_in_hand_and_begins_nothing_more(make):
    pipe, work = make(), Threads([0.005])
    queue = pipe.open(iter(units("c", 100)), work, THREE)
    batches = pipe.batches(queue, lambda: len(work.begun) >= 12, lambda: None)
    found = [name for batch in ids(batches) for name in batch]
    assert found == [f"c{k}" for k in range(len(found))]
    assert 0 < len(found) < 20
    begun = len(work.begun)
    time.sleep(0.03)
    assert len(work.begun) <= begun + pipe.threads
    assert not pipe.queues


def most_waiting(pipe, work, count):
    """Return the most clips that were started and not taken, with a slow model."""
    queue, taken, most = pipe.open(iter(units("c", count)), work, THREE), 0, 0
    for batch in pipe.batches(queue, lambda: False, lambda: None):
        for _ in range(5):
            time.sleep(0.004)
            most = max(most, len(work.begun) - taken - len(batch))
        taken += len(batch)
    return most


def test_clips_under_way_are_bounded(make):
    pipe = make(threads=2)
    assert most_waiting(pipe, Threads(), 40) == MOST_UNITS


def test_large_clips_are_few_at_a_time(make):
    pipe = make(threads=2, most_bytes=2500)
    most = most_waiting(pipe, Threads(size_bytes=1000), 40)
    assert most <= 2, "2 x 1000 bytes fit, a third would not"
    pipe = make(threads=2, most_bytes=10)
    assert most_waiting(pipe, Threads(size_bytes=1000), 10) <= 2, "only the first are begun blindly"


def test_a_batch_is_cut_where_it_would_hold_too_much(make):
    few = BatchLimits(3, 2500)
    found = all_of(make(), Threads(size_bytes=1000), "c", 5, few)
    assert found == [["c0", "c1"], ["c2", "c3"], ["c4"]]
    assert all_of(make(), Threads(size_bytes=9000), "c", 2, few) == [["c0"], ["c1"]]


def test_the_next_part_is_begun_before_this_one_ends_and_shares_no_batch(make):
    pipe, work, opened, two = make(threads=2), Threads(), [], BatchLimits(2)

    def more():
        if not opened:
            opened.append(pipe.open(iter(units("b", 5)), work, two))

    queue = pipe.open(iter(units("a", 5)), work, two)
    first = []
    for batch in pipe.batches(queue, lambda: False, more):
        first += ids([batch])
        time.sleep(0.01)
    assert first == [["a0", "a1"], ["a2", "a3"], ["a4"]]
    time.sleep(0.01)
    assert "b0" in work.begun
    second = ids(pipe.batches(opened[0], lambda: False, lambda: None))
    assert second == [["b0", "b1"], ["b2", "b3"], ["b4"]]
    assert sorted(work.begun) == sorted(f"{part}{k}" for part in "ab" for k in range(5))


def test_every_clip_in_a_queue_leaves_it(make):
    pipe = make()
    with pipe.meter.working():
        all_of(pipe, Threads(), "a", 7)
        queue = pipe.open(iter(units("b", 7)), Threads([0.01]), THREE)
        pipe.drop(queue)
        several = [[unit for (unit,) in units("c", 3)], *units("d", 7)]
        batches = pipe.batches(
            pipe.open(iter(several), Threads(), BatchLimits(2)), lambda: False, lambda: None
        )
        assert len(next(batches)) == 2
        batches.close()
        pipe.close()
    pipe.meter.take()
    with pipe.meter.working():
        time.sleep(0.01)
    stages = pipe.meter.take().stages
    assert [stages[name].queued_seconds for name in ("decode", "encode")] == [0.0, 0.0]


def test_sizes_are_those_of_arrays_however_nested():
    inputs = {
        "a": np.zeros(3, np.float32),
        "b": [np.zeros(2, np.uint8), {"c": np.zeros(5)}],
        "d": 7,
    }
    assert size_of(inputs) == 12 + 2 + 40
