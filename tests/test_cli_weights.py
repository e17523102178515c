"""Weights on the command line: found, missing, another place; options that all models share."""

import json
from pathlib import Path

import pytest

from emo.extract.backbones.openclip import OpenClip


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    folder.mkdir()
    OpenClip.write_tiny(folder)
    return folder


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "no-hub"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-torch"))


def test_a_job_without_weights_ends_with_short_lines_that_tell_what_to_do(emo, demo_clips):
    code, out, err = emo("extract", demo_clips / "manifest.csv", "--backbone", "vggface")
    assert code == 1
    assert out == ""
    assert err.count("\n") == 4
    for words in ("20180402-114759-vggface2.pt", "looked in", "emo weights fetch vggface;"):
        assert words in err
    assert "classic" in err.splitlines()[-1]


def test_the_command_that_most_people_type_first_gets_short_lines(emo, demo_clips):
    code, _, err = emo("extract", demo_clips / "manifest.csv", "--backbone", "languagebind")
    assert code == 1
    assert err.count("\n") == 5
    assert max(len(line) for line in err.splitlines() if "looked in" not in line) < 240
    assert "emo weights fetch languagebind; or give -o weights=DIR" in err


def test_where_tells_what_is_missing_and_what_is_here(emo, weights):
    code, out, _ = emo("weights", "where", "languagebind")
    assert code == 1
    assert out.count("missing") >= 4
    assert "LanguageBind/LanguageBind_Audio_FT" in out
    code, out, _ = emo("weights", "where", "openclip", "-o", f"weights={weights}")
    assert code == 0
    assert "missing" not in out


def test_check_loads_the_model_and_names_a_damaged_file(emo, weights, tmp_path):
    code, out, _ = emo("weights", "check", "openclip", "-o", f"weights={weights}")
    assert code == 0
    assert "video (T, 16)" in out
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "open_clip_config.json").write_bytes((weights / "open_clip_config.json").read_bytes())
    (broken / "open_clip_pytorch_model.bin").write_bytes(b"not a checkpoint")
    code, _, err = emo("weights", "check", "openclip", "-o", f"weights={broken}")
    assert code == 1
    assert "open_clip_pytorch_model.bin cannot be read as weights" in err


def test_a_backbone_without_weights_says_so(emo):
    code, _, err = emo("weights", "where", "classic")
    assert code == 1
    assert "classic has no weights" in err


def test_the_recipe_keeps_no_path_and_predict_asks_where_the_weights_lie(emo, demo_clips, weights):
    words = ("--backbone", "openclip", "-o", f"weights={weights}", "--out", "features")
    assert emo("extract", demo_clips / "manifest.csv", *words)[0] == 0
    recipe = next(Path("features").rglob("recipe.json")).read_text()
    assert str(weights.parent) not in recipe
    code, _, err = emo(
        "fit-head",
        demo_clips / "manifest.csv",
        "--features",
        "features",
        "--head",
        "linear",
        "-o",
        "fusion=late",
        "-o",
        "penalties=3",
        "--out",
        "r",
    )
    assert code == 0, err
    code, _, err = emo("predict", "r", "--text", "a fine day")
    assert code == 1
    assert "emo weights fetch openclip" in err
    code, out, err = emo(
        "predict", "r", "--text", "a fine day", "--json", "-o", f"weights={weights}"
    )
    assert code == 0, err
    assert sum(json.loads(out)["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_dtype_goes_to_every_model_and_is_refused_where_there_is_none(emo, demo_clips, weights):
    words = ("--backbone", "openclip", "-o", f"weights={weights}", "--dtype", "bf16")
    assert emo("extract", demo_clips / "manifest.csv", *words, "--out", "f")[0] == 0
    assert emo("store", "ls", "f")[0] == 0
    recipe = json.loads(next(Path("f").rglob("recipe.json")).read_text())
    assert "bf16" in json.dumps(recipe)
    code, _, err = emo(
        "extract", demo_clips / "manifest.csv", "--backbone", "classic", "--dtype", "bf16"
    )
    assert code == 1
    assert "--dtype: no backbone of classic has such an option" in err
    code, _, _ = emo("extract", demo_clips / "manifest.csv", "--batch-size", "0")
    assert code == 2


def test_faces_is_another_recipe(emo, demo_clips):
    words = ("--backbone", "faces", "--faces", "centre", "--out", "f")
    assert emo("extract", demo_clips / "manifest.csv", *words)[0] == 0
    code, _, err = emo("extract", demo_clips / "manifest.csv", "--backbone", "faces", "--out", "f")
    assert code == 1
    assert "options.faces" in err
