"""Predictions whose workers are killed, or lost with a node of Ray; Slurm; Ray Data."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import emo
from emo import plugins
from emo.extract.job.folder import JobError, open_job
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.library.mean_pool import MeanPoolHead
from emo.store import PartWriter, Recipe, Store, StreamSpec
from tests.make_batches import make_manifest
from tests.real_slurm import CannotStart, slurm

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own warnings
ROOT = Path(__file__).parents[1]
CLIPS, PARTS = 40_000, 10


class SlowHead(MeanPoolHead):
    """Takes about two seconds a part, so that a node can be lost in one."""

    def forward(self, batch):
        time.sleep(0.12)
        return super().forward(batch)


@pytest.fixture(scope="module")
def cluster():
    utils = pytest.importorskip("ray.cluster_utils", reason="ray is not installed")
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    made = utils.Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    yield made, [made.add_node(**node), made.add_node(**node)]
    made.shutdown()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store, a manifest and a run with the slow head."""
    folder = tmp_path_factory.mktemp("ray")
    recipe = Recipe("fake", {"a": StreamSpec(4)})
    stored = Store.create(folder / "features").add_recipe("fake", recipe)
    values = np.random.default_rng(0).standard_normal((CLIPS, 1, 4)).astype(np.float16)
    with PartWriter(stored.path, recipe) as part:
        for row in range(CLIPS):
            part.add(f"c{row}", {"a": values[row]}, source=str(row))
    pd.DataFrame({"id": [f"c{row}" for row in range(CLIPS)], "text": "x"}).to_parquet(
        folder / "m.parquet"
    )
    labels = ["joy", "calm", "anger"] * 20
    options = FitOptions.of(head=f"{__name__}:SlowHead", epochs=1, threads=1)
    fit_head(
        make_manifest(labels, split=["train"] * 40 + ["val"] * 20), [folder / "features"],
        folder / "run", options,
    )  # fmt: skip
    return folder


