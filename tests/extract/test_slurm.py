"""A real Slurm: tasks killed, cancelled, preempted in mid-part; --resume makes the store whole."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emo.extract.job_folder import open_job
from emo.extract.missing import missing_parts
from emo.extract.scheduler import submissions, task_states
from emo.store.maintain import verify
from emo.store.store import Store
from tests.real_slurm import CannotStart, slurm

pytestmark = pytest.mark.slurm
ROOT = Path(__file__).parents[2]
CLIPS, PART_CLIPS, PARTS_PER_TASK = 64, 4, 4
TASKS = CLIPS // PART_CLIPS // PARTS_PER_TASK
MAX_ARRAY_SIZE = 3  # so that four tasks are two arrays


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slurm") / "site"
    try:
        with slurm(folder, cpus=TASKS, max_array_size=MAX_ARRAY_SIZE) as site:
            yield site
    except CannotStart as reason:
        pytest.skip(f"no Slurm can start here: {reason}")


def emo(*words):
    command = [sys.executable, "-m", "emo", "extract", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def wait_until(is_so, what, seconds=90):
    end = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < end, what
        time.sleep(0.2)
    return found


def parts_in_hand(folder):
    """Task -> the part that a worker of it is at now."""
    held = [number for number, journal in folder.journals().items() if journal.in_hand()]
    return {number // PARTS_PER_TASK: number for number in held}


def running(folder):
    states = task_states(folder.path)
    return {task for task, state in states.items() if state == "RUNNING"}


def slurm_id(folder, task):
    owner = max((s for s in submissions(folder.path) if s.offset <= task), key=lambda s: s.offset)
    return f"{owner.id}_{task - owner.offset}"


def kill_task(task, each=PARTS_PER_TASK):
    """SIGKILL to the process that Slurm started for a task."""
    first = task * each
    words = f"--part\0{first}-{first + each - 1}\0".encode()
    pids = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if words in path.read_bytes():
                pids.append(int(path.parent.name))
        except OSError:
            continue
    assert len(pids) == 1
    os.kill(pids[0], signal.SIGKILL)


def raw_ids():
    """``12_3`` -> the number under which jobcomp/filetxt knows the task."""
    printed = subprocess.run(
        ["squeue", "-h", "-r", "-o", "%F_%K %A"], capture_output=True, text=True, check=True
    ).stdout
    return dict(line.split() for line in printed.splitlines())


def end_of(site, raw_id):
    """Slurm's own word for how a task ended."""
    text = (site / "completed.txt").read_text()
    return re.search(rf"^JobId={raw_id} .*?JobState=(\w+)", text, re.M)[1]


def test_killed_cancelled_and_preempted_tasks_are_made_whole_by_resume(cluster, tmp_path, capsys):
    began = time.monotonic()
    manifest = tmp_path / "m.csv"
    rows = [f"c{k:02},!nap clip {k}" for k in range(CLIPS)]
    manifest.write_text("\n".join(["id,text", *rows]) + "\n")
    out = tmp_path / "my features"
    printed = emo(
        manifest, "--backbone", "tests.make_backbone:Letters", "--out", out, "--executor", "slurm",
        "--part-clips", PART_CLIPS, "--parts-per-task", PARTS_PER_TASK, "--partition", "low",
        "--time", 10, "--cpus-per-task", 1,
    )  # fmt: skip
    folder = open_job(out)
    assert re.search(r"submitted \d+ \d+\n", printed)  # four tasks, arrays of three at most
    wait_until(lambda: len(parts_in_hand(folder)) == TASKS, "not every task is at a part")
    assert running(folder) == set(range(TASKS))
    raw, note = raw_ids(), {}

    at = parts_in_hand(folder)
    subprocess.run(["sbatch", "-p", "high", "-o", "/dev/null", "--wrap", "sleep 1"], check=True)
    gone = wait_until(lambda: set(range(TASKS)) - running(folder), "nobody was preempted")
    (preempted,) = gone
    note["preempted"] = (preempted, at[preempted])
    killed, cancelled = sorted(set(range(TASKS)) - gone)[:2]
    at = parts_in_hand(folder)
    assert {killed, cancelled} <= running(folder)
    kill_task(killed)
    note["killed -9"] = (killed, at[killed])
    at = parts_in_hand(folder)
    assert cancelled in running(folder)
    subprocess.run(["scancel", slurm_id(folder, cancelled)], check=True)
    note["scancelled"] = (cancelled, at[cancelled])

    wait_until(lambda: not task_states(folder.path), "tasks are still in the queue")
    ended = {task: end_of(cluster, raw[slurm_id(folder, task)]) for task in range(TASKS)}
    assert ended[preempted] == "PREEMPTED"
    assert ended[cancelled] == "CANCELLED"
    lacking = {each.part: each.clips for each in missing_parts(folder)}
    lost = {part // PARTS_PER_TASK for part in lacking}
    assert lost == {preempted, killed, cancelled}
    before = emo("--status", out)
    again = emo("--resume", out)
    wait_until(lambda: not task_states(folder.path), "the second run does not end")

    (recipe,) = Store(out).recipes.values()
    assert sorted(recipe.ids) == [f"c{k:02}" for k in range(CLIPS)]
    assert not recipe.failures
    checked = verify(Store(out))
    assert checked.problems == []
    assert checked.recipes[0].overlaps == 0
    assert "16 done" in emo("--status", out)
    with capsys.disabled():
        print(f"\n{CLIPS} clips in {CLIPS // PART_CLIPS} parts; {printed.splitlines()[-2]}")
        for what, (task, part) in note.items():
            first = task * PARTS_PER_TASK
            redone = {p: n for p, n in lacking.items() if p // PARTS_PER_TASK == task}
            print(
                f"{what}: task {task} (parts {first}-{first + PARTS_PER_TASK - 1}) RUNNING, in "
                f"part {part}; then {ended[task]}; clips missing then, by part: {redone}"
            )
        print(before)
        print(again.strip())
        print(checked.table())
        print(f"{time.monotonic() - began:.0f} s")


def test_retries_submit_what_is_missing_without_anybody_there(cluster, tmp_path, capsys):
    manifest, out = tmp_path / "m.csv", tmp_path / "features"
    manifest.write_text("id,text\n" + "".join(f"c{k},!nap {k}\n" for k in range(8)))
    emo(
        manifest, "--backbone", "tests.make_backbone:Letters", "--out", out, "--executor", "slurm",
        "--part-clips", 4, "--partition", "low", "--time", 10, "--retries", 1,
    )  # fmt: skip
    folder = open_job(out)
    wait_until(lambda: len(folder.journals()) == 2, "not every task is at a part")
    kill_task(1, each=1)
    wait_until(lambda: not raw_ids(), "jobs are still in the queue", seconds=120)
    (recipe,) = Store(out).recipes.values()
    assert sorted(recipe.ids) == [f"c{k}" for k in range(8)]
    assert not (folder.path / "slurm-retry.sh").read_text().count("--retries 1")
    with capsys.disabled():
        said = [path.read_text().strip() for path in folder.logs.glob("slurm-retry-*.out")]
        print(f"\ntask 1 killed -9; the retry task said: {said}")
