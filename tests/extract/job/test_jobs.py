"""Tests of parts by number, `emo job …` and clips that kill, through the command."""

import faulthandler
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emo.extract.job.folder import open_job
from emo.extract.job.request import requests_from_words
from emo.extract.run import ExtractOptions, extract
from emo.manifest import Clip, Manifest
from emo.store.maintain.verify import verify
from emo.store.store import Store
from tests import fake_slurm

LETTERS = "tests.make_backbone:Letters"
ROOT = Path(__file__).parents[3]


def write_manifest(path, texts):
    rows = [f"c{k:02},{text}" for k, text in enumerate(texts)]
    path.write_text("\n".join(["id,text", *rows]) + "\n")
    return path


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A Slurm that takes every array and runs nothing; ``queue`` is what squeue prints."""
    commands = fake_slurm.install(tmp_path, runs=False)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def calls(folder):
    return [file.read_text().split() for file in sorted((folder / "calls").iterdir())]


def submit(emo, folder, clips, *words):
    manifest = write_manifest(folder / "m.csv", [f"text {k}" for k in range(clips)])
    return emo(
        "extract", manifest, "--backbone", LETTERS, "--executor", "slurm", "--part-clips", 2, *words
    )


def test_a_dry_run_writes_a_script_that_bash_accepts_and_submits_nothing(emo, slurm):
    code, out, err = submit(
        emo, slurm, 20, "--dry-run", "--partition", "gpu", "--gpus-per-task", 1, "--time",
        "4:00:00", "--max-parallel", 32, "--account", "lab", "--qos", "low", "--constraint",
        "a100|h100", "--cpus-per-task", 8, "--parts-per-task", 3, "--sbatch-arg=--mem=32G",
        "--env-setup", "module load cuda", "--workers", 2,
    )  # fmt: skip
    assert code == 0, err
    assert calls(slurm) == []
    assert "would do 20 clips in 10 parts" in out
    script = open_job(slurm / "features").path / "slurm.sh"
    text = script.read_text()
    for line in (
        "--partition=gpu", "--gpus-per-task=1", "--time=4:00:00", "--account=lab", "--qos=low",
        "--constraint=a100|h100", "--cpus-per-task=8", "--mem=32G", "--signal=B:USR1@90",
        "--requeue", "--open-mode=append",
    ):  # fmt: skip
        assert f"#SBATCH {line}\n" in text
    assert "module load cuda\nexec python -m emo job run" in text
    assert text.endswith('--part "$first-$last" --workers 2 --allow-code\n')
    subprocess.run(["bash", "-n", script], check=True)


def test_arrays_above_the_limit_are_split_and_resume_submits_what_is_missing(emo, slurm):
    code, out, err = submit(emo, slurm, 20, "--max-array-size", 4, "--max-parallel", 2)
    assert code == 0, err
    assert "submitted 100 101 102" in out
    script = str(open_job(slurm / "features").path / "slurm.sh")
    assert calls(slurm) == [
        ["--parsable", "--array=0-3%2", script, "0"], ["--parsable", "--array=0-3%2", script, "4"],
        ["--parsable", "--array=0-1%2", script, "8"],
    ]  # fmt: skip
    emo("job", "run", slurm / "features", "--part", "0-2,5")
    (slurm / "queue").write_text("101 0 RUNNING\n102 1 PENDING\n7 1 RUNNING\n")
    code, out, err = emo("job", "resume", "features", "--max-parallel", 3)
    assert (code, "submitted 103 104 105; already in Slurm's queue: 2 tasks" in out) == (0, True)
    assert [call[1:2] + call[3:] for call in calls(slurm)[3:]] == [
        ["--array=3%3", "0"], ["--array=2-3%3", "4"], ["--array=0%3", "8"],
    ]  # fmt: skip
    code, out, _ = emo("job", "status", "features")
    assert "10: 4 done, 1 running, 5 to do" in " ".join(out.split())
    assert "1 PENDING, 1 RUNNING" in out


def test_retries_are_a_task_that_waits_for_all_arrays_and_resumes(emo, slurm):
    submit(emo, slurm, 4, "--retries", 2, "--max-array-size", 1)
    job = open_job(slurm / "features").path
    assert calls(slurm)[-1] == [
        "--parsable", "--dependency=afterany:100:101", str(job / "slurm-retry.sh"),
    ]  # fmt: skip
    text = (job / "slurm-retry.sh").read_text()
    assert f"job resume {job} --retries 1 --allow-code\n" in text


def test_without_slurm_the_error_says_so(emo, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = submit(emo, tmp_path, 2)
    assert (code, "sbatch is not on this machine" in err) == (1, True)


def test_without_ray_the_error_says_what_to_install(emo, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "emo.extract.executors.ray", raising=False)
    manifest = write_manifest(tmp_path / "m.csv", ["a"])
    code, _, err = emo("extract", manifest, "--backbone", LETTERS, "--executor", "ray")
    assert (code, "executor 'ray' cannot be imported" in err, "[ray]" in err) == (1, True, True)
    code, out, _ = emo("list", "executors")
    assert (code, "Submits an array" in out, "cannot be imported" in out) == (0, True, True)


def test_options_that_an_executor_would_not_heed_are_refused(emo, tmp_path):
    manifest = write_manifest(tmp_path / "m.csv", ["a"])
    code, _, err = emo("extract", manifest, "--backbone", LETTERS, "--partition", "gpu")
    assert (code, "--partition: the executor local has no such option" in err) == (1, True)
    code, _, err = emo("extract", manifest, "--executor", "slurm", "--sbatch-arg", "mem")
    assert (code, "--sbatch-arg 'mem'" in err) == (1, True)
    assert emo("extract", "--part", "3")[0] == 2
    assert emo("extract", "--status", "x", "--resume", "x")[0] == 2
    assert emo("extract", "--plan", "x", "--partition", "y")[0] == 2
    code, _, err = emo("extract", manifest, "--resume", "x", "--backbone", "logmel")
    assert (code, "own options; leave out --backbone, MANIFEST" in " ".join(err.split())) == (
        2,
        True,
    )


def test_local_jobs_can_be_looked_at_and_resumed_too(emo, tmp_path):
    manifest = write_manifest(tmp_path / "m.csv", ["a", "!raise", "b", "c"])
    code, *_ = emo("extract", manifest, "--backbone", LETTERS, "--part-clips", 2)
    assert code == 3
    code, out, _ = emo("job", "status", "features")
    words = " ".join(out.split())
    assert "2: 2 done, 0 running, 0 to do clips 4: 4 done (1 of them failed)" in words
    assert "c01 (letters): this clip asked to fail" in out
    code, out, _ = emo("job", "resume", "features")
    assert (code, "nothing to do" in out) == (0, True)
    next((tmp_path / "features" / "letters").glob("part-*")).unlink()
    code, out, _ = emo("job", "watch", "features")
    assert "go on with: emo job resume" in out
    code, out, _ = emo("job", "resume", "features")
    assert "did 2 clips of 1 part;" in out


def test_a_damaged_earlier_job_is_no_obstacle(emo, tmp_path):
    manifest = write_manifest(tmp_path / "m.csv", ["a", "b"])
    emo("extract", manifest, "--backbone", LETTERS)
    (tmp_path / "features" / ".jobs" / "0001" / "job.json").write_text('{"format": 99}')
    write_manifest(tmp_path / "m.csv", ["a", "b", "c"])
    code, out, err = emo("extract", manifest, "--backbone", LETTERS)
    assert (code, "did 1 of 1 clip;" in out) == (0, True), err


def forked(manifest, store, part_clips):
    """`emo extract` in one process, forked after its imports; returns how it ended."""
    pid = os.fork()
    if pid == 0:
        faulthandler.disable()  # a crash that is meant needs no report
        code = 1
        try:
            options = ExtractOptions(part_clips=part_clips)
            code = extract(manifest, store, ASKS, options, progress=False).exit_code
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


ASKS = requests_from_words([LETTERS])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked here; no fork on Windows")
@pytest.mark.parametrize(("text", "code"), [("!exit", 7), ("!segv", -signal.SIGSEGV)])
def test_the_same_command_again_and_again_closes_in_on_a_killer(text, code, tmp_path):
    texts = [f"text {k}" for k in range(12)]
    texts[7] = text
    clips = tuple(Clip(f"c{k:02}", text=text) for k, text in enumerate(texts))
    manifest = Manifest(tmp_path / "m.csv", tmp_path, clips, "")
    codes = []
    while not codes or codes[-1] == code:
        codes.append(forked(manifest, tmp_path / "store", 12))
        assert len(codes) < 8
    assert codes[-1] == 3
    recipe = Store(tmp_path / "store").recipes["letters"]
    assert sorted(recipe.ids) == [f"c{k:02}" for k in range(12) if k != 7]
    assert "alone in the end" in recipe.failures["c07"]
    assert verify(Store(tmp_path / "store")).problems == []


@pytest.mark.parametrize(
    "number",
    [signal.SIGUSR1, *(pytest.param(n, marks=pytest.mark.slow) for n in (signal.SIGTERM,
     signal.SIGUSR2))],
)  # fmt: skip
def test_a_signal_to_a_part_run_commits_and_exits_75(number, tmp_path):
    clips = tuple(Clip(f"c{k:03}", text="!sleep") for k in range(200))
    manifest = Manifest(tmp_path / "m.csv", tmp_path, clips, "")
    options = ExtractOptions("slurm", part_clips=200)
    extract(manifest, tmp_path / "features", ASKS, options, is_dry_run=True)
    job = open_job(tmp_path / "features")
    run = [sys.executable, "-m", "emo", "job", "run", str(job.path), "--part", "0"]
    process = subprocess.Popen(run, cwd=ROOT, stdout=subprocess.PIPE)
    end = time.monotonic() + 60
    while not job.journal(0).path.exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 75
    assert 0 < len(Store(tmp_path / "features").recipes["letters"].ids) < 200
    assert not job.journal(0).path.exists()
