"""Tests of the command `emo`: exit codes, one-line errors, and the whole way on texts."""

import atexit
import gc
import json
import os
import statistics
import subprocess
import sys
import time

import pytest

LETTERS = "tests.make_backbone:Letters"
WORDS = {"happy": ["yes yes", "so good", "great day"], "sad": ["oh no", "so bad", "lost it"]}


@pytest.fixture
def manifest(tmp_path):
    lines = ["text,label,split"]
    for k in range(60):
        label = ("happy", "sad")[k % 2]
        split = ("train", "train", "train", "val", "test")[k % 5]
        lines.append(f"{WORDS[label][k % 3]} {'ab'[k % 2] * (k % 7 + 1)},{label},{split}")
    path = tmp_path / "manifest.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    "words",
    [["extract"], ["fit-head"], ["compare"], ["predict"], ["check"], ["list"], ["demo"],
     ["manifest", "folder"], ["manifest", "join"], ["store", "ls"], ["store", "verify"],
     ["store", "clean"], ["store", "failures"], ["store", "import"], ["store", "export"],
     ["store", "pack"], ["store", "unpack"], ["score"], ["submit"]],
    ids=" ".join,
)  # fmt: skip
def test_every_command_shows_an_example(emo, words):
    code, out, _ = emo(*words, "--help")
    assert code == 0
    assert "Example: emo " + " ".join(words) in " ".join(out.split())


