"""From manifest and store to a run: what is learnt, printed, written and refused."""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from emo.errors import FitError, OptionError, PluginError
from emo.heads.fit import FitOptions, fit_head
from emo.heads.ledger import LEDGER
from emo.heads.metrics import METRICS, scores
from emo.heads.run import Run
from emo.heads.streams import open_sources
from emo.store.store import Store
from tests.make_batches import learnable, make_manifest, make_store

SPLITS = ["train"] * 60 + ["val"] * 30 + ["test"] * 30
FILES = {
    "run.json", "head.safetensors", "predictions.csv", "history.csv", "confusion.png", "curves.png",
    "clips.csv",
}  # fmt: skip
QUICK = FitOptions(head="mean_pool", epochs=15, learning_rate=5e-3, seeds=2, threads=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    labels, tokens = learnable(120, streams=("a", "b"))
    for row in (7, 95):
        del tokens[f"c{row}"]["b"]
    store = make_store(tmp_path_factory.mktemp("fit") / "features", tokens)
    return make_manifest(labels, split=SPLITS), store


@pytest.fixture(scope="module")
def fitted(made, tmp_path_factory):
    manifest, store = made
    return fit_head(manifest, [store], tmp_path_factory.mktemp("runs") / "x" / "y", QUICK)


@pytest.mark.parametrize("head", ["linear", "mean_pool", "attention_pool", "bilstm"])
def test_every_head_beats_the_majority_by_far(made, head):
    manifest, store = made
    options = dataclasses.replace(QUICK, head=head, seeds=1)
    found = fit_head(manifest, [store], None, options).metrics["test"]
    assert found["mean"]["weighted_f1"] > 0.7
    assert found["majority"]["weighted_f1"] < 0.2


def test_labels_that_mean_nothing_are_not_learnt(made):
    manifest, store = made
    order = np.random.default_rng(0).permutation(len(manifest.clips))
    clips = tuple(
        dataclasses.replace(clip, targets=manifest.clips[row].targets)
        for clip, row in zip(manifest.clips, order, strict=True)
    )
    options = dataclasses.replace(QUICK, head="linear", seeds=1)
    shuffled = dataclasses.replace(manifest, clips=clips)
    assert fit_head(shuffled, [store], None, options).metrics["test"]["mean"]["uar"] < 0.6


def test_the_run_folder_holds_everything(fitted):
    assert {file.name for file in fitted.out.iterdir()} == FILES
    assert {path.name for path in fitted.out.parent.iterdir()} == {fitted.out.name, LEDGER}
    document = json.loads((fitted.out / "run.json").read_text())
    recipe = Store(fitted.features[0]).recipes["fake"].recipe
    assert document["streams"]["fake/a"] == {"fingerprint": recipe.fingerprint, "dim": 8}
    assert document["manifest"]["sha256"] == "0" * 64
    assert document["classes"] == ["anger", "calm", "joy"]
    assert document["head"] == {"name": "mean_pool", "options": {"hidden": 128, "dropout": 0.3}}
    assert document["options"]["learning_rate"] == 5e-3
    assert document["metrics"] == json.loads(json.dumps(fitted.metrics))
    assert document["notes"] == ["fake/b: absent in 2 clips"]
    for name in ("confusion.png", "curves.png"):
        assert (fitted.out / name).read_bytes().startswith(b"\x89PNG")


def test_predictions_give_the_scores_that_were_reported(fitted):
    table = pd.read_csv(fitted.out / "predictions.csv")
    assert list(table) == [
        "id", "split", "seed", "label", "prediction", "p_anger", "p_calm", "p_joy",
    ]  # fmt: skip
    assert len(table) == 2 * 120
    np.testing.assert_allclose(table.filter(like="p_").sum(axis=1), 1, atol=1e-4)
    for split in ("train", "val", "test"):
        for seed in (0, 1):
            rows = table[(table["split"] == split) & (table["seed"] == seed)]
            expected = fitted.metrics[split]["seeds"][str(seed)]
            assert scores(list(rows["label"]), list(rows["prediction"])) == pytest.approx(expected)
    pd.testing.assert_frame_equal(
        table.drop(columns=table.filter(like="p_").columns),
        fitted.predictions.drop(columns=table.filter(like="p_").columns),
        check_dtype=False,
    )


def test_history_holds_every_round_and_the_kept_ones(fitted):
    history = pd.read_csv(fitted.out / "history.csv")
    assert set(history["seed"]) == {0, 1}
    kept = json.loads((fitted.out / "run.json").read_text())["kept"]
    row = history[(history["seed"] == kept["seed"]) & (history["round"] == kept["round"])]
    assert row["val_weighted_f1"].item() == history["val_weighted_f1"].max()


def test_the_table_says_all_that_a_reader_needs(fitted):
    table = fitted.table()
    for text in (
        "mean_pool on fake/a, fake/b -> label", "weighted F1", "macro F1", "UAR", "accuracy",
        "95 % interval", "majority class", "mean ± std over 2 seeds", "classes on test",
        "absent in 2 clips", str(fitted.out),
    ):  # fmt: skip
        assert text in table
    mean = fitted.metrics["test"]["mean"]["weighted_f1"]
    assert any(line.startswith("test") and f"{mean:.3f} ±" in line for line in table.splitlines())


def test_the_same_seed_and_threads_give_the_same_bits(made, fitted, tmp_path):
    manifest, store = made
    again = fit_head(manifest, [store], tmp_path / "again", QUICK)
    for name in ("head.safetensors", "predictions.csv", "history.csv"):
        assert (again.out / name).read_bytes() == (fitted.out / name).read_bytes(), name


@pytest.mark.parametrize("head", ["attention_pool", "linear"])
def test_another_number_of_threads_changes_no_score_by_more_than_1e_4(tmp_path, head):
    random = np.random.default_rng(0)
    labels = [f"class {k}" for k in random.integers(0, 3, 300)]
    tokens = {
        f"c{row}": {"a": (random.standard_normal((random.integers(1, 9), 256))
                          + int(label[-1]) / 9).astype(np.float32)}
        for row, label in enumerate(labels)
    }  # fmt: skip
    splits = [("train", "train", "val", "test")[row % 4] for row in range(300)]
    manifest, store = make_manifest(labels, split=splits), make_store(tmp_path / "store", tokens)
    found = [
        fit_head(manifest, [store], None, FitOptions(head=head, epochs=4, threads=threads))
        for threads in (1, 2)
    ]
    tables = [each.scores["test"].probabilities for each in found]
    np.testing.assert_allclose(*tables, atol=1e-4 if head != "linear" else 1e-2)  # stops when near
    means = [each.metrics["test"]["mean"] for each in found]
    assert means[0] == pytest.approx(means[1], abs=1e-4)


def test_an_exact_head_is_solved_once_for_all_seeds(made):
    manifest, store = made
    options = dataclasses.replace(QUICK, head="linear", seeds=3)
    result = fit_head(manifest, [store], None, options)
    assert result.metrics["test"]["std"] == dict.fromkeys(METRICS, 0.0)
    assert [outcome.seed for outcome in result.outcomes] == [0, 1, 2]
    assert "an exact solution: every seed gives the same" in result.table()


def test_without_test_clips_only_val_is_scored(made):
    manifest, store = made
    clips = tuple(clip for clip in manifest.clips if clip.split != "test")
    result = fit_head(dataclasses.replace(manifest, clips=clips), [store], None, QUICK)
    assert list(result.metrics) == ["train", "val"]
    assert "classes on val" in result.table()


def test_a_loaded_run_predicts_what_was_written(made, fitted):
    _, store = made
    run = Run.load(fitted.out)
    ids = [f"c{row}" for row in range(90, 120)]
    found = run.predict({name: Store(store).read(name, ids) for name in run.streams})
    table = fitted.predictions
    best = fitted.best.seed
    rows = table[(table["split"] == "test") & (table["seed"] == best)]
    np.testing.assert_allclose(found, rows.filter(like="p_"), rtol=1e-5, atol=1e-6)
    assert run.target == "label"
    assert run.recipes["fake"] == Store(store).recipes["fake"].recipe


def test_prediction_names_what_is_wrong(made, fitted):
    _, store = made
    run = Run.load(fitted.out)
    tokens = Store(store).read("fake/a", ["c0", "c1"])
    narrow = dataclasses.replace(tokens, values=tokens.values[:, :3])
    with pytest.raises(FitError, match="reads stream 'fake/b'; got fake/a"):
        run.predict({"fake/a": tokens})
    with pytest.raises(FitError, match="stream 'fake/b': expected tokens of width 8, got 3"):
        run.predict({"fake/a": tokens, "fake/b": narrow})
    with pytest.raises(FitError, match="the same clips in every stream"):
        run.predict({"fake/a": tokens, "fake/b": tokens.select([0])})
    assert run.predict({name: tokens.select([]) for name in run.streams}).shape == (0, 3)


def test_a_damaged_or_missing_run_is_named(fitted, tmp_path):
    with pytest.raises(FitError, match="is no run folder"):
        Run.load(tmp_path)
    (tmp_path / "run.json").write_text('{"format_version": 99}')
    with pytest.raises(FitError, match="expected a run of format 1, got 99"):
        Run.load(tmp_path)
    (tmp_path / "run.json").write_text((fitted.out / "run.json").read_text())
    weights = (fitted.out / "head.safetensors").read_bytes()
    (tmp_path / "head.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(FitError, match="damaged"):
        Run.load(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(FitError, match="damaged"):
        Run.load(tmp_path)


def test_an_older_run_is_replaced_and_nothing_else(made, tmp_path):
    manifest, store = made
    options = dataclasses.replace(QUICK, seeds=1, epochs=1)
    out = tmp_path / "run"
    fit_head(manifest, [store], out, options)
    (out / "mine.txt").write_text("old")
    fit_head(manifest, [store], out, options)
    assert {file.name for file in out.iterdir()} == FILES
    assert {path.name for path in tmp_path.iterdir()} == {out.name, LEDGER}
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "cat.png").write_text("cat")
    with pytest.raises(FitError, match=r"photos exists and holds no run.json"):
        fit_head(manifest, [store], foreign, options)
    assert (foreign / "cat.png").exists()


def test_a_full_disk_leaves_the_older_run_and_what_was_fitted(made, tmp_path, monkeypatch):
    manifest, store = made
    options = dataclasses.replace(QUICK, seeds=1, epochs=1)
    fit_head(manifest, [store], tmp_path / "run", options)
    before = (tmp_path / "run" / "run.json").read_bytes()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("emo.heads.folder.plot_curves", full_disk)
        with pytest.raises(FitError, match="cannot be written: No space left on device"):
            fit_head(manifest, [store], tmp_path / "run", options)
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == [".run.fit", LEDGER, "run"]

    monkeypatch.setattr("emo.heads.seeds.train_head", None)  # nothing is trained again
    fit_head(manifest, [store], tmp_path / "run", options, resume=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == [LEDGER, "run"]


def test_a_file_in_the_way_is_named(made, tmp_path):
    manifest, store = made
    (tmp_path / "file").write_text("x")
    with pytest.raises(FitError, match=r"run cannot be written: "):
        fit_head(manifest, [store], tmp_path / "file" / "run", QUICK)
    with pytest.raises(FitError, match=r"file exists and holds no run\.json"):
        fit_head(manifest, [store], tmp_path / "file", QUICK)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_named(made, tmp_path):
    manifest, store = made
    tmp_path.chmod(0o500)
    with pytest.raises(FitError, match="cannot be written: Permission denied"):
        fit_head(manifest, [store], tmp_path / "run", QUICK)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"head": "mean_pol"}, PluginError, "unknown head 'mean_pol'; did you mean 'mean_pool'"),
        ({"head_options": {"hiden": "3"}}, OptionError, "did you mean 'hidden'"),
        ({"streams": ("fake/c",)}, FitError, "unknown stream 'fake/c'; did you mean 'fake/"),
        ({"target": "lable"}, FitError, "unknown target column 'lable'; did you mean 'label'"),
    ],
)
def test_what_does_not_exist_is_named_with_the_nearest(made, options, error, match):
    manifest, store = made
    with pytest.raises(error, match=match):
        fit_head(manifest, [store], None, dataclasses.replace(QUICK, **options))


