"""Job folders in a bucket: the same files as objects, claims, signs of life, and their commands."""

import time

import pytest

from emo.extract.executors._parts import ClaimedParts
from emo.extract.job import journal as journals
from emo.extract.job.files import bucket as bucket_files
from emo.extract.job.files import claims as claim_file
from emo.extract.job.files.claims import Claims, live_workers
from emo.extract.job.files.files_of import files_of
from emo.extract.job.folder import open_job
from emo.extract.job.journal import Death, Journal, log_name
from emo.extract.job.logs import TaskLog, read_logs
from emo.store.backend.location import location
from emo.store.store import Store

ELSEWHERE = "node9.0badcafe/77.1/abcdef"
"""A worker of another machine, as it signs."""


@pytest.fixture(params=["disk", "bucket"])
def job(request, tmp_path):
    """A folder for the files of a job, on a disk and in a bucket."""
    if request.param == "bucket":
        return location(request.getfixturevalue("bucket")) / "f" / ".jobs" / "0001"
    for name in ("journal", "logs"):
        (tmp_path / name).mkdir()
    return tmp_path


def signed(monkeypatch, by):
    """Let this process sign as another one."""
    monkeypatch.setattr(journals, "me", lambda: by)
    monkeypatch.setattr(claim_file, "me", lambda: by)


def test_an_entry_whose_answer_was_lost_is_not_appended_again(bucket, monkeypatch):
    files = files_of(location(bucket) / "journal")
    files.append("a.jsonl", b"one")
    monkeypatch.setattr(files, "_row", lambda name: [])  # as it was listed before
    files.append("a.jsonl", b"one")
    files.append("a.jsonl", b"two")
    monkeypatch.undo()
    assert files.read_list("a.jsonl", 100) == [b"one", b"two"]


def test_journals_say_the_same_on_a_disk_and_in_a_bucket(job, monkeypatch):
    journal = Journal(job / "journal" / "000003.jsonl")
    assert not journal.exists()
    journal.begin(["a", "é"])
    assert journal.exists()
    assert Journal(journal.path).in_hand() == {journals.me(): ["a", "é"]}
    journal.end()
    assert not journal.exists()
    journal.begin(["a", "b"])
    with monkeypatch.context() as patched:
        signed(patched, ELSEWHERE)
        journal.begin(["c"])
    journal.end()  # the other one has still clips in hand: nothing is cleared
    assert Journal(journal.path).in_hand() == {ELSEWHERE: ["c"]}
    assert journal.deaths() == [Death(frozenset("c"), None)]
    assert journal.died(ELSEWHERE, "SIGSEGV")
    assert journal.deaths() == [Death(frozenset("c"), "SIGSEGV")]
    assert files_of(job / "journal").names(".jsonl") == ["000003.jsonl"]


def test_a_worker_elsewhere_is_at_work_as_long_as_it_shows_it(job, monkeypatch):
    journal = Journal(job / "journal" / "000000.jsonl")
    with monkeypatch.context() as patched:
        signed(patched, ELSEWHERE)
        journal.begin(["a"])
    assert journal.deaths()
    files_of(job / "logs").touch(log_name(ELSEWHERE))
    assert not journal.deaths()
    monkeypatch.setattr(journals, "FRESH_SECONDS", -2)
    assert journal.deaths()


def test_logs_are_complete_after_a_commit(job):
    with TaskLog(job / "logs", device="cpu") as log:
        for clip in "ab":
            log.write("clip", clip=clip)
        log.write("commit", part=1)
        assert [line["event"] for line in read_logs(job / "logs")] == [
            "start", "clip", "clip", "commit",
        ]  # fmt: skip
        log.write("clip", clip="c")
    assert len(list(read_logs(job / "logs"))) == 5


