"""A real Slurm: tasks killed, cancelled, preempted in mid-part; a resume makes the store whole."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from emo.extract.job.folder import open_job
from emo.extract.job.logs import read_logs
from emo.extract.job.missing import missing_parts
from emo.extract.job.slurm_queue import submissions, task_states
from emo.machine.table import format_table
from emo.store.maintain.verify import verify
from emo.store.store import Store
from tests.real_slurm import CannotStart, slurm

pytestmark = pytest.mark.slurm
ROOT = Path(__file__).parents[3]
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
    command = [sys.executable, "-m", "emo", *map(str, words)]
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
    states = task_states(folder.path).items()
    return {parts.start // PARTS_PER_TASK for parts, state in states if state == "RUNNING"}


def slurm_id(folder, task):
    """Slurm's name of a task as it was submitted last."""
    owners = [each for each in submissions(folder.path) if each.offset <= task]
    owner = max(owners, key=lambda each: (each.offset, int(each.id)))
    return f"{owner.id}_{task - owner.offset}"


def kill_task(task, each=PARTS_PER_TASK):
    """SIGKILL to all processes of a task, as when a node runs out of memory."""
    first = task * each
    words = f"--part\0{first}-{first + each - 1}\0".encode()
    pids = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if words in path.read_bytes():
                pids.append(int(path.parent.name))
        except OSError:
            continue
    (pid,) = pids
    assert os.getpgid(pid) != os.getpgid(0)
    os.killpg(os.getpgid(pid), signal.SIGKILL)


def raw_ids():
    """``12_3`` -> the number under which jobcomp/filetxt knows the task."""
    printed = subprocess.run(
        ["squeue", "-h", "-r", "-o", "%F_%K %A"], capture_output=True, text=True, check=True
    ).stdout
    return dict(line.split() for line in printed.splitlines())


def accounts(raw):
    """What sacct tells of ended tasks: Slurm's name -> state, exit code, start, end."""
    columns = "JobIDRaw,State,ExitCode,Start,End"
    words = ["sacct", "-c", "-n", "-P", "-S", "2020-01-01", "-o", columns]

    def rows():
        told = subprocess.run(words, capture_output=True, text=True, check=False).stdout
        found = {row[0]: row[1:] for line in told.splitlines() if len(row := line.split("|")) == 5}
        return {key: found[number] for key, number in raw.items() if number in found}

    wait_until(lambda: len(rows()) == len(raw), "sacct does not tell of all tasks")
    return rows()


