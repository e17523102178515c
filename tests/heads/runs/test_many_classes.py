"""Runs on many classes: no picture, the most probable classes of each row, short errors."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from emo.errors import listed
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.runs.figures import plots
from emo.heads.runs.predictions import probability_columns
from emo.predict.file import predict_manifest
from emo.predict.one_clip import Prediction
from tests.make_batches import make_manifest, make_store

CLASSES = [f"k{number:03}" for number in range(101)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store and manifest of 101 classes, and runs that keep five or all probabilities."""
    folder, random = tmp_path_factory.mktemp("many"), np.random.default_rng(0)
    labels = [name for name in CLASSES for _ in range(3)]
    splits = ["train", "train", "test"] * len(CLASSES)
    splits[: 3 * 20 : 3] = ["val"] * 20
    tokens = {f"c{row}": {"a": random.normal(0, 1, (1, 4))} for row in range(len(labels))}
    store = make_store(folder / "features", tokens)
    manifest = make_manifest(labels, split=splits)
    for name, every in (("five", False), ("all", True)):
        options = FitOptions(
            "linear", head_options={"penalties": "1"}, threads=1, all_probabilities=every
        )
        result = fit_head(manifest, [store], folder / name, options)
        (folder / f"{name}.txt").write_text(result.table())
    (folder / "new.csv").write_text("id,text\n" + "".join(f"c{row},x\n" for row in range(9)))
    return folder


def test_no_picture_and_one_line_that_says_what_is_left_out(made):
    assert not (made / "five" / "confusion.png").exists()
    text = (made / "five.txt").read_text()
    assert "101 classes: their scores are in run.json, and there is no picture above 40" in text
    assert "the 5 most probable classes of each row (--all-probabilities: all)" in text
    assert "most probable" not in (made / "all.txt").read_text()
    assert len(text.splitlines()) < 20
    document = json.loads((made / "five" / "run.json").read_text())
    assert len(document["metrics"]["test"]["classes"]) == 101


def assert_five_of_all(five, every):
    shares = every.filter(regex="^p_k").to_numpy()
    assert shares.shape[1] == 101
    order = np.argsort(-shares, axis=1, kind="stable")
    for rank in range(5):
        expected = np.take_along_axis(shares, order[:, [rank]], 1)[:, 0]
        np.testing.assert_allclose(five[f"p_top{rank + 1}"], expected, atol=2e-6)
    assert (five["top1"] == five["prediction"]).all()
    assert list(five.filter(regex="top")) == [
        name for rank in range(1, 6) for name in (f"top{rank}", f"p_top{rank}")
    ]


def test_predictions_keep_the_five_most_probable_classes(made):
    five, every = (pd.read_csv(made / name / "predictions.csv") for name in ("five", "all"))
    assert_five_of_all(five, every)


def test_so_do_predictions_for_new_clips(made):
    tables = []
    for every in (False, True):
        report = predict_manifest(
            made / "five", made / "new.csv", made / "features", made / "out.csv", columns={},
            root=None, all_probabilities=every,
        )  # fmt: skip
        lines = report.table().splitlines()
        assert len(lines) == 1 + 40 + 3  # and a line on the clips that it was fitted on
        assert lines[41] == "and 61 more classes, predicted for 0 clips"
        tables.append(pd.read_csv(made / "out.csv"))
    assert_five_of_all(*tables)
    shares = {name: float(k) for k, name in enumerate(CLASSES)}
    lines = Prediction("c", "label", "k100", shares, {}).table().splitlines()
    assert lines[1].split() == ["k100", "100.000"]
    assert lines[6:] == ["and 96 less probable classes (--json prints all)"]


def test_equal_probabilities_are_ranked_as_they_are_predicted():
    table = np.full((3, 200), 0.005, np.float32)
    found = probability_columns([f"k{number}" for number in range(200)], table, all_classes=False)
    assert found["top1"].tolist() == ["k0"] * 3
    assert found["top5"].tolist() == ["k4"] * 3


@pytest.mark.parametrize(("classes", "has_counts"), [(12, True), (13, False), (40, False)])
def test_cells_of_the_picture_have_counts_up_to_12_classes(
    monkeypatch, tmp_path, classes, has_counts
):
    figures = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.append(figure))
    names = tuple(CLASSES[:classes])
    scores = SimpleNamespace(confusion=np.eye(classes, dtype=int), seeds=(0,))
    metrics = {"mean": {"weighted_f1": 1.0, "uar": 1.0}}
    result = SimpleNamespace(
        all_scores={"label": {"test": scores}}, all_metrics={"label": {"test": metrics}},
        options=FitOptions("linear"),
    )  # fmt: skip
    target = SimpleNamespace(name="label", classes=names)
    plots.plot_confusion(tmp_path / "confusion.png", result, target)
    (figure,) = figures
    assert len(figure.axes[0].texts) == (classes**2 if has_counts else 0)
    assert max(figure.get_size_inches()) < 14


def test_errors_name_ten_classes_and_their_number():
    assert listed(CLASSES[:10]) == ", ".join(CLASSES[:10])
    assert listed(CLASSES) == ", ".join(CLASSES[:10]) + " … (101 in all)"
