"""A worker whose parent is killed commits the clips that it has finished, and ends."""

import multiprocessing
import os

import pytest

from emo.extract.executors._process import serve
from emo.extract.job.folder import write_job
from emo.extract.job.plan import make_plan
from emo.extract.job.request import Job, make_request
from emo.manifest import Clip
from emo.store.maintain.verify import verify
from emo.store.store import Store
from tests.forked import forked

LETTERS = make_request("tests.make_backbone:Letters", "letters", {})
CLIPS, HEARD = 60, 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the worker is forked here; no fork on Windows")
def test_a_worker_whose_parent_is_gone_commits_what_it_has(tmp_path):
    recipe = Store.create(tmp_path / "store").add_recipe("letters", LETTERS.recipe)
    job = Job(root=tmp_path, store=tmp_path / "store", requests=(LETTERS,), batch_clips=2)
    clips = [Clip(f"c{k:02}", text="!sleep") for k in range(CLIPS)]
    folder = write_job(job, make_plan(job, {"letters": recipe}, clips, part_clips=CLIPS).parts)
    ours, theirs = multiprocessing.Pipe()

    def run():
        ours.close()
        serve(folder.path, "cpu", 1, theirs, (LETTERS.plugin,))
        return 0

    worker = forked(run)
    theirs.close()
    assert ours.recv().by  # it is ready
    ours.send(0)
    assert [ours.recv() for _ in range(HEARD)] == [False] * HEARD  # clips, none failed
    ours.close()
    assert worker.end() == 0
    recipe.refresh()
    assert HEARD <= len(recipe.ids) < CLIPS
    assert verify(Store(job.store)).problems == []
    assert not folder.journals()
