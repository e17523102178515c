"""An adaptation as a job of Slurm: its script; on a real Slurm kills, preemption, requeues."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from emo.adapt.slurm import words_without
from emo.adapt.training.ranks import set_slurm_ranks
from tests import fake_slurm
from tests.real_slurm import CannotStart, slurm

ROOT = Path(__file__).parents[2]
ADAPTER = "adapter/languagebind/weights/adapter_model.safetensors"


def words(clips, weights, out):
    return [
        "adapt", str(clips), "--backbone", "languagebind", "-o", f"languagebind.weights={weights}",
        "-o", "languagebind.streams=text", "--target-modules", "q_proj,v_proj",
        "--lora-dropout", ".1", "--batch-size", "4", "--out", str(out),
    ]  # fmt: skip


def test_the_script_is_a_job_of_tasks_that_go_on(weights, clips, emo, tmp_path, monkeypatch):
    commands = fake_slurm.install(tmp_path, runs=False)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    out = tmp_path / "my $adapted"
    given = words(clips, weights, out)
    job = ["--executor", "slurm", "--ntasks", "2", "--gpus-per-task=1", "--time", "1:00:00"]
    code, said, error = emo(*given, "--overwrite", *job, "--sbatch-arg=--nodes=2")
    assert code == 0, error
    assert said.startswith("submitted 100; its log is in ")
    assert (tmp_path / "calls/call-100").read_text() == f"--parsable {out}/slurm.sh\n"
    text = (out / "slurm.sh").read_text()
    for line in (
        "--ntasks=2", "--gpus-per-task=1", "--time=1:00:00", "--nodes=2", "--signal=USR1@180",
        "--requeue", "--open-mode=append",
    ):  # fmt: skip
        assert f"\n#SBATCH {line}\n" in text
    (line,) = re.findall(r"^srun .*-m emo (.*) \|\| code", text, re.M)
    assert line.endswith(f"--out '{out}' --resume")
    assert not re.search("overwrite|ntasks|sbatch-arg", line)
    assert subprocess.run(["bash", "-n", out / "slurm.sh"], check=False).returncode == 0
    code, _, error = emo(*given, *job)
    assert (code, "was not finished; --resume goes on" in error) == (1, True)
    code, said, _ = emo(*given, *job, "--resume", "--dry-run")
    assert (code, said.split()[0]) == (0, "wrote")
    code, _, error = emo(*given, "--partition", "gpu")
    assert (code, "add --executor slurm" in error) == (1, True)


def test_options_of_the_job_are_no_words_of_its_tasks():
    given = ["m.csv", "--time", "1:00", "--resume", "-o", "a.time=1", "--qos=q", "--out", "x"]
    assert words_without(given, ["time", "qos"], ["resume"]) == [
        "m.csv", "-o", "a.time=1", "--out", "x",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3", "SLURM_LOCALID": "1",
          "SLURM_STEP_NODELIST": "gpu[07-09],x1", "SLURM_JOB_ID": "20005"},
         ("3", "4", "1", "gpu07", "20005")),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, (None, None, None, None, None)),
        ({"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1", "RANK": "0"},
         ("0", None, None, None, None)),
    ],
)  # fmt: skip
def test_ranks_are_those_of_a_step_of_srun(given, expected, monkeypatch):
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    monkeypatch.setattr(os, "environ", dict(given))
    set_slurm_ranks()
    assert tuple(os.environ.get(name) for name in names) == expected


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    try:
        with slurm(tmp_path_factory.mktemp("slurm") / "site", cpus=2) as site:
            yield site
    except CannotStart as reason:
        pytest.skip(f"no Slurm can start here: {reason}")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def wait_until(is_so, what, seconds=240):
    end = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < end, what
        time.sleep(0.1)
    return found


def state_of(job):
    told = run("scontrol", "show", "job", job)
    return re.search(r"JobState=(\w+)", told)[1], re.search(r"ExitCode=(\S+)", told)[1]


def go_on(job):
    """Let an ended job start again now; Slurm would wait two minutes."""

    def is_running():
        state = state_of(job)[0]
        if state in ("FAILED", "PREEMPTED"):
            quiet("scontrol", "requeue", job)  # lost while the job is still completing
        quiet("scontrol", "update", f"JobId={job}", "StartTime=now")
        time.sleep(1)
        return state == "RUNNING"

    wait_until(is_running, "it does not start again")


def quiet(*command):
    subprocess.run(command, check=False, capture_output=True)


def pid_of_task(number, out):
    """Process of Python in a task."""
    found = []
    for pid in run("pgrep", "-f", f"m emo adapt.*{out} ").split():
        folder = Path("/proc", pid)
        program = (folder / "cmdline").read_bytes().split(b"\0")[0]
        is_task = f"SLURM_PROCID={number}\0".encode() in (folder / "environ").read_bytes()
        if is_task and b"python" in program:
            found.append(int(pid))
    (pid,) = found
    return pid


@pytest.mark.slurm
def test_killed_preempted_and_requeued_it_ends_with_the_same_bits(
    cluster, weights, clips, tmp_path, capsys
):
    """Two tasks: kill -9 to one, preemption by a job of higher priority, USR1 to the step."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    log = []

    def submit(out, *more):
        job = ["--executor", "slurm", "--ntasks", "2", "--partition", "low", "--time", "30"]
        command = [sys.executable, "-m", "emo", *words(clips, weights, out), "--epochs", "12",
                   "--save-steps", "1", *job, *more]  # fmt: skip
        done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=tmp_path,
                              check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.split()[1].rstrip(";")

    def steps(out):
        found = out.glob("checkpoints/checkpoint-*/complete.json")
        return max((int(path.parent.name[11:]) for path in found), default=0)

    def logged(out):
        return "".join(path.read_text() for path in (out / "logs").glob("*.out"))

    def after(out, job, step):
        """Wait until a checkpoint after a step is complete, in a job that runs."""
        wait_until(lambda: steps(out) > step or state_of(job)[0] == "COMPLETED", logged(out))
        assert state_of(job)[0] == "RUNNING", logged(out)
        return steps(out)

    out = tmp_path / "adapted"
    job = submit(out)
    step = after(out, job, 0)
    os.kill(pid_of_task(1, out), signal.SIGKILL)
    wait_until(lambda: state_of(job)[0] == "FAILED", "a killed task does not end the job")
    log.append(("kill -9 to task 1", step, *state_of(job)))

    go_on(job)
    step = after(out, job, steps(out))
    high = run("sbatch", "--parsable", "-p", "high", "-n", "2", "-o", "/dev/null", "--wrap",
               "sleep 3")  # fmt: skip
    wait_until(lambda: state_of(job)[0] != "RUNNING", "nobody was preempted")
    wait_until(lambda: state_of(high)[0] == "COMPLETED", "the other job does not end")
    log.append(("preempted", step, *state_of(job)))

    go_on(job)
    step = after(out, job, steps(out))
    run("scancel", "--signal=USR1", f"{job}.0")
    wait_until(lambda: state_of(job)[0] == "PENDING", f"not requeued: {logged(out)}")
    log.append(("USR1 to the step", step, *state_of(job)))
    go_on(job)
    wait_until(lambda: state_of(job)[0] == "COMPLETED", "it does not end")
    log.append(("end", json.loads((out / "adapt.json").read_text())["steps"], *state_of(job)))

    whole = tmp_path / "whole"
    again = submit(whole)
    wait_until(lambda: state_of(again)[0] == "COMPLETED", "the uninterrupted one does not end")
    ours, theirs = load_file(out / ADAPTER), load_file(whole / ADAPTER)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    with capsys.disabled():
        print(f"\n{log}\n{logged(out)}")
