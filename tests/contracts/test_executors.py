"""Every executor: each part once, failures reported, two runs of one part harmless."""

import multiprocessing
import os
import signal
import threading
import time

import pytest

from emo import plugins
from emo.extract.executor import Executor, Progress
from emo.extract.job import Job, ask
from emo.extract.plan import make_plan
from emo.manifest import Clip
from emo.store.maintain import verify
from emo.store.store import Store

LETTERS = ask("tests.make_backbone:Letters", "letters", {})
NAMES = plugins.available("emo.extract.executors")


@pytest.fixture
def job(tmp_path):
    Store.create(tmp_path / "store").add_recipe("letters", LETTERS.recipe)
    return Job(root=tmp_path, store=tmp_path / "store", asks=(LETTERS,), batch_clips=2)


def plan_of(job, texts, part_clips=3):
    clips = [Clip(f"c{k:03}", text=text) for k, text in enumerate(texts)]
    folders = Store(job.store).recipes
    return make_plan(job, folders, clips, part_clips=part_clips).parts


def make(name, workers):
    return plugins.load("emo.extract.executors", name, Executor)(workers)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("workers", [1, 2])
def test_every_clip_once_and_failures_reported(name, workers, job):
    heard = []
    texts = [f"text {k}" for k in range(10)] + ["!raise"]
    report = make(name, workers).run(job, plan_of(job, texts), Progress(heard.append))
    folder = Store(job.store).recipes["letters"]
    assert sorted(folder.ids) == [f"c{k:03}" for k in range(10)]
    assert report.failures["letters"] == {"c010": "this clip asked to fail"}
    assert (report.clips, len(heard), sum(heard)) == (11, 11, 1)
    assert not report.is_stopped
    assert not report.lost
    assert not verify(Store(job.store)).problems


@pytest.mark.parametrize("name", NAMES)
def test_two_runs_of_one_plan_are_harmless(name, job):
    parts = plan_of(job, ["a", "b", "c", "d"])
    make(name, 1).run(job, parts, Progress())
    report = make(name, 1).run(job, parts, Progress())
    assert report.clips == 0
    assert len(list((job.store / "letters").glob("part-*"))) == len(parts)


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_worker_loses_no_clip(name, job):
    """A clip that kills its worker is reported, the others are done."""
    texts = ["a", "b", "c", "!kill", "d", "e", "f", "g", "h"]
    report = make(name, 2).run(job, plan_of(job, texts), Progress())
    folder = Store(job.store).recipes["letters"]
    assert sorted(folder.ids) == [f"c{k:03}" for k in (0, 1, 2, 6, 7, 8)]
    assert len(report.lost) == 1
    assert "c003" in report.lost[0]


def _stop_soon(job, texts, seconds, answers):
    thread = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM))
    thread.start()
    report = make("local", 1).run(job, plan_of(job, texts, part_clips=1000), Progress())
    thread.join()
    answers.put((report.is_stopped, report.clips))


def test_a_stop_signal_commits_what_is_finished(job):
    texts = ["!sleep"] * 200
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=_stop_soon, args=(job, texts, 0.5, answers))
    began = time.monotonic()
    process.start()
    is_stopped, clips = answers.get(timeout=30)
    process.join()
    assert is_stopped
    assert time.monotonic() - began < 5
    assert 0 < clips < 200
    assert len(Store(job.store).recipes["letters"].ids) == clips
