"""What `emo job resume` is told holds for the tasks and retries that a scheduler starts later."""

import os
import shlex
import subprocess

import pytest

from emo.extract.job.folder import open_job
from tests import fake_slurm

LETTERS = "tests.make_backbone:Letters"


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A Slurm that takes every array and runs nothing."""
    commands = fake_slurm.install(tmp_path, runs=False)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    rows = [f"c{k},text {k}\n" for k in range(8)]
    (tmp_path / "m.csv").write_text("id,text\n" + "".join(rows))
    return tmp_path


def plan(emo, *words):
    return emo("extract", "m.csv", "--backbone", LETTERS, "--part-clips", 2, *words)


def retry(emo, job):
    """What the retry task runs; the words after `resume JOB` too."""
    line = (job / "slurm-retry.sh").read_text().splitlines()[-1]
    words = shlex.split(line)
    assert words[2:6] == ["-m", "emo", "job", "resume"]
    assert emo(*words[4:])[0] == 0
    return words[7:]


def submitted(slurm):
    return len(list((slurm / "calls").iterdir()))


def test_retries_keep_the_limits_that_resume_was_given(emo, slurm):
    plan(emo, "--executor", "slurm", "--time", "1:00:00", "--partition", "low", "--workers", 3)
    job = open_job(slurm / "features").path
    code, *_ = emo(
        "job", "resume", "features", "--time", "8:00:00", "--sbatch-arg=--mem=64G",
        "--retries", 2, "--parts-per-task", 2,
    )  # fmt: skip
    assert code == 0
    told = (job / "slurm.sh").read_text()
    for words in ("--time=8:00:00", "--mem=64G", "--partition=low", "first=$(( task * 2 ))",
                  "--workers 3"):  # fmt: skip
        assert words in told
    assert retry(emo, job) == ["--retries", "1", "--allow-code"]
    assert (job / "slurm.sh").read_text() == told
    assert retry(emo, job) == ["--retries", "0", "--allow-code"]
    assert (job / "slurm.sh").read_text() == told
    assert submitted(slurm) == 6  # the first; three resumes, of which two have a task that retries
    assert "retries" not in open_job(job).executor_options  # workers bear as many deaths as ever


def test_a_local_job_given_to_slurm_stays_there(emo, slurm):
    plan(emo)
    for part in (slurm / "features" / "letters").glob("part-*"):
        part.unlink()
    words = ("--executor", "slurm", "--retries", 2, "--time", "8:00:00", "--workers", 2)
    assert emo("job", "resume", "features", *words)[0] == 0
    job = open_job(slurm / "features")
    assert (job.executor, job.workers) == ("slurm", 2)
    assert job.executor_options == {"time": "8:00:00"}
    before = submitted(slurm)
    retry(emo, job.path)
    assert submitted(slurm) == before + 2
    assert not list((slurm / "features" / "letters").glob("part-*"))  # nothing ran in that task


def test_a_resume_on_this_machine_leaves_what_slurm_was_asked(emo, slurm):
    plan(emo, "--executor", "slurm", "--partition", "low")
    job = open_job(slurm / "features")
    assert emo("job", "resume", "features", "--executor", "local", "--workers", 1)[0] == 0
    assert open_job(job.path) == job


def test_a_job_folder_that_cannot_be_written_is_one_line(emo, slurm, monkeypatch):
    plan(emo, "--executor", "slurm")

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    code, _, err = emo("job", "resume", "features", "--time", "1:00:00")
    assert (code, "no space left" in err.lower(), len(err.splitlines())) == (1, True, 1)
    assert not list((slurm / "features" / ".jobs" / "0001").glob(".job*"))


@pytest.mark.parametrize(
    "words",
    [
        ("--batch-clips", 0), ("--batch-clips", -3), ("--workers", 0), ("--part-clips", 0),
        ("--executor", "slurm", "--workers", -1),
    ],
)  # fmt: skip
def test_numbers_that_would_never_do_anything_are_refused(emo, slurm, words):
    code, _, err = plan(emo, *words)
    assert (code, "expected 1 or more, got" in err) == (1, True)
    assert not (slurm / "features").exists()


@pytest.mark.parametrize("mode", ["run", "resume"])
@pytest.mark.parametrize("workers", [0, -1])
def test_a_job_is_not_gone_on_with_by_nobody(emo, slurm, mode, workers):
    plan(emo, "--executor", "slurm")
    code, _, err = emo("job", mode, "features", "--workers", workers)
    assert (code, f"--workers: expected 1 or more, got {workers}" in err) == (1, True)


@pytest.mark.parametrize("script", ["slurm.sh", "slurm-retry.sh"])
def test_setup_lines_may_read_variables_that_are_not_set(emo, slurm, script):
    setup = 'if [ -n "$NO_SUCH_VARIABLE" ]; then exit 9; fi; python() { echo "ran $*"; exit; }'
    plan(emo, "--executor", "slurm", "--retries", 1, "--env-setup", setup)
    path = open_job(slurm / "features").path / script
    text = path.read_text().replace("exec python", "python")
    done = subprocess.run(
        ["bash", "-c", text], capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "SLURM_ARRAY_TASK_ID": "1"},
    )  # fmt: skip
    assert done.stdout.startswith("ran -m emo job r"), done.stderr


def test_a_site_without_job_arrays_is_said(emo, slurm):
    scontrol = slurm / "bin" / "scontrol"
    scontrol.write_text("#!/bin/bash\necho 'MaxArraySize            = 0'\n")
    code, _, err = plan(emo, "--executor", "slurm")
    assert (code, "MaxArraySize = 0" in err, submitted(slurm)) == (1, True, 0)
