"""A job folder that emo wrote when the options of all executors were one object still resumes.

golden_job_v1 was written by commit c6d27e4, from four texts, with its folder called ROOT since:
emo extract m.csv --backbone tests.make_backbone:Letters --executor slurm --dry-run --part-clips 2
--partition low --time 1:00:00 --sbatch-arg=--mem=1G --env-setup "module load cuda" --retries 2
--parts-per-task 2 --gpus-per-task 1 --workers 3
"""

import os
from pathlib import Path

import pytest

from emo import plugins
from emo.errors import OptionError
from emo.extract.job.folder import open_job
from emo.extract.job.request import make_request
from emo.extract.resume import resume
from emo.store.store import Store
from tests import fake_slurm

GOLDEN = Path(__file__).parent / "golden_job_v1"
LETTERS = make_request("tests.make_backbone:Letters", "letters", {})


@pytest.fixture
def job(tmp_path, monkeypatch):
    """The job in its store, and a Slurm that takes every array and runs nothing."""
    commands = fake_slurm.install(tmp_path, runs=False)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    Store.create(tmp_path / "features").add_recipe("letters", LETTERS.recipe)
    folder = tmp_path / "features" / ".jobs" / "0001"
    for name in ("journal", "logs"):
        (folder / name).mkdir(parents=True)
    for file in GOLDEN.iterdir():
        (folder / file.name).write_text(file.read_text().replace("ROOT", str(tmp_path)))
    return folder


def test_the_options_of_an_old_job_are_read(job):
    opened = open_job(job)
    assert (opened.executor, opened.workers) == ("slurm", 3)
    assert opened.executor_options == {
        "retries": 2, "gpus_per_task": 1.0, "parts_per_task": 2, "partition": "low",
        "time": "1:00:00", "sbatch_arg": ("--mem=1G",), "env_setup": ("module load cuda",),
    }  # fmt: skip


def test_an_old_job_is_submitted_with_its_options(emo, job):
    code, out, err = emo("job", "resume", "--allow-code", "features", "--time", "8:00:00")
    assert (code, err) == (0, "")
    assert "submitted 100" in out
    script = (job / "slurm.sh").read_text()
    for line in ("--partition=low", "--time=8:00:00", "--gpus-per-task=1", "--mem=1G"):
        assert f"#SBATCH {line}\n" in script
    assert "module load cuda\nexec python -m emo job run" in script
    assert "first=$(( task * 2 ))" in script
    assert "--retries 1 --allow-code\n" in (job / "slurm-retry.sh").read_text()
    assert open_job(job).executor_options["time"] == "8:00:00"  # for tasks that start later


def test_an_old_job_runs_here_too(emo, job):
    code, out, _ = emo("job", "resume", "--allow-code", "features", "--executor", "local")
    assert (code, "did 4 clips of 2 parts" in out) == (0, True)
    assert len(Store(job.parents[1]).ids("letters")) == 4


def test_an_option_that_no_executor_has_is_named_when_the_job_resumes(emo, job):
    path = job / "job.json"
    path.write_text(path.read_text().replace('"partition"', '"warp"'))
    plugins.trust(plugins.ANY_CODE)
    with pytest.raises(OptionError, match="--warp: the executor slurm has no such option"):
        resume(job)
    plugins.forget_trust()
    assert emo("job", "status", "features")[0] == 0  # which needs no executor
