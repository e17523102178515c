"""Fits in a pool of processes: results in order, and the same bits as in one process."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from emo.errors import FitError, StoreError
from emo.heads.fitting import parallel as module
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.fitting.folds.cross_validate import cross_validate
from emo.heads.fitting.parallel import run_parallel, slots
from emo.heads.fitting.threads import has_small_steps, torch_threads
from emo.ragged import Ragged
from tests.make_batches import (
    in_dialogues,
    learnable,
    make_batch,
    make_head,
    make_manifest,
    make_store,
)

SPLITS = ["train"] * 40 + ["val"] * 20 + ["test"] * 20
OPTIONS = FitOptions.of(head="mean_pool", epochs=3, seeds=3)
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or torch.accelerator.is_available(),
    reason="processes are forked on Linux, without a GPU",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    labels, tokens = learnable(80, streams=("a",))
    store = make_store(tmp_path_factory.mktemp("side") / "features", tokens)
    return make_manifest(labels, split=SPLITS), store


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_results_come_in_order_whatever_takes_longest(at_once):
    def work(item, tell):
        tell(item)
        time.sleep(0.05 * (item % 3))
        return item * item, os.getpid()

    told = []
    found = list(run_parallel(work, int, 9, processes=at_once, report=told.append))
    assert [square for square, _ in found] == [k * k for k in range(9)]
    assert sorted(told) == list(range(9))
    assert (os.getpid() in {pid for _, pid in found}) == (at_once == 1)


@pytest.mark.parametrize("at_once", [1, 3])
def test_an_item_is_made_when_the_results_it_may_depend_on_were_yielded(at_once):
    yielded, made = [], []

    def make(number):
        made.append((number, len(yielded)))
        return number

    for result in run_parallel(lambda item, _: item, make, 12, processes=at_once, ahead=4):
        yielded.append(result)
    assert [number for number, _ in made] == list(range(12))
    assert all(known >= number - 3 for number, known in made)


def test_errors_keep_their_kind_and_stop_the_others(tmp_path):
    def work(item, _):
        if item == 1:
            raise StoreError("clip 7 is not there")
        time.sleep(30)

    began = time.monotonic()
    with pytest.raises(StoreError, match="clip 7 is not there"):
        list(run_parallel(work, int, 3, processes=3))
    assert time.monotonic() - began < 10

    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        list(run_parallel(lambda item, _: 1 / item, int, 2, processes=2))


def test_a_process_that_is_killed_is_told():
    def work(item, _):
        if item == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    with pytest.raises(FitError, match=r"died \(SIGKILL\).*fewer --threads"):
        list(run_parallel(work, int, 4, processes=2))


def test_a_process_that_died_while_it_waited_is_told(monkeypatch):
    def work(item, _):
        if item == 0:
            time.sleep(0.5)
        return os.getpid()

    def make(number):
        if number == 2:  # for the one that is idle by now
            os.kill(pids[0], signal.SIGKILL)
            os.waitid(os.P_PID, pids[0], os.WEXITED | os.WNOWAIT)
        return number

    pids = []
    started = module._WorkerPool.receive
    monkeypatch.setattr(
        module._WorkerPool, "receive",
        lambda pool: {n: pids.append(pid) or pid for n, pid in started(pool).items()},
    )  # fmt: skip
    with pytest.raises(FitError, match=r"died \(SIGKILL\)"):
        list(run_parallel(work, make, 3, processes=2))


ORPHAN = """
import os, sys, time
from emo.heads.fitting.parallel import run_parallel

def work(item, tell):
    tell(os.getpid())
    time.sleep(60)