@pytest.mark.parametrize(
    "options",
    [{"seeds": 0}, {"learning_rate": 0.0}, {"label_smoothing": 1.0}, {"allow_missing": 5.0}],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(OptionError, match=f"{next(iter(options))}: expected"):
        FitOptions(**options)


def test_a_bar_is_shown_on_stderr_only_if_asked(made, capsys):
    manifest, store = made
    options = dataclasses.replace(QUICK, seeds=1, epochs=2)
    fit_head(manifest, [store], None, options)
    assert capsys.readouterr() == ("", "")
    fit_head(manifest, [store], None, options, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "val weighted F1" in err


def test_fitting_imports_neither_scikit_learn_nor_torchs_compiler(made, tmp_path):
    _, store = made
    code = f"""
import sys
from pathlib import Path
from emo.heads.fit import FitOptions, fit_head
from tests.make_batches import learnable, make_manifest
labels, _ = learnable(120)
manifest = make_manifest(labels, split={SPLITS!r})
fit_head(manifest, [Path({str(store)!r})], None, FitOptions(epochs=1))
slow = ("sklearn", "torch._dynamo", "matplotlib", "pandas", "scipy")
print([name for name in slow if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_asked_scaling_goes_with_the_run(made, tmp_path):
    manifest, store = made
    (name,) = [source.name for source in open_sources([store], ())[0]][:1]
    options = dataclasses.replace(QUICK, seeds=1, streams=(name,), scaling={name: "unit*3"})
    result = fit_head(manifest, [store], tmp_path / "run", options)
    lengths = result.data.splits["test"].batch.streams[name].values.norm(dim=1)
    np.testing.assert_allclose(lengths, 3, rtol=1e-5)
    run = Run.load(tmp_path / "run")
    assert run.scalings[name].is_unit
    with pytest.raises(FitError, match=r"--scaling .*=log: expected raw"):
        fit_head(manifest, [store], None, dataclasses.replace(options, scaling={name: "log"}))
    with pytest.raises(FitError, match="stream of --scaling"):
        fit_head(manifest, [store], None, dataclasses.replace(options, scaling={"x/y": "raw"}))
