"""A job folder of somebody else: every file of it may be anything; one line, or it is skipped."""

import json
import os
import shutil
from pathlib import Path

import pytest

from emo.errors import EmoError
from emo.extract.job import ownership
from emo.extract.job.folder import open_job, update_job
from emo.extract.job.journal import Journal
from emo.extract.job.logs import log_facts
from emo.extract.job.ownership import is_own, sign
from emo.extract.job.slurm_queue import submissions, task_states
from emo.extract.job.status.status import status
from tests.hostile.build import refused
from tests.hostile.documents import DAMAGES, damage, is_line_or_fine, replaced, variants, write

LETTERS = "tests.make_backbone:Letters"
GOLDEN = Path(__file__).parents[1] / "extract" / "job" / "golden_job_v1"
DOCUMENT = json.loads((GOLDEN / "job.json").read_text())
PART = json.loads((GOLDEN / "parts.jsonl").read_text().splitlines()[0])
BEGIN = {"begin": ["a"], "by": "x/1/y"}
CLIP = {
    "time": "2026-01-01T00:00:00+00:00", "event": "clip", "clip": "a", "seconds": {"decode": 1.0},
    "failed": {"letters": "no"},
    "work": {
        "wall_seconds": 1.0, "on_gpu_seconds": 0.0,
        "stages": {
            "decode": {
                "busy_seconds": 1.0, "thread_seconds": 1.0, "items": 1, "queued_seconds": 0.0,
            }
        },
    },
}  # fmt: skip
ARRAY = {"id": "7", "offset": 0, "parts_per_task": 2}


def write_manifest(path, texts):
    path.write_text("id,text\n" + "".join(f"{text},{text}\n" for text in texts))
    return path


@pytest.fixture
def golden(tmp_path):
    folder = Path(shutil.copytree(GOLDEN, tmp_path / "job"))
    document = json.loads((folder / "job.json").read_text().replace("ROOT", str(tmp_path)))
    write(folder / "job.json", document)
    for name in ("journal", "logs"):
        (folder / name).mkdir()
    return folder


def read_all(folder):
    job = open_job(folder)
    list(job.all_parts())
    job.part(0)
    update_job(job, executor="local", workers=2, executor_options={})


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("file", ["job.json", "offsets.json", "parts.jsonl"])
def test_damaged_files_of_a_job(golden, file, name):
    damage(golden / file, name)
    refused(lambda: read_all(golden), str(golden), file)


@pytest.mark.parametrize("document", variants(DOCUMENT, optional=("parts",)))
def test_every_entry_of_job_json_may_be_wrong(golden, document):
    write(golden / "job.json", document)
    is_line_or_fine(lambda: read_all(golden), str(golden))
    is_line_or_fine(lambda: open_job(golden).job.requests[0].load("cpu"), "recipe|job")


NEEDED = ("format", "store", "root", "device", "batch_clips", "backbones", "executor", "workers",
          "resources", "backbones\t0\tname", "backbones\t0\tplugin", "backbones\t0\trecipe",
          "backbones\t0\toptions", "backbones\t0\trecipe\tstreams")  # fmt: skip


@pytest.mark.parametrize("name", NEEDED)
def test_what_a_job_needs_is_checked(golden, name):
    for value in (True, {"x": {}}, [[1]], 1.5):
        if isinstance(value, dict) and name in ("resources", "backbones\t0\toptions"):
            value = "x"
        write(golden / "job.json", replaced(DOCUMENT, name, value))
        refused(lambda: open_job(golden), "job")


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
@pytest.mark.parametrize("name", ["store", "root", "executor", "backbones\t0\tname"])
def test_texts_of_a_job_that_are_no_paths(golden, name, text):
    write(golden / "job.json", replaced(DOCUMENT, name, text))
    refused(lambda: open_job(golden), "job.json", "expected text")


@pytest.mark.parametrize("part", variants(PART, optional=("part",)))
def test_every_entry_of_a_part_may_be_wrong(golden, part):
    line = json.dumps(part)
    (golden / "parts.jsonl").write_text(line + "\n" + json.dumps(PART) + "\n")
    write(golden / "offsets.json", [0, len(line) + 1])
    is_line_or_fine(lambda: list(open_job(golden).all_parts()), "parts.jsonl")


def test_lines_that_are_gone_are_not_taken_as_done(golden):
    lines = (golden / "parts.jsonl").read_text().splitlines()
    (golden / "parts.jsonl").write_text(lines[0] + "\n")
    refused(lambda: list(open_job(golden).all_parts()), "expected 2 lines, found 1")


@pytest.mark.parametrize("offsets", [[-1, 5], [5, 5], [0], [0, 10**30], [0.5, 1], ["0", "1"]])
def test_offsets_that_are_none(golden, offsets):
    write(golden / "offsets.json", offsets)
    refused(lambda: [open_job(golden).part(number) for number in (0, 1)], str(golden))


