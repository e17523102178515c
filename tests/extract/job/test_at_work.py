"""Which workers are dead: journal and --status agree, also about other machines."""

import json
import os
import subprocess
import time

import pytest

import emo.extract.job.journal as journal_file
from emo.extract.job.folder import write_job
from emo.extract.job.journal import FRESH_SECONDS, is_at_work, log_name, me
from emo.extract.job.logs import log_facts
from emo.extract.job.plan import PartPlan, Todo
from emo.extract.job.request import Job, make_request
from emo.extract.job.status.status import status
from emo.manifest import Clip
from emo.store.backend.process_identity import _start, _state_and_start, host, is_process_alive
from emo.store.store import Store

ELSEWHERE = "another-machine/12/abcdef"
GONE = f"{host()}/{2**22 + 1}/abcdef"  # more than Linux gives out


@pytest.fixture
def folder(tmp_path):
    letters = make_request("tests.make_backbone:Letters", "letters", {})
    Store.create(tmp_path / "store").add_recipe("letters", letters.recipe)
    part = PartPlan((Clip("x", text="x"),), {"letters": Todo(frozenset("x"))})
    return write_job(Job(tmp_path, tmp_path / "store", (letters,)), [part])


def write_log(folder, by, age_seconds):
    log = folder.logs / log_name(by)
    log.write_text("{}\n")
    then = time.time() - age_seconds
    os.utime(log, (then, then))


@pytest.mark.parametrize(
    ("by", "age_seconds", "is_there"),
    [
        (ELSEWHERE, 1, True), (ELSEWHERE, FRESH_SECONDS + 9, False), (ELSEWHERE, None, False),
        (GONE, 1, False), (GONE, None, False), (me(), 1, True), (me(), None, True),
    ],
    ids=["fresh", "old", "silent", "gone", "gone-silent", "we", "we-silent"],
)  # fmt: skip
def test_journal_and_status_agree_on_who_is_at_work(folder, by, age_seconds, is_there):
    if age_seconds is not None:
        write_log(folder, by, age_seconds)
    journal = folder.journal(0)
    journal.path.write_text(f'{{"begin": ["x"], "by": "{by}"}}\n')
    assert is_at_work(folder.logs, by) == is_there
    assert (journal.deaths() == []) == is_there
    assert (status(folder.path).running == frozenset([0])) == is_there


def test_a_clip_of_three_machines_is_given_up_only_when_two_of_them_are_gone(folder, monkeypatch):
    journal, machines = folder.journal(0), ["one", "two", "three"]
    for machine in machines:
        monkeypatch.setattr(journal_file, "host", lambda machine=machine: machine)
        assert [group.give_up_reason for group in journal.groups("x")] == [None]
        journal.begin("x")
        write_log(folder, me(), 1)
    monkeypatch.undo()
    assert journal.groups("x")[0].give_up_reason is None
    for by in journal.in_hand():
        write_log(folder, by, FRESH_SECONDS + 9)
    assert journal.groups("x")[0].give_up_reason


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="the system has no /proc")
def test_a_killed_worker_whose_parent_has_not_asked_is_dead():
    child = subprocess.Popen(["sleep", "60"])
    try:
        name = f"{child.pid}.{_start(child.pid)}"
        assert is_process_alive(name)
        child.kill()
        until = time.monotonic() + 20
        while _state_and_start(child.pid)[0] not in ("Z", "") and time.monotonic() < until:
            time.sleep(0.01)
        assert _state_and_start(child.pid)[0] == "Z", "it is still listed"
        assert not is_process_alive(name)
    finally:
        child.kill()
        child.wait()


def test_the_rate_counts_the_time_before_clips_that_are_noted_at_once(tmp_path):
    def write(*lines):
        events = [
            {"time": f"2026-01-01T00:{at // 60:02}:{at % 60:02}.{ms:03}+00:00", "event": event}
            | ({"clip": f"{at}{ms}", "seconds": {"decode": 0.1}} if event == "clip" else {})
            for event, at, ms in lines
        ]
        (tmp_path / "a.jsonl").write_text("".join(json.dumps(each) + "\n" for each in events))
        return log_facts(tmp_path).clips_per_second

    burst = [("clip", 20, ms) for ms in range(10)]
    assert write(("start", 0, 0), *burst) == pytest.approx(10 / 20, rel=1e-3)
    assert write(("start", 0, 0), ("clip", 10, 0), *burst) == pytest.approx(11 / 20, rel=1e-3)
    assert write(("start", 0, 0), *(("clip", at, 0) for at in range(1, 400))) == pytest.approx(1)
    later = [("start", 1000, 0), *(("clip", 1000 + at, 0) for at in range(1, 20))]
    assert write(("start", 0, 0), ("clip", 10, 0), *later) == pytest.approx(1), "a pause"
    assert write(*burst[:1]) is None
