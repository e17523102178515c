"""Extraction, compaction and the command itself, beside and after an erasure."""

import json
import os
import signal
import time

import numpy as np
import pytest

from emo.errors import StoreError
from emo.extract.job.plan import PartPlan, Todo
from emo.extract.job.request import Job, requests_from_words
from emo.extract.run import ExtractOptions, extract
from emo.extract.worker.worker import Worker
from emo.manifest import Clip, Manifest
from emo.store import PartWriter, Store
from emo.store.erase import area as area_module
from emo.store.erase import erase as erase_module
from emo.store.erase.erase import erase
from emo.store.erased_ids import ERASED, write_erased
from emo.store.maintain import compact as compact_module
from emo.store.maintain.index import make_index
from tests.make_store import RECIPE, noise

LETTERS = "tests.make_backbone:Letters"
WORDS = {"ann_1": "hello", "ann_2": "there", "bob_1": "good", "bob_2": "day"}


def run(root, **options):
    clips = tuple(Clip(k, text=text) for k, text in WORDS.items())
    manifest = Manifest(root / "m.csv", root, clips, "")
    requests = requests_from_words([LETTERS])
    return extract(manifest, root / "features", requests, ExtractOptions(**options), progress=False)


def ids(root):
    (folder,) = Store(root / "features").recipes.values()
    return set(folder.ids)


def test_an_extract_refuses_erased_clips_until_told(tmp_path):
    run(tmp_path)
    report = erase(tmp_path / "features", ["ann_1", "ann_2"])
    assert report.is_complete, report.lines()
    assert ids(tmp_path) == {"bob_1", "bob_2"}
    texts = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"ann_" not in texts
    assert b"hello" not in texts  # the copy of the manifest's rows in the job folder
    with pytest.raises(StoreError, match="2 of these clips were erased"):
        run(tmp_path)
    run(tmp_path, may_be_erased=True)
    assert ids(tmp_path) == set(WORDS)


def test_a_worker_that_began_before_brings_nothing_back(tmp_path, monkeypatch):
    real = PartWriter.__exit__

    def meanwhile(writer, *error):
        write_erased(tmp_path / "features", ["ann_1"])
        real(writer, *error)

    monkeypatch.setattr(PartWriter, "__exit__", meanwhile)
    (request,) = requests_from_words([LETTERS])
    store = Store.create(tmp_path / "features")
    store.add_recipe(request.name, request.recipe)
    job = Job(tmp_path, tmp_path / "features", (request,), "cpu")
    clips = tuple(Clip(k, text=text) for k, text in WORDS.items())
    part = PartPlan(clips, {request.name: Todo(frozenset(WORDS))})
    with Worker(job) as worker, pytest.raises(StoreError, match="while a worker was at it"):
        worker.run_part(part)
    assert not ids(tmp_path)


def test_a_compaction_that_began_before_brings_nothing_back(store, folder, monkeypatch):
    clips = noise(0, 2, 3, 1)
    for clip_id, tokens in clips.items():
        with PartWriter(folder.path, RECIPE) as part:
            part.add(clip_id, tokens)
    real = compact_module.part_groups

    def meanwhile(*arguments):
        groups = real(*arguments)
        erase(store.path, ["c1"])
        return groups

    monkeypatch.setattr(compact_module, "part_groups", meanwhile)
    with pytest.raises(StoreError, match=r"erased while it was compacted|gone"):
        compact_module.compact(folder, progress=False)
    assert set(Store(store.path).ids("toy")) == {"c0", "c2"}
    assert erase(store.path, ["c1"]).is_complete


def test_readers_at_work_go_on(store, folder):
    with PartWriter(folder.path, RECIPE) as part:
        for clip_id, tokens in noise(1, 2, 3, 1).items():
            part.add(clip_id, tokens)
    make_index(folder, progress=False)
    reader = Store(store.path).recipes["toy"]
    before = reader.read("audio", ["c0"]).values.copy()
    erase(store.path, ["c1"])
    assert np.array_equal(reader.read("audio", ["c0"]).values, before)
    other = Store(store.path).recipes["toy"]
    assert np.array_equal(other.read("audio", ["c2", "c0"]).values[1:], before)


@pytest.mark.parametrize("step", ["survey", "apply", "rewrite_parts", "renew_index", "scan"])
def test_a_repeat_after_a_kill_ends_the_same(step, store, folder, tmp_path):
    with PartWriter(folder.path, RECIPE) as part:
        for clip_id, tokens in noise(1, 2, 3, 1).items():
            part.add(f"ann_{clip_id}", tokens)
    make_index(folder, progress=False)
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "run.json").write_text("{}")
    (runs / "clips.csv").write_text("id,split\nann_c1,train\nann_c0,val\n")
    child = os.fork()
    if not child:
        _die_after(step)
        erase(store.path, ["ann_c1"], runs=[runs])
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    report = erase(store.path, ["ann_c1"], runs=[runs])
    assert report.is_complete
    assert set(Store(store.path).ids("toy")) == {"ann_c0", "ann_c2"}
    assert [each.clips for each in report.survey.fitted.values()] == [{"train": 1}]
    assert len(report.survey.rows.rows) == 7  # 3 + 1 + 3 tokens, also of removed parts
    names = {each["file"].rpartition("/")[2] for each in report.document["files"]}
    assert {"clips.csv"} < names
    assert not list((store.path / ERASED).glob("pending-*"))


def _die_after(step):
    """Let this process be killed when a step of an erasure has ended."""
    module = erase_module.SearchedArea if hasattr(erase_module.SearchedArea, step) else area_module
    real = getattr(module, step)

    def then_die(*arguments):
        real(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)

    setattr(module, step, then_die)


def test_the_command_chooses_by_a_column_and_writes_a_receipt(emo, tmp_path):
    (tmp_path / "m.csv").write_text("id,text,speaker\nann_1,one,Ann\nbob_1,two,Bob\n")
    assert emo("extract", "m.csv", "--backbone", LETTERS)[0] == 0
    words = ["--manifest", "m.csv", "--where", "speaker=Ann", "--receipt", "receipt.json"]
    code, out, err = emo("store", "erase", "features", *words)
    assert (code, out.splitlines()[0].partition(":")[0]) == (0, "erased 1 clip")
    assert err.splitlines()[-1] == "scanning every byte"
    receipt = json.loads((tmp_path / "receipt.json").read_text())
    assert (receipt["is_complete"], receipt["scan"]["hits"]) == (True, [])
    code, _, err = emo("extract", "m.csv", "--backbone", LETTERS)
    assert (code, "--allow-erased" in err) == (1, True)
    assert emo("extract", "m.csv", "--backbone", LETTERS, "--allow-erased")[0] == 0
    code, _, err = emo("store", "erase", "features", "--manifest", "m.csv", "--where", "speaker=X")
    assert (code, "no clip has speaker=X" in err) == (1, True)
