"""Clips that a job has in Slurm's queue are not submitted a second time unless asked for."""

import os
import stat
import wave

import pytest

from emo.extract.job.folder import latest_job
from tests import fake_slurm

LETTERS = "tests.make_backbone:Letters"


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A Slurm that takes every array and runs nothing; ``queue`` is what squeue prints."""
    commands = fake_slurm.install(tmp_path, runs=False)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


@pytest.fixture
def submit(emo, slurm):
    """`emo extract` of the clips ``first`` to ``last`` by Slurm, two a part, two parts a task."""

    def run(first, last, *words):
        rows = [f"c{k},text {k}\n" for k in range(first, last + 1)]
        (slurm / "m.csv").write_text("id,text\n" + "".join(rows))
        return emo(
            "extract", "m.csv", "--backbone", LETTERS, "--executor", "slurm", "--part-clips", 2,
            "--parts-per-task", 2, *words,
        )  # fmt: skip

    return run


def queue(folder, *lines):
    (folder / "queue").write_text("".join(line + "\n" for line in lines))


def submitted(folder):
    return len(list((folder / "calls").iterdir()))


def test_the_same_command_again_names_the_job_and_submits_nothing(submit, slurm):
    assert submit(0, 9)[0] == 0
    queue(slurm, "100 0 RUNNING", "100 1 PENDING", "100 2 PENDING")
    code, out, err = submit(0, 9)
    assert (code, out) == (1, "")
    assert "10 of these clips are in Slurm's queue already" in err
    for said in (
        "job folder features/.jobs/0001, Slurm job 100, tasks 2 PENDING, 1 RUNNING",
        "emo job status features/.jobs/0001", "emo job resume features/.jobs/0001",
        "--anyway",
    ):  # fmt: skip
        assert said in err
    assert submitted(slurm) == 1
    assert latest_job(slurm / "features").name == "0001"  # no second job folder


def test_clips_of_tasks_that_are_no_longer_queued_are_submitted(submit, slurm):
    submit(0, 9)
    queue(slurm, "100 2 PENDING", "7 0 RUNNING")  # clips 8 and 9; 7 is somebody else's
    assert submit(0, 7)[0] == 0
    code, _, err = submit(0, 9)
    assert (code, "4 of these" in err, "2 of these" in err) == (1, False, True)


def test_what_another_recipe_or_manifest_wants_is_submitted(submit, slurm):
    submit(0, 9)
    queue(slurm, "100 0 RUNNING", "100 1 PENDING", "100 2 PENDING")
    assert submit(0, 9, "--as", "other", "-o", "width=5")[0] == 0
    assert submit(10, 12)[0] == 0


def test_anyway_and_a_dry_run_are_not_refused(submit, slurm):
    submit(0, 9)
    queue(slurm, "100 0 RUNNING")
    assert submit(0, 9, "--dry-run")[0] == 0
    assert submitted(slurm) == 1
    assert submit(0, 9, "--anyway")[0] == 0
    assert submitted(slurm) == 2


def test_failed_clips_are_done_again_beside_a_job_that_tried_them(emo, submit, slurm):
    (slurm / "bad.csv").write_text("id,text\nc0,!raise\nc1,text 1\n")
    words = ["extract", "bad.csv", "--backbone", LETTERS, "--part-clips", 2]
    emo(*words, "--executor", "slurm")
    assert emo(*words)[0] == 3
    queue(slurm, "100 0 RUNNING")  # it has committed, and is at its last breath
    assert emo(*words, "--executor", "slurm", "--retry-failed")[0] == 0
    assert submitted(slurm) == 2


def test_where_slurm_does_not_answer_submitting_says_why(submit, slurm):
    submit(0, 3)
    for name, text in (("squeue", "exit 1"), ("sbatch", "echo down >&2; exit 1")):
        file = slurm / "bin" / name
        file.write_text(f"#!/bin/bash\n{text}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    code, _, err = submit(0, 3)
    assert (code, "sbatch refused: down" in err) == (1, True)


def test_an_array_that_cannot_be_written_down_is_named(submit, slurm):
    sbatch = slurm / "bin" / "sbatch"
    lines = sbatch.read_text().splitlines()  # while it is asked, its job's note becomes a folder
    lines.insert(2, 'mkdir "$(dirname "$3")/submissions.jsonl"')
    sbatch.write_text("\n".join(lines))
    code, _, err = submit(0, 3)
    assert code == 1
    assert "Slurm accepted array 100" in err
    assert "scancel 100" in err


def test_resume_with_other_parts_per_task_knows_what_the_queued_tasks_hold(emo, submit, slurm):
    submit(0, 9)  # parts 0 to 4 in tasks of two
    queue(slurm, "100 1 RUNNING")  # parts 2 and 3
    code, out, _ = emo("job", "resume", "features", "--parts-per-task", 1)
    assert (code, "submitted 101; already in Slurm's queue: 1 task" in out) == (0, True)
    assert "--array=0-1,4 " in (slurm / "calls" / "call-101").read_text()
    queue(slurm, "100 1 RUNNING", "101 4 RUNNING", "101 0 PENDING")
    code, out, _ = emo("job", "resume", "features")
    assert "submitted 102; already in Slurm's queue: 3 tasks" in out
    assert "--array=1 " in (slurm / "calls" / "call-102").read_text()  # one a task, as was told
    _, out, _ = emo("job", "status", "features")
    assert "5: 0 done, 1 running, 4 to do" in " ".join(out.split())  # 4: a task of one part


def test_a_plan_that_nobody_submitted_never_hides_the_job_that_was(submit, slurm, emo):
    code, out, _ = submit(0, 9, "--dry-run")
    assert code == 0
    assert "submit it: emo job resume features/.jobs/0001" in out
    _, out, _ = emo("job", "status", "features")
    assert "job features/.jobs/0001" in out
    assert "nobody has submitted it yet: emo job resume features/.jobs/0001" in out

    assert submit(0, 9)[0] == 0
    assert submit(0, 9, "--dry-run", "--anyway")[0] == 0
    assert sorted(path.name for path in (slurm / "features/.jobs").iterdir())[-1] == "0003"
    _, out, _ = emo("job", "status", "features")
    assert "job features/.jobs/0002" in out
    assert "nobody has submitted" not in out

    assert emo("job", "resume", "features/.jobs/0003")[0] == 0
    assert latest_job(slurm / "features").name == "0003", "it is submitted now"


def test_a_refusal_of_sbatch_is_one_line_and_its_plan_can_be_resumed(submit, slurm, emo):
    sbatch = slurm / "bin/sbatch"
    takes = sbatch.read_text()
    sbatch.write_text("#!/bin/bash\nprintf 'error: no partition x\\nerror: try y\\n' >&2; exit 1\n")
    code, _, err = submit(0, 9)
    assert code == 1
    assert "sbatch refused: error: no partition x; error: try y" in err
    assert "nobody has submitted it yet" in emo("job", "status", "features")[1]
    sbatch.write_text(takes)
    assert emo("job", "resume", "features")[0] == 0
    assert submitted(slurm) == 1
    assert "nobody" not in emo("job", "status", "features")[1]


def test_a_task_that_was_submitted_by_hand_counts_as_submitted(submit, slurm, emo):
    submit(0, 9, "--dry-run")
    assert emo("job", "run", "features/.jobs/0001", "--part", "0")[0] == 0
    assert "nobody" not in emo("job", "status", "features")[1]


def test_failed_clips_and_resume_lead_to_retry_failed(emo, tmp_path):
    (tmp_path / "m.csv").write_text("audio,id\nno.wav,a\n")
    code, out, _ = emo("extract", "m.csv", "--backbone", "logmel", "--out", "f")
    assert (code, "again: the same emo extract with --retry-failed" in out) == (3, True)
    assert "the same `emo extract` as before with --retry-" in " ".join(
        emo("job", "resume", "--help")[1].split()
    )


def test_a_plan_whose_clips_are_queued_by_another_job_is_not_resumed(submit, slurm, emo):
    submit(0, 9, "--dry-run")
    submit(0, 9)
    queue(slurm, "100 0 RUNNING", "100 1 PENDING")
    code, _, err = emo("job", "resume", "features/.jobs/0001")
    assert code == 1
    assert "8 of these clips are in Slurm's queue already: job folder features/.jobs/0002" in err
    assert submitted(slurm) == 1
    queue(slurm)
    assert emo("job", "resume", "features/.jobs/0001")[0] == 0


def test_a_clip_that_is_tried_again_is_to_do_and_one_that_was_mended_is_no_failure(emo, tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.wav").write_bytes(b"RIFF")
    (tmp_path / "m.csv").write_text("audio,id\n" + "".join(f"{k}.wav,{k}\n" for k in "abc"))
    words = ("extract", "m.csv", "--backbone", "logmel", "--out", "f")
    assert emo(*words)[0] == 3
    assert "3: 3 done (3 of them failed), 0 to do" in emo("job", "status", "f")[1]
    assert emo(*words, "--retry-failed", "--executor", "slurm", "--dry-run")[0] == 0
    assert "3: 0 done (0 of them failed), 3 to do" in emo("job", "status", "f/.jobs/0002")[1]
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(b"\0\1" * 16000)
    assert emo("job", "run", "f/.jobs/0002")[0] == 3
    assert "3: 3 done (2 of them failed), 0 to do" in emo("job", "status", "f/.jobs/0002")[1]
