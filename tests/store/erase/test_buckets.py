"""An erasure in a bucket: its objects, this machine's cache of them, and its older versions."""

import re
import urllib.request

import numpy as np
import pytest

from emo.errors import StoreError
from emo.heads.runs.in_bucket import near_run
from emo.store import PartWriter, Store
from emo.store.backend.cache_folder import cache_folder
from emo.store.backend.object_path import ObjectPath
from emo.store.erase.erase import erase
from emo.store.erased_ids import read_erased
from emo.store.maintain.index import make_index
from tests.make_store import RECIPE, noise


def test_objects_and_the_cache_hold_nothing_afterwards(bucket, object_server, tmp_path):
    store = Store.create(f"{bucket}/features")
    folder = store.add_recipe("toy", RECIPE)
    with PartWriter(folder.path, RECIPE) as part:
        for clip_id, tokens in noise(1, 2, 3, 1).items():
            part.add(f"ann_{clip_id}", tokens)
    make_index(folder, progress=False)
    before = Store(store.path).read("toy/audio", ["ann_c0"]).values  # fills the cache
    secret = Store(store.path).read("toy/audio", ["ann_c1"]).values[1].tobytes()
    (folder.path.parent.parent / "runs" / "a").write_bytes(b"")
    for name, text in (("run.json", "{}"), ("clips.csv", "id,split\nann_c1,val\nann_c0,val\n")):
        (folder.path.parent.parent / "runs" / "first" / name).write_bytes(text.encode())
    report = erase(store.path, ["ann_c1"], runs=[f"{bucket}/runs"])
    assert report.is_complete, report.lines()
    assert report.versioned == {bucket: False}
    assert [each.clips for each in report.survey.fitted.values()] == [{"val": 1}]
    assert np.array_equal(Store(store.path).read("toy/audio", ["ann_c0"]).values, before)
    assert list(Store(store.path).ids("toy")) == ["ann_c0", "ann_c2"]
    held = [path.read_bytes() for path in cache_folder().rglob("*") if path.is_file()]
    assert not any(b"ann_c1" in data or secret in data for data in held)


def test_copies_of_runs_leave_the_cache_also_of_runs_that_nobody_named(bucket, store, folder):
    with PartWriter(folder.path, RECIPE) as part:
        for clip_id, tokens in noise(1, 2, 3).items():
            part.add(f"ann_{clip_id}", tokens)
    run = ObjectPath.parse(f"{bucket}/elsewhere/first")
    (run / "run.json").write_bytes(b"{}")
    (run / "clips.csv").write_bytes(b"id,split\nann_c1,val\nann_c0,val\n")
    other = ObjectPath.parse(f"{bucket}/elsewhere/second")
    (other / "run.json").write_bytes(b'{"note": "ann_c0"}')
    copy, kept = near_run(run), near_run(other)
    report = erase(store.path, ["ann_c1"])  # a local store, and the run is not named
    assert (report.is_complete, report.copies) == (True, ("first",)), report.lines()
    assert (copy.exists(), kept.exists()) == (False, True)
    assert "copies of first; if such a run" in "\n".join(report.lines())
    copy = near_run(run)
    report = erase(store.path, ["ann_c1"], runs=[f"{bucket}/elsewhere"])
    assert (report.is_complete, copy.exists()) == (True, False), report.lines()
    assert near_run(run).joinpath("clips.csv").read_text() == "id,split\nann_c0,val\n"
    report = erase(store.path, ["ann_c1"], runs=[f"{bucket}/elsewhere"])
    assert (report.is_complete, report.copies) == (True, ())


def test_a_file_in_place_of_a_folder_is_refused(bucket, store, folder, tmp_path):
    (tmp_path / "p.csv").write_text("id\nann_c1\n")
    (ObjectPath.parse(bucket) / "p.csv").write_bytes(b"id\nann_c1\n")
    for area, parent in ((f"{tmp_path}/p.csv", str(tmp_path)), (f"{bucket}/p.csv", bucket)):
        with pytest.raises(StoreError, match=f"p.csv is a file; .* {re.escape(parent)}$"):
            erase(store.path, ["ann_c1"], runs=[area])
    assert not read_erased(store.path).hashes


def test_a_bucket_that_keeps_versions_is_named(bucket, object_server):
    body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    name = bucket.removeprefix("s3://")
    request = urllib.request.Request(f"{object_server.url}/{name}?versioning", body, method="PUT")
    request.add_header("Authorization", "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/x")
    request.add_header("Content-Type", "application/xml")
    urllib.request.urlopen(request).close()
    folder = Store.create(f"{bucket}/f").add_recipe("toy", RECIPE)
    with PartWriter(folder.path, RECIPE) as part:
        for clip_id, tokens in noise(1, 2, 3).items():
            part.add(f"ann_{clip_id}", tokens)
    report = erase(f"{bucket}/f", ["ann_c1"])
    assert report.versioned == {bucket: True}
    assert any("keeps older versions" in line for line in report.lines())
