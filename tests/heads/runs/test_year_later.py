"""A year later: what a run and a store say of what made them, and a run that is done again."""

import json
import shutil
from pathlib import Path

import pytest

import emo as package
from emo.extract.backbones.hf import HF
from emo.heads.runs.command_lines import commands_of
from emo.heads.runs.files import read_document
from emo.store import Store

pytestmark = pytest.mark.usefixtures("module_without_plots")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Where each test finds the run, and where the first one leaves a copy for the others."""
    root = tmp_path_factory.mktemp("year-later")
    return root / "here" / "secret-user", root / "kept"


@pytest.fixture
def made(emo, places):
    """A run on features of a model whose weights lie in a folder, all in ``here``."""
    folder, kept = places
    if not kept.exists():
        _make(emo, folder)
        shutil.copytree(folder, kept)
    shutil.rmtree(folder, ignore_errors=True)  # what the last test left of it
    shutil.copytree(kept, folder)
    return folder


def _make(emo, folder):
    weights = folder / "elsewhere" / "my-bert"
    weights.mkdir(parents=True)
    HF.write_tiny(weights)
    rows = [f"c{n},{'so happy' if n % 2 else 'very sad'} {n},{'joy' if n % 2 else 'sadness'},"
            f"{('train', 'train', 'val', 'test')[n // 2 % 4]}" for n in range(32)]  # fmt: skip
    (folder / "m.csv").write_text("\n".join(["id,text,Emotion,split", *rows]) + "\n")
    words = ("--column", "label=Emotion", "--head", "linear", "-o", "solver=ridge")
    code, _, err = emo("extract", folder / "m.csv", "--backbone", "hf", "-o", f"model={weights}",
                       "-o", "level=mean", "--out", folder / "features")  # fmt: skip
    assert code == 0, err
    code, _, err = emo("fit-head", folder / "m.csv", "--features", folder / "features", *words,
                       "--out", folder / "runs" / "first")  # fmt: skip
    assert code == 0, err


def test_a_moved_run_without_its_weights_is_shown_and_done_again(
    made, places, emo, tmp_path, monkeypatch
):
    before = read_document(made / "runs" / "first")
    shutil.rmtree(made / "elsewhere")
    there = tmp_path / "there"
    shutil.move(made, there)
    monkeypatch.setattr("socket.gethostname", lambda: "another-machine")

    code, out, err = emo("show", there / "runs" / "first", "--json")
    assert code == 0, err
    shown = json.loads(out)
    features = shown["features hf"]
    assert features["weights"].startswith("my-bert (sha256 ")
    for name in ("torch", "transformers", "av", "emo", "device cpu"):
        assert name in features["software"]
    assert "torch" in shown["run first"]["software"]
    assert "float32" in shown["run first"]["software"]
    assert shown["commands"]["2"].startswith("emo fit-head m.csv --features features")
    for path in ("runs/first", "features", "features/hf"):
        code, out, err = emo("show", there / path)
        assert code == 0, err
        assert "my-bert" in out
        assert "secret-user" not in out
        told = out.replace(str(there / path), "")
        assert str(tmp_path) not in told
        assert str(places[0].parents[1]) not in told
    assert "secret-user" not in "".join(before["asked"])

    code, out, err = emo("rerun", there / "runs" / "first")
    assert code == 0, err
    assert "scores: the same, bit by bit" in out
    assert "versions, manifest and features: the same" in out
    assert "predictions: the same in all" in out
    again = read_document(there / "runs" / "first-again")
    assert again["metrics"] == before["metrics"]
    assert again["asked"] == before["asked"]
    code, _, err = emo("rerun", there / "runs" / "first")
    assert (code, "first-again holds a run" in err) == (1, True)

    code, _, err = emo("predict", there / "runs" / "first", "--text", "so happy")
    assert (code, "was made with my-bert (sha256 " in err) == (1, True)


def test_other_weights_are_named_beside_those_that_were_used(made, emo, tmp_path):
    import torch

    torch.manual_seed(5)
    other = tmp_path / "other" / "your-bert"
    other.mkdir(parents=True)
    HF.write_tiny(other)
    (other / "config.json").write_text((other / "config.json").read_text() + "\n")
    code, _, err = emo("predict", made / "runs" / "first", "--text", "x", "-o", f"weights={other}")
    assert code == 1
    assert "weights: my-bert (sha256 " in err
    assert "-> your-bert (sha256 " in err


def test_what_differs_is_said(made, emo, tmp_path):
    run = made / "runs" / "first"
    document = read_document(run)
    document["versions"]["torch"] = "1.0"
    document["made_with"]["hf"]["transformers"] = "0.1"
    document["metrics"]["test"]["mean"]["weighted_f1"] -= 0.25
    (run / "run.json").write_text(json.dumps(document))
    lines = (made / "m.csv").read_text().splitlines()
    (made / "m.csv").write_text("\n".join(lines[:-1]) + "\n")
    report = package.rerun(run, out=tmp_path / "new", clips=made / "m.csv",
                           features=made / "features")  # fmt: skip
    text = report.table()
    assert any(line.startswith("torch: 1.0 -> ") for line in report.differences)
    assert any(line.startswith("transformers of hf: 0.1 -> ") for line in report.differences)
    assert "manifest: another file than before" in report.differences
    assert not report.is_same
    assert report.largest >= 0.25
    assert "scores: different, by up to 0.25" in text
    assert "label" in read_document(tmp_path / "new")["manifest"]["columns"]


def test_what_is_not_here_is_asked_for_by_its_option(made, emo, tmp_path):
    shutil.move(made / "features", tmp_path / "gone")
    code, _, err = emo("rerun", made / "runs" / "first")
    assert code == 1
    assert "its features, features, are not here; name them with --features" in err
    assert "emo extract m.csv --backbone hf" in err
    (made / "m.csv").unlink()
    code, _, err = emo("rerun", made / "runs" / "first", "--features", tmp_path / "gone")
    assert (code, "its manifest, m.csv, is not here" in err) == (1, True)


def test_a_head_of_a_stranger_is_not_run(made, emo):
    run = made / "runs" / "first"
    document = read_document(run)
    document["head"]["name"] = "os:path"
    (run / "run.json").write_text(json.dumps(document))
    code, _, err = emo("rerun", run)
    assert (code, "--allow-code" in err) == (1, True)
    assert not (made / "runs" / "first-again").exists()


def test_versions_stay_with_tokens_that_are_packed_or_compacted(made, emo, tmp_path):
    own = Store(made / "features").recipes["hf"].versions
    assert emo("store", "pack", made / "features", "--out", "p.zip")[0] == 0
    assert emo("store", "unpack", "p.zip", "there")[0] == 0
    assert Store(tmp_path / "there" / "features").recipes["hf"].versions == own
    assert "torch" in own


@pytest.mark.parametrize(
    ("manifest", "features", "expected"),
    [
        ("/data/team/meld/m.csv", "/data/team/meld/f/s", ["m.csv", "f/s"]),
        ("/home/ann/m.csv", "/home/ann/features", ["m.csv", "features"]),
        ("/home/ann/meld/sub/m.csv", "/home/bob/features", ["m.csv", "features"]),
        (r"C:\\Users\\ann\\meld\\m.csv", r"C:\\Users\\ann\\meld\\features", ["m.csv", "features"]),
        ("/m.csv", "s3://key:word@bucket/features?token=1", ["m.csv", "s3://bucket/features"]),
    ],
)
def test_command_lines_hold_no_folder_of_a_user(made, manifest, features, expected):
    document = read_document(made / "runs" / "first")
    document["manifest"]["path"], document["features"] = manifest, [features]
    line = commands_of(document, relative=True)[-1]
    words = line.replace("'", "").split()
    assert [words[2], words[words.index("--features") + 1]] == expected
    assert Path(words[2]).name == words[2]
