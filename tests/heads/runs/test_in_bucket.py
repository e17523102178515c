"""Runs in buckets: written whole, read back by every command, and never half."""

import csv
import json
import os
import shutil
from pathlib import Path

import pytest

from emo.errors import FitError
from emo.heads.runs import in_bucket
from emo.heads.runs.files import RUN_FILE, shown_path
from emo.heads.runs.in_bucket import near_run, uploaded
from emo.heads.runs.test_ledger import LEDGER
from emo.report.names import run_names
from emo.store.backend.location import location
from emo.store.backend.object_path import ObjectPath

SPLITS = ["train"] * 4 + ["val"] * 2 + ["test"] * 2


@pytest.fixture
def features(emo, tmp_path):
    with (tmp_path / "m.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "text", "label", "split"])
        for number in range(24):
            word = ("glad happy", "cross loud")[number % 2]
            rows.writerow([f"c{number}", f"{word} {number}", number % 2, SPLITS[number // 2 % 8]])
    assert emo("extract", "m.csv", "--out", "features")[0] == 0
    return "--features", "features", "--head", "linear", "--threads", "1", "-o", "solver=ridge"


def test_a_run_in_a_bucket_is_fitted_shown_and_predicts(emo, features, bucket, tmp_path):
    run = f"{bucket}/runs/first"
    fit = "fit-head", "m.csv", *features, "--out", run
    code, printed, _ = emo(*fit)
    assert (code, f"run written to {run}" in printed) == (0, True)
    far = location(run)
    assert {"clips.csv", "head.safetensors", "predictions.csv", RUN_FILE} <= {*far.file_names()}
    assert b"emo-run-" not in (far / RUN_FILE).read_bytes()
    assert (far.parent / LEDGER).file_names() == ["000000.jsonl"]
    assert "linear" in emo("show", run)[1]
    for words in ((), ("--json",), ("--csv",)):
        code, printed, _ = emo("compare", run, *words)
        assert (code, run in printed, "cache" in printed) == (0, True, False)
    copy = near_run(run)
    assert shown_path(copy / "a" / "b") == f"{run}/a/b"
    assert shown_path(tmp_path) == str(tmp_path)
    assert run_names([copy, tmp_path / "first"]) == {
        copy: "first (1)", tmp_path / "first": "first (2)"
    }  # fmt: skip
    words = "--manifest", "m.csv", "--features", "features", "--out", "new.csv"
    assert emo("predict", run, *words)[0] == 0
    predicted = probabilities(tmp_path / "new.csv")
    fitted = probabilities(near_run(run) / "predictions.csv")
    assert {clip_id: predicted[clip_id] for clip_id in fitted} == pytest.approx(fitted, abs=1e-5)
    code, _, error = emo(*fit)
    assert (code, "holds a run; --overwrite" in error) == (1, True)
    code, _, error = emo(*fit, "--resume")
    assert (code, "nothing in a bucket to go on with" in error) == (2, True)
    code, _, error = emo("rerun", run)
    assert (code, "needs --out" in error) == (2, True)


def probabilities(path):
    with path.open(newline="") as file:
        return {row["id"]: float(row["p_0"]) for row in csv.DictReader(file)}


def toy(folder: Path, words: str = "{}") -> None:
    folder.mkdir()
    (folder / "head.safetensors").write_text("weights")
    (folder / RUN_FILE).write_text(words)


def test_a_run_is_there_with_its_last_file_or_not_at_all(bucket, object_server, monkeypatch):
    out = location(bucket) / "runs" / "a"

    def failed_fit():
        with uploaded(out) as folder:
            toy(folder)
            (folder.parent / LEDGER).write_text('{"asked": 1}\n')
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failed_fit()
    assert not out.exists()
    with uploaded(out) as folder:
        assert (folder.parent / LEDGER).read_text() == '{"asked": 1}\n'  # test was scored
        toy(folder)
    with object_server.heard() as requests, uploaded(out, overwrite=True) as folder:
        toy(folder, '{"a": 1}')
    changes = [r for r in requests if r.method not in ("GET", "HEAD")]
    assert (changes[0].method, changes[-1].key.endswith(RUN_FILE)) == ("POST", True)  # a deletion
    monkeypatch.setattr(ObjectPath, "commit", lambda *_: False)  # another fit was first
    with pytest.raises(FitError, match="another fit wrote a run"), uploaded(out.parent / "b") as b:
        toy(b)


def test_copies_are_bounded_renewed_and_never_lead_elsewhere(bucket, tmp_path, monkeypatch):
    out = location(bucket) / "runs" / "a"
    with uploaded(out) as folder:
        toy(folder)
    first = near_run(Path(f"{bucket}/runs/a"))  # a Path loses a slash
    assert (first / RUN_FILE).read_text() == "{}"
    assert near_run(str(out)) == first
    with uploaded(out, overwrite=True) as folder:
        toy(folder, json.dumps({"a": 1}))
    second = near_run(out)
    assert (second / RUN_FILE).read_text() == '{"a": 1}'
    assert not first.exists()
    shutil.rmtree(tmp_path / "cache")
    fetch, others = in_bucket._fetch, []

    def fetch_beside_another(far, found, folder):
        monkeypatch.setattr(in_bucket, "_fetch", fetch)
        fetch(far, found, folder)
        others.append(near_run(out))  # another worker, at the same moment
        assert (folder / RUN_FILE).exists()

    monkeypatch.setattr(in_bucket, "_fetch", fetch_beside_another)
    assert [near_run(out)] == others == [second]
    assert (second / RUN_FILE).exists()
    assert near_run(tmp_path / "here") == tmp_path / "here"
    with pytest.raises(FitError, match="no run folder"):
        near_run(f"{bucket}/nothing")
    with monkeypatch.context() as patched:
        patched.setattr("emo.heads.runs.in_bucket.MOST_RUN_FILES", 1)
        with pytest.raises(FitError, match="name the run itself"):
            near_run(out)
    (out / "a\\b").write_bytes(b"")
    with pytest.raises(FitError, match="no name of a file"):
        near_run(out)
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {"runs"}
    assert os.listdir(tmp_path / "cache" / "runs")