@pytest.mark.parametrize("entry", variants(BEGIN))
def test_damaged_lines_of_a_journal_are_skipped(golden, entry):
    path = golden / "journal" / "000000.jsonl"
    path.write_text(json.dumps(entry) + "\n" + json.dumps({"begin": ["b"], "by": "x/2/z"}) + "\n")
    journal = Journal(path)
    assert journal.in_hand()["x/2/z"] == ["b"]
    journal.deaths(), journal.seen(), journal.groups(["a", "b"])


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_journals(golden, name):
    path = golden / "journal" / "000000.jsonl"
    path.write_text(json.dumps(BEGIN) + "\n")
    damage(path, name)
    is_line_or_fine(lambda: (Journal(path).deaths(), Journal(path).in_hand()), str(path))


@pytest.mark.parametrize("line", variants(CLIP))
def test_damaged_lines_of_a_log_are_skipped(golden, line):
    text = json.dumps(line) + "\n" + json.dumps({**CLIP, "clip": "b"}) + "\n"
    (golden / "logs" / "a.jsonl").write_text(text)
    facts = log_facts(golden / "logs")
    assert 1 <= facts.clips <= 2


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_logs_are_skipped(golden, name):
    for file in ("a.jsonl", "b.jsonl"):
        (golden / "logs" / file).write_text(json.dumps(CLIP) + "\n")
    damage(golden / "logs" / "a.jsonl", name)
    assert 1 <= log_facts(golden / "logs").clips <= 2


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00", "9999-12-31T23:59:59-23:59", "x", "\0"])
def test_times_of_a_log_that_are_none(golden, moment):
    (golden / "logs" / "a.jsonl").write_text(json.dumps({**CLIP, "time": moment}))
    assert log_facts(golden / "logs").clips in (0, 1)


@pytest.mark.parametrize(
    "line", [*variants(ARRAY, optional=("parts_per_task",)), {**ARRAY, "parts_per_task": 10**12}]
)
def test_damaged_lines_of_submissions_are_skipped(golden, line):
    text = json.dumps(line) + "\n" + json.dumps({**ARRAY, "id": "8"}) + "\n"
    (golden / "submissions.jsonl").write_text(text)
    assert [each.id for each in submissions(golden)] == ["8"]
    assert task_states(golden, []) == {}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_submissions(golden, name):
    (golden / "submissions.jsonl").write_text(json.dumps(ARRAY) + "\n")
    damage(golden / "submissions.jsonl", name)
    is_line_or_fine(lambda: submissions(golden), "submissions.jsonl")


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("file", ["job.sig", "job.key"])
def test_damaged_signatures_and_keys_own_no_job(golden, tmp_path, monkeypatch, file, name):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    sign(golden)
    assert is_own(golden)
    damage(golden / file if file == "job.sig" else tmp_path / "home" / "emo" / file, name)
    assert not is_own(golden)
    is_line_or_fine(lambda: ownership.sign(golden), str(golden))


@pytest.fixture
def jobs(emo, tmp_path):
    """A store whose two jobs are done, and where ``c`` is not extracted yet."""
    for clips in (["a"], ["a", "b"]):
        manifest = write_manifest(tmp_path / "m.csv", clips)
        code, _, err = emo("extract", manifest, "--backbone", LETTERS)
        assert code == 0, err
    return tmp_path / "features" / ".jobs"


@pytest.mark.parametrize("name", DAMAGES)
def test_a_broken_newest_job_hides_no_older_one(emo, jobs, name):
    damage(jobs / "0002" / "job.json", name)
    found = status("features")
    assert found.folder.path == jobs / "0001"
    assert "An older job is taken" in found.table()
    code, out, err = emo("job", "resume", "features")
    assert (code, "An older job is taken" in out) == (0, True), err


def test_a_broken_newest_job_does_not_block_extract(emo, jobs, tmp_path):
    (jobs / "0002" / "journal" / "000000.jsonl").mkdir()
    damage(jobs / "0002" / "job.json", "deep")
    for odd in ("²", "9" * 200):
        (jobs / odd).mkdir()
        (jobs / odd / "job.json").write_text("{}")
    manifest = write_manifest(tmp_path / "m.csv", ["a", "b", "c"])
    code, out, err = emo("extract", manifest, "--backbone", LETTERS)
    assert (code, "did 1 of 1 clip" in out) == (0, True), err
    assert (jobs / "0003").is_dir()


def test_a_store_whose_jobs_cannot_be_read_goes_on(emo, jobs, tmp_path, monkeypatch):
    """As for another user, since the tests may run as root."""
    asked = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != jobs and asked(path, mode))
    with pytest.raises(EmoError, match="is no job folder"):
        status("features")
    manifest = write_manifest(tmp_path / "m.csv", ["a", "b", "c"])
    code, out, err = emo("extract", manifest, "--backbone", LETTERS)
    assert (code, "did 1 of 1 clip" in out) == (0, True), err
    assert f"note: {jobs} cannot be read by you" in out
    assert "note: " in status("features").table()


def test_options_of_an_executor_of_other_types(golden):
    from emo.extract.executor import make_executor

    for name in ("partition", "sbatch_arg", "parts_per_task", "gpus_per_task", "env_setup"):
        for value in (["x"], 1.5, "x", True, None):
            is_line_or_fine(
                lambda name=name, value=value: make_executor("slurm", 1, {name: value}), "--"
            )
    refused(lambda: make_executor("slurm", 1, {"sbatch_arg": 7}), "--sbatch-arg: expected")