@dataclass(frozen=True)
class Fault:
    what: str
    task: int
    part: int
    """In hand at that moment, by its journal."""
    state: str
    """By squeue, just before."""

    def row(self, lacking, first, second):
        """For people; ``first`` and ``second`` run of the task are sacct's."""
        name, (state, exit_code, start, end) = first
        again, (state_again, *_) = second
        parts = {part: n for part, n in lacking.items() if part // PARTS_PER_TASK == self.task}
        return {
            "fault": self.what, "Slurm task": name, "squeue before": self.state,
            "in part": self.part, "sacct after": f"{state} {exit_code}",
            "ran": f"{start[11:]}-{end[11:]}", "clips lacking by part": str(parts)[1:-1],
            "redone by": f"{again} {state_again}",
        }  # fmt: skip


def fault(folder, what, task):
    """What is true of a task now, at the moment of its fault."""
    part = wait_until(lambda: parts_in_hand(folder).get(task, -1) + 1, "it is at no part") - 1
    (state,) = (s for parts, s in task_states(folder.path).items() if part in parts)
    assert state == "RUNNING"
    return Fault(what, task, part, state)


def test_killed_cancelled_and_preempted_tasks_are_made_whole_by_resume(cluster, tmp_path, capsys):
    began = time.monotonic()
    manifest = tmp_path / "m.csv"
    rows = [f"c{k:02},!nap clip {k}" for k in range(CLIPS)]
    manifest.write_text("\n".join(["id,text", *rows]) + "\n")
    out = tmp_path / "my features"
    printed = emo(
        "extract", manifest, "--backbone", "tests.make_backbone:Letters", "--out", out,
        "--executor", "slurm",
        "--part-clips", PART_CLIPS, "--parts-per-task", PARTS_PER_TASK, "--partition", "low",
        "--time", 10, "--cpus-per-task", 1,
    )  # fmt: skip
    folder = open_job(out)
    assert re.search(r"submitted \d+ \d+\n", printed)  # four tasks, arrays of three at most
    wait_until(lambda: len(parts_in_hand(folder)) == TASKS, "not every task is at a part")
    assert running(folder) == set(range(TASKS))
    raw = raw_ids()
    first = {task: slurm_id(folder, task) for task in range(TASKS)}

    candidates = [fault(folder, "preempted", task) for task in range(TASKS)]
    subprocess.run(["sbatch", "-p", "high", "-o", "/dev/null", "--wrap", "sleep 1"], check=True)
    (gone,) = wait_until(lambda: set(range(TASKS)) - running(folder), "nobody was preempted")
    killed, cancelled = sorted(set(range(TASKS)) - {gone})[:2]
    faults = [candidates[gone], fault(folder, "kill -9", killed)]
    kill_task(killed)
    faults.append(fault(folder, "scancel", cancelled))
    subprocess.run(["scancel", first[cancelled]], check=True)

    wait_until(lambda: not task_states(folder.path), "tasks are still in the queue")
    told = accounts({name: raw[name] for name in first.values()})
    assert told[first[gone]][0] == "PREEMPTED"
    assert told[first[cancelled]][0] == "CANCELLED"
    assert told[first[killed]][:2] == ["FAILED", "0:9"]
    lacking = {each.part: each.clips for each in missing_parts(folder)}
    assert {part // PARTS_PER_TASK for part in lacking} == {gone, killed, cancelled}
    before = emo("job", "status", out)
    printed += emo("job", "resume", out)
    second = {task: slurm_id(folder, task) for task in (gone, killed, cancelled)}
    raw = raw_ids()
    wait_until(lambda: not task_states(folder.path), "the second run does not end")
    told |= accounts({name: raw[name] for name in second.values()})
    assert {told[name][0] for name in second.values()} == {"COMPLETED"}

    (recipe,) = Store(out).recipes.values()
    assert sorted(recipe.ids) == [f"c{k:02}" for k in range(CLIPS)]
    assert not recipe.failures
    checked = verify(Store(out))
    assert checked.problems == []
    assert checked.recipes[0].overlaps == 0
    assert "16 done" in emo("job", "status", out)
    times = Counter(line["clip"] for line in read_logs(folder.logs) if line["event"] == "clip")
    twice = sorted(clip for clip, count in times.items() if count > 1)
    assert len(twice) <= PART_CLIPS  # of the killed worker's part; who is told commits
    table = [
        each.row(lacking, *((run[each.task], told[run[each.task]]) for run in (first, second)))
        for each in faults
    ]
    with capsys.disabled():
        print(f"\n{CLIPS} clips in {CLIPS // PART_CLIPS} parts, {TASKS} tasks")
        print(f"{printed}\n{before}\n{format_table(table)}")
        print(f"clips done twice: {twice}; of {len(recipe.ids)} in the store each is there once")
        print(f"{checked.table()}\n{time.monotonic() - began:.0f} s")


def test_retries_submit_what_is_missing_without_anybody_there(cluster, tmp_path, capsys):
    manifest, out = tmp_path / "m.csv", tmp_path / "features"
    manifest.write_text("id,text\n" + "".join(f"c{k},!nap {k}\n" for k in range(8)))
    emo(
        "extract", manifest, "--backbone", "tests.make_backbone:Letters", "--out", out,
        "--executor", "slurm",
        "--part-clips", 4, "--partition", "low", "--time", 10, "--retries", 1,
    )  # fmt: skip
    folder = open_job(out)
    wait_until(lambda: len(folder.journals()) == 2, "not every task is at a part")
    kill_task(1, each=1)
    wait_until(lambda: not raw_ids(), "jobs are still in the queue", seconds=120)
    (recipe,) = Store(out).recipes.values()
    assert sorted(recipe.ids) == [f"c{k}" for k in range(8)]
    assert not (folder.path / "slurm-retry.sh").read_text().count("--retries 1")
    said = [path.read_text().strip() for path in folder.logs.glob("slurm-retry-*.out")]
    assert said[0].startswith("submitted")
    with capsys.disabled():
        print(f"\ntask 1 killed -9; the retry task said: {said}")
