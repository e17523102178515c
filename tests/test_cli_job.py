"""`emo job …`, and the flags of `emo extract` that were there before it."""

import pytest

LETTERS = "tests.make_backbone:Letters"


@pytest.fixture
def job(emo, tmp_path):
    """A job of two parts of which nothing is done."""
    (tmp_path / "m.csv").write_text("id,text\na,one\nb,two\nc,three\n")
    words = ["--backbone", LETTERS, "--part-clips", 2, "--executor", "slurm", "--dry-run"]
    assert emo("extract", "m.csv", *words)[0] == 0
    return tmp_path


def test_a_job_is_looked_at_run_in_parts_and_resumed(emo, job):
    code, out, err = emo("job", "status")
    assert (code, err) == (0, "")
    assert "2: 0 done, 0 running, 2 to do" in out
    assert "nobody has submitted it yet: emo job resume features/.jobs/0001" in out
    code, out, _ = emo("job", "run", "features", "--part", "1")
    assert (code, "did 1 clip of 1 part;" in out) == (0, True)
    code, out, _ = emo("job", "resume", "--executor", "local", "--dry-run")
    assert (code, "would do 1 of 2 parts" in out) == (0, True)
    code, out, _ = emo("job", "resume", "features/.jobs/0001", "--executor", "local")
    assert (code, "did 2 clips of 1 part;" in out) == (0, True)
    code, out, _ = emo("job", "watch")
    assert (code, "2: 2 done" in out) == (0, True)


def test_old_flags_do_the_same_and_name_the_new_command(emo, job):
    code, out, err = emo("extract", "--plan", "features", "--part", "1")
    assert (code, "did 1 clip of 1 part;" in out) == (0, True)
    assert err.splitlines()[0] == (
        "emo: note: --plan is the command `emo job run features --part 1` now; the flag works "
        "until version 0.4, which removes it"
    )
    code, out, err = emo("extract", "--status", "features")
    assert (code, out) == (0, emo("job", "status", "features")[1])
    assert (err.count("\n"), "`emo job status features`" in err) == (1, True)
    words = ["--executor", "local", "--retries", 0]
    code, out, err = emo("extract", "--resume", "features", *words)
    assert (code, "did 2 clips of 1 part;" in out) == (0, True)
    assert "`emo job resume features --executor local --retries 0`" in err
    code, out, err = emo("extract", "--status", "features", "--watch")
    assert (code, "`emo job watch features`" in err) == (0, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--part", "3"], "--part needs a job: `emo job run JOB --part 3`"),
        (["--watch"], "--watch needs a job: `emo job watch JOB`"),
        (
            ["--status", "my jobs", "--resume", "x"],
            "--resume and --status are commands now; give `emo job resume x` or "
            "`emo job status 'my jobs'`",
        ),
        (
            ["--plan", "x", "--partition", "y"],
            "--plan is `emo job run x` now, which goes by the job's own options; leave out "
            "--partition",
        ),
        (["m.csv", "--resume", "x", "--backbone", "logmel"], "leave out --backbone, MANIFEST"),
        (["--resume", "x", "-o", "a=b", "--as", "c"], "leave out --as, -o"),
    ],
)
def test_old_flags_beside_others_are_wrong_usage(emo, tmp_path, words, said):
    code, _, err = emo("extract", *words)
    assert (code, said in " ".join(err.split())) == (2, True)


def test_the_new_command_is_shown_as_a_shell_takes_it(emo):
    code, _, err = emo("extract", "--status", "my jobs")
    assert (code, "`emo job status 'my jobs'` now" in err) == (1, True)


def test_a_range_of_parts_that_is_backwards_is_told(emo, job):
    code, _, err = emo("job", "run", "features", "--part", "1-0")
    assert (code, "--part 1-0: the range 1-0 is backwards; give 0-1" in err) == (1, True)


def test_failed_clips_are_exit_code_3_of_a_run_too(emo, tmp_path):
    (tmp_path / "m.csv").write_text("id,text\na,one\nb,!raise\n")
    words = ["--backbone", LETTERS, "--executor", "slurm", "--dry-run"]
    emo("extract", "m.csv", *words)
    code, out, _ = emo("job", "run")
    assert (code, "failed: b (letters): this clip asked to fail" in out) == (3, True)
