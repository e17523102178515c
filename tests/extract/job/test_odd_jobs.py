"""Stores and job folders that were copied, removed or damaged: one error line, or no effect."""

import json
import pickle
import shutil

import pytest

from emo.errors import EmoError, OptionError, StoreError
from emo.extract.job.folder import JobError, latest_job, open_job
from emo.extract.job.journal import Death
from emo.extract.job.logs import TaskLog
from emo.extract.job.request import Request, make_request
from emo.extract.job.status.status import status
from emo.extract.resume import resume, run_parts
from emo.extract.run import ExtractOptions, extract
from emo.extract.worker.part_runner import run_each_part as run_taken
from emo.extract.worker.worker import PartReport, Worker
from emo.manifest import Clip, Manifest
from emo.store.backend.process_identity import host
from emo.store.part.zip import DamagedPart

LETTERS = "tests.make_backbone:Letters"
REQUESTS = [make_request(LETTERS, name, {}) for name in ("a", "b")]


@pytest.fixture
def manifest(tmp_path):
    clips = tuple(Clip(f"c{k}", text=f"text {k}") for k in range(4))
    return Manifest(tmp_path / "m.csv", tmp_path, clips, "")


@pytest.fixture
def planned(manifest, tmp_path):
    """A planned job without any finished clip."""
    options = ExtractOptions("slurm", part_clips=4)
    extract(manifest, tmp_path / "store", REQUESTS, options, is_dry_run=True, progress=False)
    return open_job(tmp_path / "store")


def test_a_copy_of_a_job_folder_is_passed_over(planned, manifest, tmp_path):
    for name in ("0001.bak", "0009-old"):
        shutil.copytree(planned.path, planned.path.with_name(name))
    assert latest_job(tmp_path / "store") == planned.path
    assert status(tmp_path / "store").folder.path == planned.path
    assert extract(manifest, tmp_path / "store", REQUESTS, progress=False).exit_code == 0
    assert latest_job(tmp_path / "store").name == "0002"


def test_a_recipe_that_was_removed_is_named(planned, tmp_path):
    shutil.rmtree(tmp_path / "store" / "b")
    for look in (status, resume, lambda path: run_parts(path, "0")):
        with pytest.raises(StoreError, match=r"the recipe 'b', which this job writes to, is gone"):
            look(planned.path)


@pytest.mark.parametrize(
    "change", [{"resources": {"warp": {}}}, {"backbones": [{"recipe": {}}]}, {"format": 99}, {}]
)
def test_a_job_of_another_version_is_no_obstacle(planned, manifest, tmp_path, change):
    path = planned.path / "job.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    if change:
        with pytest.raises(JobError, match="0001"):
            open_job(planned.path)
    assert extract(manifest, tmp_path / "store", REQUESTS, progress=False).exit_code == 0


def test_an_error_about_a_part_crosses_processes(tmp_path):
    error = DamagedPart(tmp_path / "a" / "part.zip", "its tail is missing")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.what) == (DamagedPart, str(error), error.what)
    assert isinstance(again, EmoError)


def test_what_a_dead_owner_left_in_a_recipe_is_swept_at_the_start(planned, manifest, tmp_path):
    left = tmp_path / "store" / "a" / f".tmp-{host()}-{2**22 + 1}-abcdef12"
    left.touch()
    extract(manifest, tmp_path / "store", REQUESTS, progress=False)
    assert not left.exists()


def test_a_worker_whose_weights_differ_from_the_plan_stops():
    other = make_request(LETTERS, "a", {"scale": "2"})
    with pytest.raises(OptionError, match=r"would make other numbers.*scale"):
        Request("a", LETTERS, REQUESTS[0].options, other.recipe).load("cpu")


def test_a_worker_sees_what_others_committed_while_it_was_there(planned, tmp_path):
    with Worker(planned.job) as first, Worker(planned.job) as second:
        part = planned.part(0)
        assert first.missing(part)
        second.run_part(part)
        assert first.missing(part) == {}


def test_a_stop_ends_a_part_that_is_done_in_pieces(planned):
    planned.journal(0).carry([Death(frozenset({"c0", "c1"}), "SIGSEGV")])
    left, done = [0], []
    with Worker(planned.job) as worker, TaskLog(planned.logs) as log:
        found = run_taken(
            worker, planned, lambda is_ahead: left.pop() if left else None, log,
            is_stopping=lambda: bool(done), on_clip=done.append,
        )  # fmt: skip
        pieces = [piece.is_stopped for piece in found if isinstance(piece, PartReport)]
    assert pieces == [False, True]  # the third is not begun


def test_the_paths_of_every_medium_are_checked_when_a_part_is_read(planned, tmp_path):
    path = planned.path / "parts.jsonl"
    line = json.loads(path.read_text())
    for medium in ("video", "audio"):
        line["rows"][0] = {"id": "c0", medium: "../../etc/passwd"}
        path.write_text(json.dumps(line) + "\n")
        with pytest.raises(EmoError, match="leaves the folder"):
            planned.part(0)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("job.json", "{", "job.json is not valid JSON"),
        ("job.json", "{}", "job.json lacks 'format'"),
        ("offsets.json", None, "offsets.json cannot be read (No such file"),
        ("job.json", None, "is no job folder"),
    ],
)
def test_a_damaged_job_folder_is_told_in_words(planned, file, content, said):
    path = planned.path / file
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(JobError) as raised:
        open_job(planned.path)
    assert said in str(raised.value)
    assert "Error(" not in str(raised.value)
