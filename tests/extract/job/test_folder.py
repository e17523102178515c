"""Tests of emo/extract/job/folder.py: the plan that is read equals the plan that was written."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emo.errors import ManifestError
from emo.extract.job.files.parts_file import part_numbers
from emo.extract.job.folder import JobError, latest_job, open_job, write_job
from emo.extract.job.paths import typed
from emo.extract.job.plan import PartPlan, Todo
from emo.extract.job.request import Job, make_request
from emo.manifest import Clip

LETTERS = make_request("tests.make_backbone:Letters", "letters", {"width": "4"})
TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


@pytest.fixture
def job(tmp_path):
    (tmp_path / "store").mkdir()
    return Job(tmp_path, tmp_path / "store", (LETTERS,), "auto", batch_clips=3, batch_size=7)


def part(ids, **columns):
    clips = tuple(Clip(clip_id, text="x", **columns) for clip_id in ids)
    return PartPlan(clips, {"letters": Todo(frozenset(ids), 2)})


@settings(max_examples=25, deadline=None)
@given(parts=st.lists(st.lists(TEXT, min_size=1, max_size=4, unique=True), max_size=4))
def test_every_part_comes_back(tmp_path_factory, parts):
    root = tmp_path_factory.mktemp("job")
    (root / "store").mkdir()
    plans = [part(ids, video="v é.mp4", end_seconds=2.5) for ids in parts]
    folder = write_job(Job(root, root / "store", (LETTERS,)), plans)
    assert list(folder.all_parts()) == plans
    assert [folder.part(number) for number in reversed(folder.parts)] == plans[::-1]


def test_the_job_comes_back_and_can_be_read_by_people(job):
    asked = {"partition": "gpu", "sbatch_arg": ("--mem=1G",)}
    folder = write_job(job, [part(["a"])], executor="slurm", workers=2, executor_options=asked)
    again = open_job(folder.path)
    assert again.job == job
    assert (again.executor, again.workers, again.executor_options) == ("slurm", 2, asked)
    document = json.loads((folder.path / "job.json").read_text())
    assert document["backbones"][0]["options"] == {"width": 4, "scale": 1.0}
    assert json.loads((folder.path / "parts.jsonl").read_text())["todo"] == {
        "letters": {"attempt": 2, "clips": ["a"]}
    }


def test_a_store_stands_for_its_newest_job(job):
    assert latest_job(job.store) is None
    first, second = write_job(job, []), write_job(job, [part(["a"])])
    assert (first.path.name, second.path.name) == ("0001", "0002")
    assert open_job(job.store).path == second.path


def test_a_folder_that_is_no_job_is_refused(job, tmp_path):
    with pytest.raises(JobError, match="no job folder"):
        open_job(tmp_path)
    folder = write_job(job, [part(["a"])])
    with pytest.raises(JobError, match="no part 1, only 0 to 0"):
        folder.part(1)
    (folder.path / "parts.jsonl").write_text("{torn")
    with pytest.raises(JobError, match="part 0 is damaged"):
        folder.part(0)
    (folder.path / "job.json").write_text("{}")
    with pytest.raises(JobError, match="damaged"):
        open_job(folder.path)


def test_a_path_that_leaves_the_media_is_refused_when_read(job):
    folder = write_job(job, [part(["a"], video="../../etc/passwd")])
    with pytest.raises(ManifestError, match="leaves the folder"):
        folder.part(0)


@pytest.mark.parametrize("words", ["", "x", "3-", "10", "-1", "2-1", "0,11"])
def test_part_numbers_that_are_none_are_refused(words):
    with pytest.raises(JobError, match="--part"):
        part_numbers(words, range(10))


def test_a_job_is_named_as_a_shell_takes_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert typed(tmp_path / "features/.jobs/0001") == "features/.jobs/0001"
    assert typed(tmp_path / "my features/.jobs/0001") == "'my features/.jobs/0001'"