def begin(made, out, *words):
    command = [
        sys.executable, "-m", "emo", "predict", made / "run", "--manifest", made / "m.parquet",
        "--features", made / "features", "--out", f"{out}/", "--allow-code", *words,
    ]  # fmt: skip
    return subprocess.Popen(
        list(map(str, command)), cwd=ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip


def at_work(out, process, workers):
    """Wait until so many workers have a part in hand; return part -> the workers' names."""
    began = time.monotonic()
    while len(found := in_hand(out)) < workers:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() - began < 150, f"{workers} at work"
        time.sleep(0.1)
    return found


def in_hand(out):
    try:
        found = open_job(out).journals().items()
    except JobError:
        return {}
    return {number: tuple(by) for number, journal in found if (by := journal.in_hand())}


def check(out):
    """Check that every clip is there once; return the parts whose worker died."""
    files = sorted(out.glob("run=*/part-*.parquet"))
    found = pd.concat([pd.read_parquet(path, columns=["id"]) for path in files])["id"]
    assert (len(found), found.is_unique, len(files)) == (CLIPS, True, PARTS)
    return {number for number, journal in open_job(out).journals().items() if journal.deaths()}


@pytest.mark.crash
def test_killed_workers_and_a_killed_parent_leave_every_clip_once(made, tmp_path, capsys):
    out = tmp_path / "predicted"
    process = begin(made, out, "--workers", 2)
    try:
        before = at_work(out, process, 2)
        (by,) = next(iter(before.values()))
        os.kill(int(by.split("/")[1].partition(".")[0]), signal.SIGKILL)
        while any(by in workers for workers in in_hand(out).values()):
            time.sleep(0.1)  # until its death is in the journal
        at_work(out, process, 2)  # another one has its part
        process.kill()
        process.wait()
        first = len(list(out.glob("run=*/part-*.parquet")))
        process = begin(made, out, "--workers", 2)
        printed, _ = process.communicate(timeout=200)
    finally:
        process.kill()
    assert process.returncode == 0, printed
    check(out)
    written = int(re.search(rf"{PARTS} parts, (\d+) written now", " ".join(printed.split()))[1])
    assert written <= PARTS - first  # workers of the first call ended their parts
    with capsys.disabled():
        print(f"\n{first} parts were there when the parent was killed; then {printed.strip()}")


@pytest.mark.slurm
def test_a_killed_task_of_slurm_is_done_by_the_retry(made, tmp_path, capsys):
    out = tmp_path / "predicted"
    try:
        with slurm(tmp_path / "site", cpus=2):
            words = ("--executor", "slurm", "--parts-per-task", 5, "--retries", 1, "--time", 10)
            process = begin(made, out, *words, "--partition", "low")
            said, _ = process.communicate(timeout=100)
            assert "submitted " in said, said
            while len(before := in_hand(out)) < 2:
                time.sleep(0.1)
            (by,) = before[max(before)]
            pid = int(by.split("/")[1].partition(".")[0])
            assert os.getpgid(pid) != os.getpgid(0)
            os.killpg(os.getpgid(pid), signal.SIGKILL)  # as when its node runs out of memory
            while subprocess.run(["squeue", "-h"], capture_output=True, check=True).stdout:
                time.sleep(0.5)
    except CannotStart as reason:
        pytest.skip(f"no Slurm can start here: {reason}")
    assert check(out) == {max(before)}
    printed, _ = begin(made, out).communicate(timeout=100)
    assert f"{PARTS} parts, 0 written now" in " ".join(printed.split())
    with capsys.disabled():
        print(f"\n{said.strip()}\nkilled in part {max(before)}; {printed.strip()}")


@pytest.mark.ray
def test_a_node_that_dies_leaves_every_clip_once(cluster, made, tmp_path, capsys):
    nodes, others = cluster
    began, out = time.monotonic(), tmp_path / "predicted"
    process = begin(made, out, "--executor", "ray", "--address", nodes.address)
    try:
        before = at_work(out, process, 3)
        nodes.remove_node(others[0], allow_graceful=False)
        printed, _ = process.communicate(timeout=200)
    finally:
        process.kill()
    assert process.returncode == 0, printed
    assert f"40,000 clips in {PARTS} parts, {PARTS} written now" in " ".join(printed.split())
    deaths = check(out)
    assert len(deaths) == 1  # of the part that the lost node had in hand
    assert deaths <= before.keys()
    with capsys.disabled():
        print(f"\n{printed.strip()}\nin hand when the node died: parts {sorted(before)};")
        print(f"part {deaths} was lost with it and redone; {time.monotonic() - began:.0f} s")


def _wait_for_dead_nodes(ray, nodes):
    """Ray plans work for a node that died until it has missed its heartbeats."""
    until = time.monotonic() + 60
    while sum(node["Alive"] for node in ray.nodes()) > len(nodes.list_all_nodes()):
        assert time.monotonic() < until
        time.sleep(0.5)


@pytest.mark.ray
def test_ray_data_maps_batches_by_the_predictor(cluster, made):
    import ray

    nodes, _ = cluster
    plugins.trust(f"{__name__}:SlowHead")
    ray.init(address=nodes.address, log_to_driver=False,
             runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}})  # fmt: skip
    try:
        _wait_for_dead_nodes(ray, nodes)
        table = ray.data.read_parquet(str(made / "m.parquet")).limit(600).map_batches(
            emo.Predictor,
            fn_constructor_kwargs={
                "run": str(made / "run"), "features": str(made / "features"), "head": SlowHead,
            },
            batch_size=128,
            concurrency=1,
        )  # fmt: skip
        found = table.to_pandas().set_index("id")
    finally:
        ray.shutdown()
    assert len(found) == 600
    assert (found["reason"] == "").all()
    here = emo.Predictor(made / "run", made / "features", head=SlowHead)
    expected = here({"id": found.index.to_numpy()})
    assert found["prediction"].tolist() == expected["prediction"].tolist()
    assert np.allclose(found["p_joy"], expected["p_joy"], atol=2e-6)
