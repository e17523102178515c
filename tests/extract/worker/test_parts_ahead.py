"""The next part is started while the current one runs: what is done early, what is not."""

import threading
import time

import pytest

from emo.errors import StoreError
from emo.extract.executor import Progress
from emo.extract.executors._pool import Supervisor, WorkerDied, WorkerPool, WorkerReady
from emo.extract.job.folder import write_job
from emo.extract.job.journal import me
from emo.extract.job.logs import TaskLog
from emo.extract.job.plan import make_plan
from emo.extract.job.request import Job, make_request
from emo.extract.job.timings import WorkTotals
from emo.extract.worker.decoding.prepare import ClipPreparer
from emo.extract.worker.encode import BatchEncoder
from emo.extract.worker.part_runner import PartDone, run_each_part
from emo.extract.worker.worker import PartReport, Worker
from emo.manifest import Clip
from emo.store.part.writer import PartWriter
from emo.store.store import Store

LETTERS = make_request("tests.make_backbone:Letters", "letters", {})
PART_CLIPS = 4


@pytest.fixture
def job(tmp_path):
    Store.create(tmp_path / "store").add_recipe("letters", LETTERS.recipe)
    return Job(tmp_path, tmp_path / "store", (LETTERS,), batch_clips=2, threads=2)


@pytest.fixture
def folder(job):
    return folder_of(job, 12)


def folder_of(job, clips):
    rows = [Clip(f"c{k:02}", text=f"text {k}") for k in range(clips)]
    plan = make_plan(job, Store(job.store).recipes, rows, part_clips=PART_CLIPS)
    return write_job(job, plan.parts)


@pytest.fixture
def events(monkeypatch):
    """Events in order: ("decode", part), ("encode", part), ("commit", part)."""
    found, lock = [], threading.Lock()

    def note(event, clip_ids):
        with lock:
            found.extend((event, int(each[1:]) // PART_CLIPS) for each in clip_ids)

    prepare, encode, leave = ClipPreparer.prepare, BatchEncoder._results, PartWriter.__exit__

    def prepared(self, units):
        note("decode", [unit.clip.id for unit in units])
        return prepare(self, units)

    def encoded(self, name, batch):
        note("encode", [ready.unit.clip.id for ready in batch])
        time.sleep(0.02)
        return encode(self, name, batch)

    def left(self, *error):
        leave(self, *error)
        note("commit", list(self._sources)[:1])

    monkeypatch.setattr(ClipPreparer, "prepare", prepared)
    monkeypatch.setattr(BatchEncoder, "_results", encoded)
    monkeypatch.setattr(PartWriter, "__exit__", left)
    return found


def run(job, folder, parts, *, is_stopping=lambda: False, on_clip=lambda failed: None):
    """What one worker yields, and the argument of each of its requests for a part."""
    left, asked = list(parts), []

    def take(is_ahead):
        asked.append(is_ahead)
        return left.pop(0) if left else None

    with Worker(job) as worker, TaskLog(folder.logs) as log:
        done = list(
            run_each_part(
                worker, folder, take, log, is_stopping=is_stopping, on_clip=on_clip
            )
        )  # fmt: skip
    assert not folder.journals()
    return done, asked


def test_the_next_part_is_decoded_before_this_one_is_committed_but_never_encoded(
    job, folder, events
):
    done, asked = run(job, folder, [0, 1, 2])
    assert [each.part for each in done if isinstance(each, PartDone)] == [0, 1, 2]
    assert asked == [False, True, True, True, False]
    for part in (0, 1):
        commit = events.index(("commit", part))
        assert events.index(("decode", part + 1)) < commit < events.index(("encode", part + 1))
    assert ("decode", 2) not in events[: events.index(("commit", 0))], "one part ahead at most"
    assert len(Store(job.store).recipes["letters"].ids) == 12


def test_a_part_with_dead_workers_is_done_alone(job, folder, events):
    folder.journal(1).begin([f"c{k:02}" for k in range(4, 8)])
    folder.journal(1).died(me(), "SIGSEGV")
    left = [0, 1, 2]
    with Worker(job) as worker, TaskLog(folder.logs) as log:
        for _ in run_each_part(
            worker, folder, lambda is_ahead: left.pop(0) if left else None, log,
            is_stopping=lambda: False, on_clip=lambda failed: None,
        ):  # fmt: skip
            pass
    first, last = events.index(("decode", 1)), len(events) - events[::-1].index(("commit", 1))
    assert {part for _, part in events[first:last]} == {1}
    assert len(Store(job.store).recipes["letters"].ids) == 12


def test_a_stop_gives_the_part_ahead_back_untouched(job, folder, events):
    heard = []
    done, _ = run(job, folder, [0, 1, 2], is_stopping=lambda: len(heard) >= 2, on_clip=heard.append)
    (report,) = [each for each in done if isinstance(each, PartReport)]
    assert report.is_stopped
    assert ("decode", 1) in events, "it had been begun"
    assert sorted(Store(job.store).recipes["letters"].ids) == ["c00", "c01"]


def test_an_error_of_the_writer_stops_and_leaves_no_clip_in_hand(job, folder, monkeypatch):
    def full(*_):
        raise StoreError("disk full")

    monkeypatch.setattr("emo.store.part.writer.commit", full)
    with pytest.raises(StoreError, match="disk full"):
        run(job, folder, [0, 1, 2])
    assert not folder.journals()


class Script(WorkerPool):
    """Returns prepared messages and records which parts are given; the keys are numbers."""

    def __init__(self, messages, slots=1):
        self.messages, self.room, self.given, self.started = list(messages), slots, [], 0

    def slots(self):
        return self.room

    def start(self):
        self.started += 1
        return self.started

    def give(self, key, part):
        self.given.append((key, part))

    def hear(self, seconds):
        return [self.messages.pop(0)]

    def stop(self):
        pass

    def close(self):
        pass


def report():
    return PartReport(PART_CLIPS, {}, False, 1.0, WorkTotals())


def test_a_death_gives_both_parts_back_and_counts_in_those_with_clips_in_progress(job, folder):
    by = "here/1/abc"
    folder.journal(0)._append({"begin": ["c00"], "by": by})
    pool = Script(
        [(1, WorkerReady(by)), (1, WorkerReady(by, is_ahead=True)), (1, WorkerDied("SIGSEGV")),
         (2, WorkerReady("b")), (2, report()), (2, PartDone(0)),
         (2, WorkerReady("b")), (2, report()), (2, PartDone(1)),
         (2, WorkerReady("b")), (2, report()), (2, PartDone(2))]
    )  # fmt: skip
    supervisor = Supervisor(folder, pool, Progress(), lambda: False)
    found = supervisor.run([0, 1, 2])
    assert pool.given == [(1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
    assert (found.lost, found.clips) == ([], 3 * PART_CLIPS)
    assert folder.journal(0).seen() == 1
    assert (supervisor._deaths, supervisor._early_deaths) == ({0: 1}, {0: 0})


def test_a_part_ahead_is_given_only_while_one_is_left_for_every_other_worker(job, folder):
    pool = Script(
        [(1, WorkerReady("a")), (1, WorkerReady("a", is_ahead=True)), (1, PartDone(0)),
         (1, WorkerReady("a")), (1, WorkerReady("a", is_ahead=True)), (1, PartDone(1)),
         (1, WorkerReady("a")), (1, PartDone(2))],
        slots=3,
    )  # fmt: skip
    Supervisor(folder, pool, Progress(), lambda: False).run([0, 1, 2])
    assert pool.given == [(1, 0), (1, None), (1, 1), (1, None), (1, 2)]