def test_a_claim_is_given_once_and_taken_over_from_the_dead(job, monkeypatch):
    monkeypatch.setattr(journals, "host", lambda: "here")
    with Claims(job) as ours:
        assert [ours.take(part) for part in (4, 4, 5)] == [True] * 3
        with monkeypatch.context() as patched:
            signed(patched, ELSEWHERE)
            theirs = Claims(job)
            theirs.__enter__()
            assert theirs.take(6)
            patched.setattr(journals, "host", lambda: "node9.0badcafe")
            assert not theirs.take(4)  # our sign of life is fresh
        assert not ours.take(6)
        assert live_workers(job) == 2
        theirs._is_closed.set()  # killed: it shows no life, and gives nothing back
        monkeypatch.setattr(journals, "FRESH_SECONDS", -2)
        assert ours.take(6)
        ours.done(4)
    assert live_workers(job) == 1  # the killed one, for two minutes
    with Claims(job) as later:
        assert sorted(files_of(job / "claims").claims("000004")) == [0]
        assert files_of(job / "claims").claims("000005") == {}
        assert later.take(5)
        files_of(job / "claims").claim("000007", 0, journals.me().encode())
        assert later.take(7)  # ours, and the answer was lost


def test_parts_of_others_are_waited_for_and_taken_when_they_are_free(emo, bucket, tmp_path):
    (tmp_path / "m.csv").write_text("id,text\na,one\nb,two\nc,three\n")
    out = f"{bucket}/f"
    words = "extract", "m.csv", "--out", out, "--part-clips", 1, "--executor", "queue"
    code, said, _ = emo(*words)
    assert code == 0
    assert f"start workers, here and elsewhere: emo job work {out}/.jobs/0001\n" in said
    folder = open_job(out)
    with Claims(folder.path) as claims, Claims(folder.path) as others:
        others.take = lambda part: part != 2
        parts = ClaimedParts(folder, claims, [0, 1, 2])
        theirs = ClaimedParts(folder, others, [0, 1, 2])
        assert sorted(filter(None, [parts.take(), parts.take(), parts.take()])) == [1, 2]
        assert {theirs.take(), theirs.take()} == {0, 1}
        assert (theirs.take(), len(theirs), theirs.is_over()) == (None, 0, False)
        others.take = lambda part: True
        theirs._looked -= 60
        assert (len(theirs), theirs.take(), theirs.is_over()) == (1, 2, True)
        theirs.put_back(2)
        assert emo("extract", "m.csv", "--out", out)[0] == 0
        parts._elsewhere.append(2)
        parts._looked -= 60
        parts._looks._listed -= 60
        assert (len(parts), parts.is_over()) == (0, True)  # the store has it


def test_commands_on_a_job_in_a_bucket(emo, bucket, tmp_path):
    (tmp_path / "m.csv").write_text("id,text\na,one\nb,two\nc,three\n")
    out, jobs = f"{bucket}/f", f"{bucket}/elsewhere"
    words = "extract", "m.csv", "--out", out, "--part-clips", 2, "--executor", "queue"
    assert emo(*words, "--jobs", jobs)[0] == 0
    job = f"{jobs}/{bucket.partition('://')[2]}+f/0001"
    assert "2: 0 done, 0 running, 2 to do" in emo("job", "status", job)[1]
    assert "would do 2 of 2 parts" in emo("job", "resume", job, "--dry-run")[1]
    code, _, error = emo("job", "resume", job, "--executor", "slurm")
    assert (code, f"emo job work {job}" in error) == (1, True)
    code, said, _ = emo("job", "resume", out, "--jobs", jobs, "--executor", "local")
    assert (code, said) == (0, f"did 3 clips of 2 parts; store: {out}\n")
    status = emo("job", "watch", out, "--jobs", jobs)[1]
    assert "2: 2 done" in status
    assert "a clip takes" in status
    assert emo("job", "work", job)[:2] == (0, f"nothing to do; store: {out}\n")
    code, _, error = emo("job", "status", f"{bucket}/nothing")
    assert (code, "is no job folder" in error) == (1, True)
    assert not (tmp_path / "emo-jobs").exists()
    assert sorted(Store(out).ids("classic")) == ["a", "b", "c"]


def test_the_clock_of_the_server_counts(bucket, monkeypatch):
    files, now = files_of(location(bucket) / "logs"), time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3600)
    monkeypatch.setattr(bucket_files, "_offsets", {})
    files.touch("a.jsonl")
    assert -2 < files.age_seconds("a.jsonl") < 5
