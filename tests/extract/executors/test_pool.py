"""Tests of emo/extract/executors/_pool.py: workers start, end and die in any order, and no hang."""

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emo.errors import StoreError
from emo.extract.executor import Progress
from emo.extract.executors._pool import Supervisor, WorkerDied, WorkerPool, WorkerReady
from emo.extract.job.folder import JobFolder
from emo.extract.job.journal import Journal
from emo.extract.job.request import Job
from emo.extract.worker.part_runner import PartDone
from emo.extract.worker.worker import PartReport

MOST_LOOKS = 1000
"""A supervisor that has looked so often without an end would look forever."""


class Actors(WorkerPool):
    """Workers like Ray's: one that was ended, or failed, sends nothing more."""

    def __init__(self, slots, fates, chance=None):
        """``chance``: draws whose messages come now; None: all that there are."""
        self.rooms, self.fates, self.chance = slots, fates, chance
        self.numbers, self.looks, self.done = count(), 0, []
        self.said, self.held, self.told_to_stop = {}, {}, False

    def slots(self):
        return self.rooms

    def start(self):
        key = next(self.numbers)
        self.said[key] = [WorkerReady(str(key))]
        return key

    def give(self, key, part):
        held = self.held.pop(key, [])
        parts = held if part is None else [*held, part]
        self.said[key] = []
        if not parts:
            return
        fate = next(self.fates, "does it")
        if fate == "dies":
            self.said[key] = [WorkerDied("SIGKILL")]
        elif fate == "full disk":
            self.said[key] = [StoreError("no space left")]
        elif fate == "asks ahead" and not held:
            self.held[key] = parts
            self.said[key] = [WorkerReady(str(key), is_ahead=True)]
        else:
            self.done += parts
            done = [(PartReport(1, {}, False, 0.1), PartDone(number)) for number in parts]
            self.said[key] = [
                *(message for both in done for message in both),
                WorkerReady(str(key)),
            ]

    def hear(self, seconds):
        self.looks += 1
        assert self.looks < MOST_LOOKS, "it hangs"
        ready = [key for key, said in self.said.items() if said]
        if self.chance and ready:
            ready = self.chance.sample(ready, self.chance.randint(1, len(ready)))
        heard = [(key, message) for key in ready for message in self.said[key]]
        for key in ready:
            self.said[key] = []
        return heard

    def stop(self):
        self.told_to_stop = True

    def close(self):
        self.said.clear()


class Folder(JobFolder):
    """A job folder with journals only."""

    def __init__(self, path):
        object.__setattr__(self, "path", path)

    def journal(self, number):
        return Journal(self.path / f"{number}.jsonl")


def supervisor(pool, folder, is_stopping=lambda: False):
    return Supervisor(Folder(folder), pool, Progress(), is_stopping)


def test_a_part_given_back_after_other_workers_ended_is_done(tmp_path):
    pool = Actors(2, iter(["does it", "dies"]))
    (tmp_path / "1.jsonl").write_text('{"begin": ["c"], "by": "1"}\n')
    report = supervisor(pool, tmp_path).run([0, 1])
    assert sorted(pool.done) == [0, 1]
    assert report.clips == 2


@settings(max_examples=60, deadline=None)
@given(
    slots=st.integers(1, 4),
    parts=st.integers(0, 8),
    fates=st.lists(st.sampled_from(["does it", "asks ahead", "dies"]), max_size=20),
    chance=st.randoms(use_true_random=False),
)
def test_every_part_is_done_once_however_workers_die(tmp_path_factory, slots, parts, fates, chance):
    folder = tmp_path_factory.mktemp("pool")
    for part in range(parts):  # every worker died with clips in hand
        lines = (f'{{"begin": ["c"], "by": "{key}"}}\n' for key in range(40))
        (folder / f"{part}.jsonl").write_text("".join(lines))
    pool = Actors(slots, iter(fates), chance)
    report = supervisor(pool, folder).run(range(parts))
    assert sorted(pool.done) == list(range(parts)) or report.lost
    assert len(pool.done) == len(set(pool.done))
    if fates.count("dies") <= 16:
        assert report.lost == []


@pytest.mark.parametrize("slots", [1, 3])
def test_what_a_worker_raised_ends_the_job(tmp_path, slots):
    pool = Actors(slots, iter(["does it", "full disk"]))
    with pytest.raises(StoreError, match="no space left"):
        supervisor(pool, tmp_path).run(range(6))
    assert pool.told_to_stop


@pytest.mark.parametrize("retries", [0, 1, 3])
@pytest.mark.parametrize("deaths", [0, 1, 2, 3, 4])
def test_a_part_is_given_up_after_more_deaths_than_retries(tmp_path, retries, deaths):
    lines = (f'{{"begin": ["c"], "by": "{key}"}}\n' for key in range(40))
    (tmp_path / "0.jsonl").write_text("".join(lines))
    (tmp_path / "parts.jsonl").write_text('{"rows": [{"id": "c"}], "todo": {}}\n')
    pool = Actors(1, iter(["dies"] * deaths))
    made = supervisor(pool, tmp_path)
    object.__setattr__(made.folder, "offsets", (0,))
    object.__setattr__(made.folder, "job", Job(tmp_path, tmp_path, ()))
    made.retries = retries
    report = made.run([0])
    is_done = deaths <= retries
    assert (pool.done, len(report.lost)) == ([0] if is_done else [], 0 if is_done else 1)
    assert next(pool.numbers) == min(deaths, retries) + 1
