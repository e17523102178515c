"""Links in a store's folder of jobs: nothing is written through them."""

import os

import pytest

from emo.errors import StoreError
from emo.extract.job.folder import open_job, write_job
from emo.extract.job.journal import Journal
from emo.extract.job.paths import job_folders, jobs_home
from emo.extract.job.request import Job, make_request
from tests.hostile.build import refused


@pytest.fixture
def job(tmp_path):
    (tmp_path / "s").mkdir()
    return Job(tmp_path, tmp_path / "s", (make_request("classic", "classic", {}),))


def written(job):
    return write_job(job, [], executor="local", workers=1)


@pytest.mark.parametrize("target", ["other", "missing", ".jobs"])
def test_a_link_in_place_of_the_folder(job, tmp_path, target):
    (tmp_path / "other").mkdir()
    (job.store / ".jobs").symlink_to(tmp_path / target if target != ".jobs" else ".jobs")
    for ask in (lambda: written(job), lambda: open_job(job.store), lambda: jobs_home(job.store)):
        refused(ask, r"\.jobs is a link, through which jobs would be written elsewhere")
    assert not os.listdir(tmp_path / "other")


def test_a_link_in_place_of_a_job_is_passed_over(job, tmp_path):
    folder = written(job).path
    (tmp_path / "other").mkdir()
    folder.rename(tmp_path / "other" / "0001")
    folder.symlink_to(tmp_path / "other" / "0001")
    assert list(job_folders(job.store)) == []
    assert written(job).path.name == "0002"


@pytest.mark.parametrize("name", ["journal", "logs", "submissions.jsonl", "array.sh"])
def test_links_inside_a_job(job, tmp_path, name):
    folder = written(job).path
    if (folder / name).exists():
        (folder / name).rmdir()
    (folder / name).symlink_to(tmp_path)
    refused(lambda: open_job(folder), f"{name} is a link")


def test_a_journal_that_is_a_link_is_not_written(job, tmp_path):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "0.jsonl").symlink_to(tmp_path / "victim")
    journal = Journal(tmp_path / "0.jsonl")
    with pytest.raises(StoreError):
        journal._append({"a": 1})
    assert (tmp_path / "victim").read_text() == "mine"


def test_a_job_without_links_opens(job):
    folder = written(job)
    assert open_job(job.store).path == folder.path
