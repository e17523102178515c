"""The run folder: writing, reading, replacing, and errors."""

import dataclasses
import json
import os
import sys

import numpy as np
import pandas as pd
import pytest

from emo.errors import FitError
from emo.heads.fitting.fit import fit_head
from emo.heads.metrics.classes import scores
from emo.heads.runs import write
from emo.heads.runs.files import check_free
from emo.heads.runs.run import Run
from emo.heads.runs.test_ledger import LEDGER
from emo.store.store import Store
from tests.heads.conftest import QUICK

FILES = {
    "run.json", "head.safetensors", "predictions.csv", "history.csv", "confusion.png", "curves.png",
    "clips.csv",
}  # fmt: skip


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


def test_the_pictures_show_something(drawn, made, tmp_path):
    from matplotlib.image import imread  # half a second to import

    manifest, store = made
    options = QUICK.replace(seeds=1, epochs=1)
    out = fit_head(manifest, [store], tmp_path / "run", options).out
    for name in ("confusion.png", "curves.png"):
        picture = imread(out / name)  # (H, W, RGB)
        assert min(picture.shape[:2]) > 300
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20, name


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


def test_tables_are_written_as_pandas_would(fitted, tmp_path):
    fitted.predictions.to_csv(tmp_path / "predictions.csv", index=False)
    rounds = [dataclasses.asdict(row) for done in fitted.outcomes for row in done.history]
    frame = pd.DataFrame(rounds).rename(columns={"val_score": "val_weighted_f1"})
    frame.to_csv(tmp_path / "history.csv", index=False, float_format="%.6g")
    for name in ("predictions.csv", "history.csv"):
        assert (fitted.out / name).read_bytes() == (tmp_path / name).read_bytes()


def test_a_run_is_written_without_pandas(made, tmp_path, monkeypatch):
    """pandas takes half a second to import, of four that a small fit takes from the shell."""
    manifest, store = made
    monkeypatch.setitem(sys.modules, "pandas", None)
    options = QUICK.replace(seeds=1, epochs=1)
    assert "test" in fit_head(manifest, [store], tmp_path / "run", options).table()


def test_history_holds_every_round_and_the_kept_ones(fitted):
    history = pd.read_csv(fitted.out / "history.csv")
    assert set(history["seed"]) == {0, 1}
    kept = json.loads((fitted.out / "run.json").read_text())["kept"]
    row = history[(history["seed"] == kept["seed"]) & (history["round"] == kept["round"])]
    assert row["val_weighted_f1"].item() == history["val_weighted_f1"].max()


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
    options = QUICK.replace(seeds=1, epochs=1)
    out = tmp_path / "run"
    fit_head(manifest, [store], out, options)
    (out / "mine.txt").write_text("old")
    fit_head(manifest, [store], out, options)
    assert {file.name for file in out.iterdir()} == FILES | {"mine.txt"}
    assert {path.name for path in tmp_path.iterdir()} == {out.name, LEDGER}
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "cat.png").write_text("cat")
    with pytest.raises(FitError, match=r"photos exists and holds no run.json"):
        fit_head(manifest, [store], foreign, options)
    assert (foreign / "cat.png").exists()


def test_a_full_disk_leaves_the_older_run_and_what_was_fitted(made, tmp_path, monkeypatch):
    manifest, store = made
    options = QUICK.replace(seeds=1, epochs=1)
    fit_head(manifest, [store], tmp_path / "run", options)
    before = (tmp_path / "run" / "run.json").read_bytes()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("emo.heads.runs.write.plot_curves", full_disk)
        with pytest.raises(FitError, match="cannot be written: No space left on device"):
            fit_head(manifest, [store], tmp_path / "run", options)
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == [".run.fit", LEDGER, "run"]

    monkeypatch.setattr("emo.heads.fitting.seeds.train_head", None)  # nothing is trained again
    fit_head(manifest, [store], tmp_path / "run", options, resume=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == [LEDGER, "run"]


def test_a_disk_that_renames_nothing_more_keeps_the_older_run(tmp_path, monkeypatch):
    """The error says where it is; the next look at the folder moves it back."""
    out, new = tmp_path / "run", tmp_path / "new"
    for folder in (out, new):
        folder.mkdir()
        (folder / "run.json").write_text(folder.name)
    real, left = os.rename, iter([True])

    def rename(*paths):
        if next(left, None) is None:
            raise OSError(5, "Input/output error")
        real(*paths)

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", rename)
        with pytest.raises(FitError, match="Input/output error; the earlier run is in") as error:
            write._replace(new, out)
    (older,) = tmp_path.glob(".old-*/run")
    assert str(older) in str(error.value)
    (tmp_path / ".old-run-2-abcdefgh").mkdir()  # of another fit that is at work: run-2
    with pytest.raises(FitError, match="holds a run"):
        check_free(out)
    assert (out / "run.json").read_text() == "run"
    assert [path.name for path in tmp_path.glob(".old-*")] == [".old-run-2-abcdefgh"]


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