def test_extract_fit_and_predict_work_as_typed(emo, manifest):
    code, out, _ = emo("extract", "--backbone", LETTERS)
    assert code == 0, out
    assert "did 60 of 60 clips" in out
    code, out, err = emo("extract", "--backbone", LETTERS)
    assert (code, "nothing to do" in out) == (0, True)
    code, out, err = emo("fit-head", "--head", "mean_pool", "--out", "runs/x", "--seeds", 2)
    assert code == 0, err
    assert "weighted F1" in out
    code, out, err = emo("predict", "runs/x", "--text", "so good aaa", "--json", "--allow-code")
    assert code == 0, err
    document = json.loads(out)
    assert set(document["probabilities"]) == {"happy", "sad"}
    assert sum(document["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    code, out, err = emo("predict", "runs/x", "--manifest", manifest, "--features", "features")
    assert code == 0, err
    assert "wrote predictions.csv" in out


def test_several_targets_a_preset_and_what_is_listed(emo, manifest):
    lines = manifest.read_text().splitlines()
    score = [f"{line},{'score' if k == 0 else k % 2 * 1.5 - 0.5}" for k, line in enumerate(lines)]
    manifest.write_text("\n".join(score) + "\n")
    assert emo("extract", manifest, "--backbone", LETTERS)[0] == 0
    words = ["fit-head", manifest, "--preset", "mlstm-fcn", "--epochs", 3]
    words += ["--target", "label", "--target", "score", "--target-weight", "score=0.5"]
    code, out, err = emo(*words, "--warmup", 0.1, "--decay", "cosine", "--max-samples", 30)
    assert (code, err) == (0, "")
    assert "mlstm_fcn on" in out
    assert "-> score" in out
    assert "preset mlstm-fcn: MLSTM-FCN" in out
    code, out, _ = emo("list", "presets")
    assert code == 0
    assert "semeval-exp1" in out


def test_cross_validation_tests_every_clip(emo, manifest, tmp_path):
    lines = manifest.read_text().splitlines()
    sessions = [f"{line},{'session' if k == 0 else k % 3}" for k, line in enumerate(lines)]
    manifest.write_text("\n".join(sessions) + "\n")
    assert emo("extract", "--backbone", LETTERS)[0] == 0
    for by, said in (("session", "one session left out"), ("4", "4 folds of whole clips")):
        code, out, err = emo("fit-head", "--head", "linear", "--cv", by, "--out", f"runs/{by}")
        assert (code, err) == (0, "")
        assert said in out
        assert len((tmp_path / "runs" / by / "predictions.csv").read_text().splitlines()) == 61
    code, _, err = emo("fit-head", "--ablate", "--cv", "4", "--out", "runs/ablation")
    assert (code, "--ablate: expected 2 to 6 streams" in err) == (1, True)
    code, _, err = emo("predict", "runs/4", "--text", "so good")
    assert (code, "is a cross-validation" in err) == (1, True)
    code, _, err = emo("fit-head", "--cv", "sesion")
    assert (code, "did you mean 'session'" in err) == (1, True)


def test_runs_are_compared(emo, manifest):
    emo("extract", "--backbone", LETTERS)
    for words in (["linear"], ["mean_pool", "--epochs", 3]):
        assert emo("fit-head", "--head", *words, "--out", f"runs/{words[0]}")[0] == 0
    code, out, err = emo("compare", "runs/linear", "runs/mean_pool")
    assert (code, err) == (0, "")
    assert "runs/mean_pool − runs/linear on label" in out
    code, out, _ = emo("compare", "--pair", "runs/linear", "runs/linear")
    assert code == 0
    assert "contains 0" in out
    assert emo("compare")[0] == 2
    code, _, err = emo("compare", "runs/none")
    assert (code, len(err.strip().splitlines())) == (1, 1)


def test_predictions_of_a_manifest_do_not_depend_on_the_way(emo, manifest, tmp_path):
    emo("extract", "--backbone", LETTERS)
    emo("fit-head", "--out", "runs/x")
    emo(
        "predict",
        "runs/x",
        "--manifest",
        manifest,
        "--features",
        "features",
        "--out",
        "a.csv",
        "--allow-code",
    )
    emo("predict", "runs/x", "--manifest", manifest, "--out", "b.csv", "--allow-code")
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()


def test_predict_refuses_a_store_of_another_recipe(emo, manifest):
    emo("extract", "--backbone", LETTERS)
    emo("fit-head", "--out", "runs/x")
    emo("extract", "--backbone", LETTERS, "-o", "scale=2", "--out", "other")
    code, _, err = emo("predict", "runs/x", "--manifest", manifest, "--features", "other")
    assert code == 1
    assert "options.scale: 1.0 -> 2.0" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["extract", "nothing.csv"], "nothing.csv"),
        (["extract", "--backbone", "clasic"], "did you mean 'classic'"),
        (["extract", "--backbone", "logmel", "-o", "melz=3"], "did you mean 'mels'"),
        (["extract", "--backbone", LETTERS, "--workers", "0"], "--workers: expected 1 or more"),
        (["fit-head", "--features", "nowhere"], "nowhere"),
        (["fit-head", "--head", "attention_pol"], "did you mean 'attention_pool'"),
        (["fit-head", "--stream", "letters/leters"], "did you mean 'letters/letters'"),
        (["fit-head", "--target", "lable"], "label"),
        (["fit-head", "--target", "x"], "unknown target column 'x'. Available: label."),
        (["fit-head", "--seeds", "0"], "seeds: expected at least 1, got 0"),
        (["fit-head", "--search", "-1"], "search: expected at least 0, got -1"),
        (["fit-head", "--cv", "1"], "--cv 1: expected a column, or at least 2 folds"),
        (["predict", "runs/none", "--text", "x"], "runs/none"),
        (["store", "ls", "nowhere"], "nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_is_one_line_that_helps(emo, manifest, words, said):
    emo("extract", "--backbone", LETTERS)
    code, _, err = emo(*words)
    assert code == 1
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert err.startswith("emo: error: ")


def test_failed_clips_end_with_3_and_are_listed(emo, tmp_path):
    (tmp_path / "manifest.csv").write_text("id,text\na,fine\nb,!raise\n")
    code, out, _ = emo("extract", "--backbone", LETTERS)
    assert code == 3
    assert "failed: b (letters): this clip asked to fail" in out
    code, out, _ = emo("store", "failures")
    assert "this clip asked to fail" in out


def test_a_folder_without_permission_is_one_line(emo, manifest, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    code, _, err = emo("extract", "--backbone", LETTERS, "--out", "file")
    assert code == 1
    assert "file" in err
    assert len(err.strip().splitlines()) == 1


def test_a_dry_run_builds_no_model_and_says_the_size(emo, manifest):
    code, out, _ = emo("extract", "--backbone", LETTERS, "--dry-run")
    assert code == 0
    assert "would do 60 clips in 4 parts, about 7.2 kB" in out


def test_the_version_is_printed(emo):
    code, out, _ = emo("--version")
    assert (code, out.split()[0]) == (0, "emo-pipeline")


def test_a_command_leaves_without_a_last_search_for_garbage(emo, monkeypatch):
    """With torch it takes half a second."""
    at_exit = []
    monkeypatch.setattr(atexit, "register", at_exit.append)
    emo("--version")
    assert at_exit == [gc.freeze]


def test_libraries_are_not_searched_for_garbage(emo, monkeypatch):
    gc.unfreeze()
    is_searched = []

    class Watch:
        def find_spec(self, name, path=None, target=None):
            if name == "emo.heads.fitting.options_from_cli":
                is_searched.append(gc.isenabled())

    monkeypatch.delitem(sys.modules, "emo.heads.fitting.options_from_cli", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Watch(), *sys.meta_path])
    emo("fit-head", "missing.csv")
    assert is_searched == [False]
    assert gc.isenabled()
    assert gc.get_freeze_count() > 100_000
    gc.unfreeze()


@pytest.mark.bench
def test_help_takes_at_most_300_milliseconds(capsys):
    command = [sys.executable, "-m", "emo", "--help"]
    seconds = []
    for _ in range(9):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    with capsys.disabled():
        print(f"\nemo --help: median of 9: {statistics.median(seconds):.3f} s")
    assert statistics.median(seconds) <= 0.3


def test_a_reader_that_has_left_is_no_error():
    """As in `emo list heads | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "emo", "--version"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")