list(run_parallel(work, int, 2, processes=2, report=lambda pid: print(pid, flush=True)))
"""


def test_nobody_goes_on_when_the_parent_is_killed():
    with subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        children = [int(parent.stdout.readline()) for _ in range(2)]
        parent.kill()
    deadline = time.monotonic() + 10
    while any(is_running(pid) for pid in children):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("head", ["mean_pool", "linear", "dialogue_bilstm"])
def test_seeds_have_the_same_bits_on_any_number_of_threads(made, head):
    """A seed in a pool, and a single fit of small steps, runs on one thread."""
    manifest, store = made
    if head == "dialogue_bilstm":
        clips = [
            dataclasses.replace(c, dialogue=f"d{k // 3}") for k, c in enumerate(manifest.clips)
        ]
        manifest = dataclasses.replace(manifest, clips=tuple(clips))
    options = FitOptions.of(head=head, epochs=12, patience=3)
    if head == "linear":
        options = FitOptions(head=head, head_options={"penalties": "3", "fusion": "late"})
    ways = ((1, 3), (2, 3), (4, 3), (2, 1))
    asked = [dataclasses.replace(options, threads=t, seeds=s) for t, s in ways]
    runs = [fit_head(manifest, [store], None, each) for each in asked]
    for run in runs[1:]:
        for ours, theirs in zip(runs[0].outcomes, run.outcomes, strict=False):
            assert ours.history == theirs.history
            assert all(torch.equal(ours.state[name], theirs.state[name]) for name in ours.state)
    for run in runs[1:3]:
        probabilities = [r.scores["test"].probabilities for r in (runs[0], run)]
        assert np.array_equal(*probabilities)


def test_a_search_finds_the_same_on_any_number_of_threads(made, tmp_path):
    manifest, store = made
    options = dataclasses.replace(OPTIONS, search=9, seeds=1)
    tables = []
    for threads in (1, 2, 4):
        run = tmp_path / str(threads)
        fit_head(manifest, [store], run, dataclasses.replace(options, threads=threads))
        tables.append(pd.read_csv(run / "search.csv"))
    for table in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], table)


def test_folds_have_the_same_bits_on_any_number_of_threads(made):
    manifest, store = made
    options = dataclasses.replace(OPTIONS, seeds=2)
    one, three = (
        cross_validate(
            manifest, [store], None, dataclasses.replace(options, threads=threads), by="4"
        )
        for threads in (1, 3)
    )
    assert [fold.history for fold in one.folds] == [fold.history for fold in three.folds]
    assert one.pooled.metrics == three.pooled.metrics


def test_started_processes_do_what_forked_ones_do(made, monkeypatch):
    """Test spawned processes as on systems without fork: what is sent to them can be pickled.

    A pool is one process here: each takes 2 s to start.
    """
    manifest, store = made
    options = dataclasses.replace(OPTIONS, threads=2)
    forked = fit_head(manifest, [store], None, options)
    monkeypatch.setattr(module, "_start_method", lambda: "spawn")
    monkeypatch.setattr(module, "WORTH_SECONDS", 0.0)
    pool = module._WorkerPool
    monkeypatch.setattr(module, "_WorkerPool", lambda work, _, report: pool(work, 1, report))
    started = fit_head(manifest, [store], None, options)
    for ours, theirs in zip(forked.outcomes, started.outcomes, strict=True):
        assert all(torch.equal(ours.state[name], theirs.state[name]) for name in ours.state)
    folds = cross_validate(manifest, [store], None, options, by="3")
    assert len(folds.folds) == 3


def test_short_fits_start_no_processes_where_that_takes_long(monkeypatch):
    monkeypatch.setattr(module, "_start_method", lambda: "spawn")
    found = list(run_parallel(lambda item, _: os.getpid(), int, 4, processes=2))
    assert set(found) == {os.getpid()}


def test_with_a_gpu_only_the_command_starts_processes(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    with torch_threads(None):
        torch.set_num_threads(3)
        assert slots(5, is_small=True) == 1
        monkeypatch.setattr(sys.modules["__main__"], "__file__", "/usr/bin/emo", raising=False)
        monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
        assert slots(5, is_small=True) == 3


def test_one_of_several_fits_makes_no_room_for_others():
    with torch_threads(None):
        torch.set_num_threads(3)
        inside = list(run_parallel(lambda item, _: slots(5, is_small=True), int, 2, processes=2))
        assert inside == [1, 1]
        assert [slots(5, is_small=small) for small in (True, False)] == [3, 3]
        assert [slots(2, is_small=small) for small in (True, False)] == [2, 1]


@pytest.mark.parametrize(
    ("name", "batch_size", "is_expected"),
    [
        ("mean_pool", 60, True),
        ("mean_pool", 4000, False),  # 4,000 clips by 10,000 x 128 weights
        ("dialogue_bilstm", 8, True),
        ("dialogue_bilstm", 4000, False),
        ("linear", 1, False),  # all clips and penalties at once, whatever a batch is
    ],
)
def test_a_step_is_small_by_what_it_multiplies(name, batch_size, is_expected):
    wide = Ragged(torch.zeros(4000, 10_000), torch.arange(4001))  # sizes alone count
    batch = dataclasses.replace(make_batch([1] * 4000), streams={"s/a": wide})
    batch = in_dialogues(batch, name)
    head = make_head(name, batch)
    assert has_small_steps(head, batch, batch_size) == is_expected
    assert has_small_steps(make_head(name, few := in_dialogues(make_batch([2] * 9), name)), few, 32)
