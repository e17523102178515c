"""Several heads from Python: a mapping of runs, and one frame."""

import pandas as pd
import pytest
from typer.testing import CliRunner

import emo
from emo.cli import app
from tests.make_batches import learnable, make_store


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("all")
    labels, tokens = learnable(60)
    make_store(folder / "s", tokens)
    frame = pd.DataFrame({"id": [f"c{k}" for k in range(60)], "text": "x", "label": labels})
    frame.to_csv(folder / "m.csv", index=False)
    return folder, frame


def test_runs_by_name_the_best_on_val_first(made):
    folder, frame = made
    runs = emo.fit_all(
        frame, folder / "s", heads=["linear", "mean_pool", "joint"], epochs=2,
        head_options={"linear": {"penalties": 3}},
    )  # fmt: skip
    assert set(runs) == {"linear", "mean_pool"}
    assert runs.best is next(iter(runs.values()))
    assert runs["linear"].document["head"]["options"]["penalties"] == 3
    found = runs.frame.set_index("head")
    assert list(found["status"]) == ["fitted", "fitted", "skipped"]
    assert found["is_chosen"].tolist() == [True, False, False]
    assert found["val"].iloc[:2].is_monotonic_decreasing
    scores = runs.best.scores.set_index(["split", "score"])
    assert found["weighted_f1"].iloc[0] == scores.loc[("test", "weighted_f1"), "mean"]
    assert "whole dialogues" in found.loc["joint", "reason"]
    assert runs.looks == 2
    path = runs.best.path
    del runs
    assert not path.exists()
    with pytest.raises(TypeError, match="heads="):
        emo.fit_all(frame, folder / "s", head="linear")
    with pytest.raises(emo.EmoError, match="did you mean 'linear'"):
        emo.fit_all(frame, folder / "s", heads=["linear"], head_options={"liner": {}})


def test_the_command_fits_them_too(made):
    folder, _ = made
    words = ["fit-head", folder / "m.csv", "--features", folder / "s", "--out", folder / "runs",
             "--head", "linear", "--head", "mean_pool", "--epochs", "2"]  # fmt: skip
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    assert "val's choice" in done.output
    again = CliRunner().invoke(app, list(map(str, words)))
    assert "holds a run" in str(again.exception)
    for more in (["--cv", "3"], ["--ablate"]):
        done = CliRunner().invoke(app, [*map(str, words), *more])
        assert (done.exit_code, "expected one --head" in done.output) == (2, True)
