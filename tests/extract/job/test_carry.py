"""Deaths in an earlier job's journals are copied to a new job of equal recipes, for open clips."""

import pytest

from emo.extract.job.folder import write_job
from emo.extract.job.journal import Death
from emo.extract.job.missing import carry_deaths
from emo.extract.job.plan import PartPlan, Todo
from emo.extract.job.request import Job, make_request
from emo.extract.run import ExtractOptions, extract
from emo.manifest import Clip, Manifest
from emo.store.store import Store

LETTERS = "tests.make_backbone:Letters"
DEATHS = [Death(frozenset("xy"), "SIGSEGV"), Death(frozenset("x"), "SIGSEGV")]


def job_of(root, names, ids="xyz"):
    requests = tuple(make_request(LETTERS, name, {}) for name in names)
    clips = tuple(Clip(clip_id, text="!raise") for clip_id in ids)
    todo = {name: Todo(frozenset(ids)) for name in names}
    return write_job(Job(root, root / "store", requests), [PartPlan(clips, todo)])


@pytest.fixture
def killed(tmp_path):
    """A job of recipe ``a`` that clip x killed twice."""
    (tmp_path / "store").mkdir()
    folder = job_of(tmp_path, ["a"])
    folder.journal(0).carry(DEATHS)
    return folder


def test_the_same_recipes_go_on_narrowing(killed, tmp_path):
    now = job_of(tmp_path, ["a"])
    carry_deaths(killed, now, {"a": None})
    assert now.journal(0).deaths() == DEATHS
    assert now.journal(0).groups("x")[0].give_up_reason


@pytest.mark.parametrize("names", [["b"], ["a", "b"]])
def test_a_clip_that_killed_one_backbone_is_tried_with_another(killed, tmp_path, names):
    now = job_of(tmp_path, names)
    carry_deaths(killed, now, dict.fromkeys(names))
    assert now.journal(0).deaths() == []


def test_clips_that_were_recorded_since_are_not_given_up_when_tried_again(killed, tmp_path):
    clips = (Clip("x", text="!raise"),)
    manifest = Manifest(tmp_path / "m.csv", tmp_path, clips, "")
    requests = [make_request(LETTERS, "a", {})]
    extract(manifest, tmp_path / "store", requests, ExtractOptions(), progress=False)
    folders = {"a": Store(tmp_path / "store").recipes["a"]}
    assert "x" in folders["a"].failures
    now = job_of(tmp_path, ["a"])
    carry_deaths(killed, now, folders)
    assert now.journal(0).deaths() == [Death(frozenset("y"), "SIGSEGV")]
