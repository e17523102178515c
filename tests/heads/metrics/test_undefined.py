"""Pearson of constants is undefined: NaN in Python, null in JSON, a word in tables."""

import json
import math

import numpy as np
import pytest

from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.fitting.folds.cross_validate import cross_validate
from emo.heads.metrics.classes import interval_of
from emo.heads.metrics.measures import bootstrap
from emo.heads.metrics.numbers import regression_scores
from emo.heads.runs.comparing.compare import compare_runs
from tests.make_batches import make_manifest, make_store

NUMBERS = np.array([0.1, -0.4, 0.9, 0.3])


@pytest.mark.parametrize("scale", ["any", "mosi", "sims"])
@pytest.mark.parametrize("value", [0.0, 0.1, 0.3])
def test_pearson_of_constants_is_nan(scale, value):
    same = np.full(4, value)
    for gold, predicted in ((NUMBERS, same), (same, NUMBERS), (same, same)):
        found = regression_scores(gold, predicted, scale)
        assert math.isnan(found["pearson"])
        assert np.isfinite(found["mae"])
    both = regression_scores(NUMBERS, np.stack([same, NUMBERS]), scale)["pearson"]
    assert math.isnan(both[0])
    assert both[1] == pytest.approx(1)


def test_intervals_leave_out_undefined_resamples():
    assert interval_of(np.array([0.5, math.nan, 0.5])) == (0.5, 0.5)
    assert all(map(math.isnan, interval_of(np.full(3, math.nan))))
    found = bootstrap(
        "regress", NUMBERS[:2], NUMBERS[None, :2], classes=0, scale="any", groups=None, seed=0
    )  # half of the resamples hold one number twice
    assert found["pearson"] == pytest.approx((1, 1))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Runs on numbers that a head cannot learn: each prediction is the mean of train."""
    folder, random = tmp_path_factory.mktemp("undefined"), np.random.default_rng(0)
    points = [f"{value:.2f}" for value in random.normal(0, 1, 60)]
    tokens = {f"c{row}": {"a": np.ones((1, 3), np.float32)} for row in range(60)}
    store = make_store(folder / "features", tokens)
    manifest = make_manifest(points, split=["train"] * 30 + ["val"] * 15 + ["test"] * 15)
    options = FitOptions(
        "linear", head_options={"solver": "ridge", "penalties": "3", "fusion": "late"}, threads=1
    )
    return folder, manifest, store, options


def test_runs_say_that_pearson_is_undefined(made, emo, drawn):
    folder, manifest, store, options = made
    result = fit_head(manifest, [store], folder / "run", options)
    text = (folder / "run" / "run.json").read_text()
    document = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} in run.json"))
    for found in document["metrics"].values():
        assert found["mean"]["pearson"] is None
        assert found["majority"]["pearson"] is None
        assert found["mean"]["mae"] > 0
    assert document["metrics"]["test"]["interval"]["pearson"] == [None, None]
    table = result.table()
    assert table.count("undefined") >= 9
    assert "nan" not in table
    assert "undefined: Pearson where all numbers are equal" in table
    fit_head(manifest, [store], folder / "again", options)
    compared = compare_runs([folder / "run", folder / "again"]).table()
    assert "undefined" in compared
    assert "nan" not in compared


def test_folds_say_so_too(made):
    _, manifest, store, options = made
    table = cross_validate(manifest, [store], None, options, by="3").table()
    assert "undefined" in table
    assert "nan" not in table


def test_emo_score_says_so(emo, tmp_path):
    (tmp_path / "gold.csv").write_text("id,label\na,0.5\nb,-1.2\nc,0.1\n")
    (tmp_path / "p.csv").write_text("id,prediction\na,0.1\nb,0.1\nc,0.1\n")
    code, out, _ = emo("score", "p.csv", "--gold", "gold.csv")
    assert code == 0
    assert "undefined" in out
    _, out, _ = emo("score", "p.csv", "--gold", "gold.csv", "--json")
    assert json.loads(out)["results"][0]["scores"]["pearson"] is None
    assert "NaN" not in out
