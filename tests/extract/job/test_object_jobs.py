"""`emo` with a store in a bucket: extract, go on, look after it, fit; as with a folder."""

import csv
import json

import pytest

from emo.extract.job.folder import latest_job
from emo.store.backend.bucket import bucket as connection
from emo.store.backend.location import location

WORDS = {"joy": "glad happy bright", "anger": "furious cross loud"}


@pytest.fixture
def manifest(tmp_path):
    with (tmp_path / "m.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "text", "label", "split"])
        for number in range(24):
            label = ("joy", "anger")[number % 2]
            split = ("train", "train", "val", "test")[number // 2 % 4]
            rows.writerow([f"c{number}", f"{WORDS[label]} {number}", label, split])
    return "m.csv"


def test_extract_and_fit_as_with_a_folder(emo, manifest, bucket, tmp_path, object_server):
    runs = []
    for out in (f"{bucket}/features", "features"):
        code, printed, _ = emo("extract", manifest, "--out", out, "--part-clips", 6)
        assert code == 0
        assert f"did 24 of 24 clips; store: {out}" in printed
        _, again, _ = emo("extract", manifest, "--out", out)
        assert f"nothing to do; store: {out}" in again
        emo("fit-head", manifest, "--features", out, "--head", "linear", "--out", f"run{len(runs)}")
        runs.append((tmp_path / f"run{len(runs)}" / "predictions.csv").read_bytes())
        assert emo("store", "ls", out)[0] == emo("store", "verify", out)[0] == 0
    assert runs[0] == runs[1]
    assert json.loads((tmp_path / "run0" / "run.json").read_text())["features"] == [
        f"{bucket}/features"
    ]
    names = [path.name for path in (location(bucket) / "features" / "classic").iterdir()]
    for name in names:
        far = (location(bucket) / "features" / "classic" / name).read_bytes()
        assert far == (tmp_path / "features" / "classic" / name).read_bytes()
    predict = "predict", "run0", "--manifest", manifest, "--features"
    for number, out in enumerate((f"{bucket}/features", "features")):
        assert emo(*predict, out, "--out", f"{number}.csv")[0] == 0
    assert (tmp_path / "0.csv").read_bytes() == (tmp_path / "1.csv").read_bytes()


def test_the_job_lies_beside(emo, manifest, bucket, tmp_path):
    out = f"{bucket}/features"
    home = tmp_path / "emo-jobs" / f"{bucket.removeprefix('s3://')}+features"
    plan = "extract", manifest, "--out", out, "--part-clips", 12, "--executor", "slurm"
    assert "wrote emo-jobs/" in emo(*plan, "--dry-run")[1]
    assert latest_job(location(out)) == home / "0001"
    assert "2: 0 done, 0 running, 2 to do" in emo("job", "status", out)[1]
    code, printed, _ = emo("job", "resume", out, "--executor", "local")
    assert (code, printed) == (0, f"did 24 clips of 2 parts; store: {out}\n")
    assert "2: 2 done" in emo("job", "status", home / "0001")[1]
    assert f"nothing to do; store: {out}" in emo("extract", manifest, "--out", out)[1]
    code, _, error = emo("job", "status", out, "--jobs", "elsewhere")
    assert (code, "elsewhere/" in error, "no job folder" in error) == (1, True, True)
    emo("extract", manifest, "--out", f"{out}-2", "--jobs", "elsewhere")
    assert latest_job(location(f"{out}-2"), tmp_path / "elsewhere")
    code, _, error = emo("extract", manifest, "--out", "features", "--jobs", "elsewhere")
    assert (code, "leave --jobs out" in error) == (1, True)


def test_interchange_with_a_bucket(emo, manifest, bucket):
    out = f"{bucket}/features"
    emo("extract", manifest, "--out", out)
    assert emo("store", "export", "npz", out, "--out", "all.npz")[0] == 0
    assert emo("store", "import", "npz", "all.npz", "--out", out)[0] == 0
    assert emo("store", "pack", out, "--recipe", "classic", "--out", "all.zip")[0] == 0
    assert emo("store", "unpack", "all.zip", "all")[0] == 0
    assert emo("store", "index", out)[0] == emo("store", "compact", out)[0] == 0
    assert emo("store", "clean", out)[0] == emo("store", "failures", out)[0] == 0
    code, _, error = emo("store", "pack", out, "--recipe", "classic", "--out", f"{bucket}/all.zip")
    assert (code, "a local file or folder" in error) == (1, True)
    assert connection(bucket).listed("")[0] == ["features"]
