"""Predictions: in the format that was asked for, whole or not at all, over no file of others."""

import hashlib
import json
import os
import resource
import signal
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from emo.errors import EmoError, StoreError
from emo.extract.backbones.openclip import OpenClip
from emo.extract.models import file_hashes
from emo.extract.models.file_hashes import file_hash
from emo.predict import file


@pytest.fixture
def predict(emo, run):
    def predicted(out):
        return emo("predict", run, "--manifest", "m.csv", "--features", "s", "--out", out)

    return predicted


READERS = {
    "csv": pd.read_csv,
    "tsv": lambda path: pd.read_csv(path, sep="\t"),
    "jsonl": lambda path: pd.read_json(path, lines=True),
    "parquet": pd.read_parquet,
}


@pytest.mark.parametrize("kind", READERS)
def test_the_extension_is_the_format(predict, tmp_path, kind):
    assert predict("a.csv")[0] == 0
    code, _, err = predict(f"p.{kind}")
    assert code == 0, err
    expected, found = pd.read_csv(tmp_path / "a.csv"), READERS[kind](tmp_path / f"p.{kind}")
    assert list(found.columns) == list(expected.columns)
    assert list(found["prediction"]) == list(expected["prediction"])
    numbers = [name for name in expected.columns if name.startswith("p_")]
    assert len(numbers) >= 2
    np.testing.assert_allclose(found[numbers], expected[numbers], atol=1e-6)
    assert predict(f"p.{kind}")[0] == 0  # its own file is replaced


@pytest.mark.parametrize("name", ["p.txt", "p.xlsx", "p"])
def test_an_unknown_format_is_refused_before_anything_is_done(predict, tmp_path, name):
    code, _, err = predict(name)
    assert (code, "expected one of .csv .tsv .jsonl" in err) == (1, True)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "id,text,label\na,x,joy\n",
        "my thesis\n",
        '"unclosed\n',
        "\0\0",
        "id,prediction\na,joy\n",
        "id,prediction,absent,mine\na,joy,,x\n",
        "id,prediction,p_joy,notes,absent\na,joy,1,x,\n",
        "id,cause_id,prediction\na,b,joy\n",
    ],
)
def test_files_of_others_stay(predict, tmp_path, content):
    (tmp_path / "p.csv").write_text(content)
    code, _, err = predict("p.csv")
    assert (code, "holds no predictions of emo" in err) == (1, True)
    assert (tmp_path / "p.csv").read_text() == content


def test_files_of_further_targets_stay(tmp_path):
    targets = [SimpleNamespace(name=name) for name in ("label", "valence")]
    run = SimpleNamespace(document={}, target="label", targets=targets)
    out, manifest = tmp_path / "p.csv", tmp_path / "m.csv"
    mine = tmp_path / "p-valence.csv"
    mine.write_text("id,prediction\na,mine\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file.Run, "load", lambda path: run)
        with pytest.raises(EmoError, match=r"p-valence\.csv exists and holds no predictions"):
            file.predict_manifest(tmp_path, manifest, None, out, columns={}, root=None)
    assert mine.read_text() == "id,prediction\na,mine\n"


def test_a_link_is_not_followed(predict, tmp_path):
    (tmp_path / "secret.csv").write_text("id,prediction\n")
    (tmp_path / "p.csv").symlink_to("secret.csv")
    code, _, err = predict("p.csv")
    assert (code, "is a link to secret.csv" in err) == (1, True)
    assert (tmp_path / "secret.csv").read_text() == "id,prediction\n"


def test_a_full_disk_leaves_the_old_file(predict, tmp_path):
    assert predict("p.csv")[0] == 0
    before = (tmp_path / "p.csv").read_bytes()
    limits, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
    try:
        code, _, err = predict("p.csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (code, "p.csv cannot be written" in err) == (1, True)
    assert (tmp_path / "p.csv").read_bytes() == before
    assert not list(tmp_path.glob(".p.csv*"))


def test_weights_that_were_replaced_have_another_hash(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "weights.bin"
    path.write_bytes(b"a" * (2 << 20))
    first, status = file_hash(path), path.stat()
    path.write_bytes(b"b" * (2 << 20))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file_hash(path) != first


def test_rehash_reads_weights_although_nothing_seems_to_have_changed(emo, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "tiny").mkdir()
    OpenClip.write_tiny(tmp_path / "tiny")
    monkeypatch.setattr(file_hashes, "_QUICK_BYTES", 0)
    command = ("weights", "check", "openclip", "-o", f"weights={tmp_path / 'tiny'}")
    right = emo(*command)[1]
    cache = tmp_path / "cache" / "emo" / "weights.json"
    cache.write_text(json.dumps(dict.fromkeys(json.loads(cache.read_text()), "0" * 64)))
    assert emo(*command)[1] != right
    assert emo(*command, "--rehash")[1] == emo(*command)[1] == right


@pytest.mark.parametrize("content", ["[]", '{"a": 1}', "{", "[" * 10**5])
def test_a_damaged_memory_of_hashes_is_passed_over(content, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "weights.bin"
    path.write_bytes(b"a" * (2 << 20))
    cache = tmp_path / "cache" / "emo" / "weights.json"
    cache.parent.mkdir(parents=True)
    cache.write_text(content)
    assert file_hash(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(json.loads(cache.read_text())) == 1


def test_check_names_ids_that_a_spreadsheet_would_run(emo, tmp_path):
    ids = ["a", "-1", "=cmd|'/c calc'!A0", "@SUM(A1)", "+x"]
    rows = "\n".join(f"{each},joy,hello" for each in ids)
    (tmp_path / "m.csv").write_text(f"id,label,text\n{rows}\n")
    line = next(
        line for line in emo("check", tmp_path / "m.csv")[1].splitlines() if "would run" in line
    )
    assert all(word in line for word in ("=cmd", "@SUM", "+x", "  3  "))


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("http://user:pa55@host:9000/b is not there", "pa55"),
        ("https://token@host/b", "token"),
        (
            "GET https://b.s3.amazonaws.com/x?X-Amz-Credential=AKIA1&X-Amz-Signature=5ec failed",
            "5ec",
        ),
        ("https://a.blob.core.windows.net/x?sv=1&sig=5ec%3D: 403", "5ec"),
    ],
)
def test_secrets_of_urls_are_left_out(text, secret):
    for kind in (EmoError, StoreError):
        assert secret not in str(kind(text))
        assert "***" in str(kind(text))
    assert str(EmoError("s3://bucket/a?b=c: no such key")) == "s3://bucket/a?b=c: no such key"
