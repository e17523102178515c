"""A real Ray cluster of three nodes: one dies in mid-job, one joins; every clip exactly once."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emo.errors import StoreError
from emo.extract.executors._pool import WorkerDied
from emo.extract.job.folder import latest_job, open_job
from emo.store.maintain.verify import verify
from emo.store.store import Store
from tests.extract import letters_job
from tests.mounts import mount, small_disk

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore")]  # Ray's own warnings
ROOT = Path(__file__).parents[3]
CLIPS, PART_CLIPS = 45, 3


@pytest.fixture(scope="module")
def cluster():
    utils = pytest.importorskip("ray.cluster_utils", reason="ray is not installed")
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    made = utils.Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    yield made, [made.add_node(**node), made.add_node(**node)], node
    made.shutdown()


def wait_until(is_so, what, process, seconds=120):
    end = time.monotonic() + seconds
    while not (found := is_so()):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end, what
        time.sleep(0.2)
    return found


def in_hand(out):
    """Worker -> the part that it is at."""
    path = latest_job(out)
    journals = open_job(path).journals().items() if path else ()
    return {by: number for number, journal in journals for by in journal.in_hand()}


def test_a_node_that_dies_and_one_that_joins_lose_and_double_nothing(cluster, tmp_path, capsys):
    nodes, others, node = cluster
    began = time.monotonic()
    manifest, out = tmp_path / "m.csv", tmp_path / "features"
    rows = [f"c{k:02},!nap clip {k}" for k in range(CLIPS)]
    manifest.write_text("\n".join(["id,text", *rows]) + "\n")
    command = [
        sys.executable, "-m", "emo", "extract", manifest, "--backbone",
        "tests.make_backbone:Letters", "--out", out, "--executor", "ray", "--address",
        nodes.address, "--part-clips", PART_CLIPS, "--batch-clips", 1,
    ]  # fmt: skip
    process = subprocess.Popen(
        list(map(str, command)), cwd=ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        before = wait_until(lambda: len(in_hand(out)) == 3 and in_hand(out), "3 at work", process)
        nodes.remove_node(others[0], allow_graceful=False)
        nodes.add_node(**node)
        printed, _ = process.communicate(timeout=150)
    finally:
        process.kill()
    assert process.returncode == 0, printed

    folder = open_job(out)
    (recipe,) = Store(out).recipes.values()
    assert sorted(recipe.ids) == [f"c{k:02}" for k in range(CLIPS)]
    checked = verify(Store(out))
    assert (checked.problems, checked.recipes[0].overlaps) == ([], 0)
    deaths = {number: journal.deaths() for number, journal in folder.journals().items()}
    assert len(deaths) == 1  # of the part that the lost node had in hand
    (lost,) = deaths
    assert lost in before.values()
    workers = {path.name: path.read_text().splitlines() for path in folder.logs.glob("*.jsonl")}
    done = {name: sum('"clip"' in line for line in lines[1:]) for name, lines in workers.items()}
    assert len(done) >= 4  # three, and one on the node that joined
    assert all(json.loads(lines[0])["event"] == "start" for lines in workers.values())
    with capsys.disabled():
        print(f"\n{printed.strip()}\nat work when the node died: parts {sorted(before.values())};")
        print(f"part {lost} was lost with it and redone; clips by worker: {sorted(done.values())}")
        print(f"{checked.table()}\n{time.monotonic() - began:.0f} s")


def test_a_full_disk_ends_the_job_with_its_line_and_more_room_completes_it(cluster, tmp_path, emo):
    nodes, *_ = cluster
    with small_disk(tmp_path / "disk", 27 * 4096) as disk:
        store = disk / "features"
        words = letters_job.words(letters_job.write_manifest(tmp_path), store)
        command = [sys.executable, "-m", "emo", *words, "--executor", "ray", "--address"]
        command = [*map(str, command), nodes.address]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert ended.returncode == 1
        assert "no space left to write" in ended.stderr.splitlines()[-1]
        assert 0 < len(letters_job.hashes(store)) < letters_job.CLIPS
        mount("-o", "remount,size=1m", disk)
        assert emo(*words)[0] == 0  # by the local executor: Ray takes half a minute to start
        assert len(letters_job.hashes(store)) == letters_job.CLIPS


def test_a_worker_that_could_not_be_made_says_why():
    ray = pytest.importorskip("ray", reason="ray is not installed")
    from emo.extract.executors.ray import _meaning

    traceback = (
        "\x1b[36mray::_Actor.__init__()\x1b[39m (pid=7, ip=10.0.0.3, actor_id=00ff)\n"
        '  File "emo/extract/work.py", line 9, in __init__\n    self.store = Store(job.store)\n'
        "FileNotFoundError: [Errno 2] No such file\n\nDuring handling of it, another:\n\n"
        "emo.errors.StoreError: /data/features is no store (No such file or directory)"
    )
    cause = ray.exceptions.RayTaskError("__init__", traceback, StoreError("x"), "worker", 7, "ip")
    meant = _meaning(ray.exceptions.ActorDiedError(cause))
    assert meant == WorkerDied("StoreError: /data/features is no store (No such file or directory)")
    assert _meaning(ray.exceptions.ActorDiedError()) == WorkerDied(None)
