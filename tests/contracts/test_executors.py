"""Every executor: each part once, failures reported, two runs of one part harmless."""

import doctest
import multiprocessing
import os
import signal
import threading
import time

import pytest

from emo import plugins
from emo.extract import executor
from emo.extract.executor import Progress, make_executor
from emo.extract.job.folder import write_job
from emo.extract.job.plan import make_plan
from emo.extract.job.request import Job, make_request
from emo.extract.job.status.status import status
from emo.extract.resume import run_parts, work
from emo.manifest import Clip
from emo.store.maintain.verify import verify
from emo.store.store import Store
from tests import fake_slurm

LETTERS = make_request("tests.make_backbone:Letters", "letters", {})
MARKS = {"ray": [pytest.mark.ray, pytest.mark.filterwarnings("ignore")]}  # Ray's own warnings
NAMES = [pytest.param(n, marks=MARKS.get(n, ())) for n in plugins.available(plugins.EXECUTORS)]
SLOW = MARKS | {"slurm": pytest.mark.slow}  # a task's imports take seconds; one test runs always
SOMETIMES = [pytest.param(n, marks=SLOW.get(n, ())) for n in plugins.available(plugins.EXECUTORS)]
OPTIONS = {"slurm": {"parts_per_task": 100}}


@pytest.fixture(scope="module")
def ray_here():
    ray = pytest.importorskip("ray", reason="ray is not installed")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def job(tmp_path, monkeypatch, request):
    if "ray" in request.node.name:
        request.getfixturevalue("ray_here")
    monkeypatch.setenv("PATH", f"{fake_slurm.install(tmp_path)}{os.pathsep}{os.environ['PATH']}")
    Store.create(tmp_path / "store").add_recipe("letters", LETTERS.recipe)
    return Job(root=tmp_path, store=tmp_path / "store", requests=(LETTERS,), batch_clips=2)


def job_of(job, texts, part_clips=3):
    clips = [Clip(f"c{k:03}", text=text) for k, text in enumerate(texts)]
    folders = Store(job.store).recipes
    return write_job(job, make_plan(job, folders, clips, part_clips=part_clips).parts)


def run(name, workers, folder, progress=None):
    runner = make_executor(name, workers, OPTIONS.get(name, {}))
    report = runner.run(folder, folder.parts, progress or Progress())
    if report.worker_command:  # it starts nothing: `emo job work` does
        work(folder.path, workers=workers)
    return report


@pytest.mark.parametrize("name", SOMETIMES)
@pytest.mark.parametrize("workers", [1, 2])
def test_every_clip_once_and_failures_reported(name, workers, job):
    heard = []
    folder = job_of(job, [f"text {k}" for k in range(10)] + ["!raise"])
    report = run(name, workers, folder, Progress(heard.append))
    recipe = Store(job.store).recipes["letters"]
    assert sorted(recipe.ids) == [f"c{k:03}" for k in range(10)]
    assert recipe.failures == {"c010": "this clip asked to fail"}
    assert not verify(Store(job.store)).problems
    seen = status(folder.path)
    assert (seen.is_done, seen.clips, seen.failed, seen.logs.clips) == (True, 11, 1, 11)
    assert "c010 (letters): this clip asked to fail" in seen.table()
    stages = seen.logs.work.stages
    assert [stages[name].items for name in ("decode", "encode", "write")] == [11, 11, 4]
    if not (
        report.submitted or report.worker_command
    ):  # a scheduler hears of clips through the logs alone
        assert report.failures["letters"] == recipe.failures
        assert (report.clips, len(heard), sum(heard), report.lost) == (11, 11, 1, [])
        assert report.work.stage("encode").items == 11
    assert not report.is_stopped


@pytest.mark.parametrize("name", SOMETIMES)
def test_two_runs_of_one_job_are_harmless(name, job):
    folder = job_of(job, ["a", "b", "c", "d"])
    run(name, 1, folder)
    before = status(folder.path).logs.clips
    assert run(name, 1, folder).clips == 0
    assert status(folder.path).logs.clips == before == 4
    assert len(list((job.store / "letters").glob("part-*"))) == len(folder.parts)


@pytest.mark.parametrize("name", NAMES)
def test_a_clip_that_kills_its_worker_is_found_and_its_neighbours_are_done(name, job):
    texts = ["a", "b", "c", "d", "!segv", "e", "f", "g", "h"]
    folder = job_of(job, texts, part_clips=6)
    run(name, 2, folder)
    recipe = Store(job.store).recipes["letters"]
    assert sorted(recipe.ids) == [f"c{k:03}" for k in range(9) if k != 4]
    assert list(recipe.failures) == ["c004"]
    assert "its worker died" in recipe.failures["c004"]
    assert name == "ray" or "SIGSEGV" in recipe.failures["c004"]
    assert status(folder.path).deaths >= 2


def _stop_soon(job, texts, seconds, number, answers):
    thread = threading.Timer(seconds, os.kill, (os.getpid(), number))
    thread.start()
    report = run("local", 1, job_of(job, texts, part_clips=1000))
    thread.join()
    answers.put((report.exit_code, report.clips))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_a_stop_signal_commits_what_is_finished(number, job):
    texts = ["!sleep"] * 200
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=_stop_soon, args=(job, texts, 0.5, number, answers))
    began = time.monotonic()
    process.start()
    code, clips = answers.get(timeout=30)
    process.join()
    assert code == 75
    assert time.monotonic() - began < 5
    assert 0 < clips < 200
    assert len(Store(job.store).recipes["letters"].ids) == clips


def test_the_example_of_the_contract_runs_a_job(job):
    """The docstring's own doctest has no parts to run."""
    names = {**vars(executor), "run_parts": run_parts, "time": time}
    for example in doctest.DocTestParser().get_examples(executor.__doc__)[:-1]:
        exec(example.source, names)
    kind, folder = names["OneByOne"], job_of(job, ["a", "b", "!raise"])
    report = kind(None, kind.Options()).run(folder, folder.parts, Progress())
    assert (report.clips, report.exit_code) == (3, 3)
    assert sorted(Store(job.store).ids("letters")) == ["c000", "c001"]
