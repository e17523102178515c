"""Comparing runs: properties of the paired bootstrap, the ranking, and errors."""

import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from emo.errors import FitError
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.fitting.folds.cross_validate import cross_validate
from emo.heads.metrics.classes import CLASS_METRICS, scores
from emo.heads.runs.comparing.compare import compare_runs
from tests.heads.data.test_folds import with_column
from tests.make_batches import learnable, make_manifest, make_store

pytestmark = pytest.mark.usefixtures("module_without_plots")

SPLITS = ["train"] * 60 + ["val"] * 18 + ["test"] * 42


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders by name: a good and a bad run, one with dialogues, two of numbers, one folds."""
    folder = tmp_path_factory.mktemp("compare")
    labels, tokens = learnable(120, streams=("a", "b"))
    store = make_store(folder / "features", tokens)
    manifest = make_manifest(labels, split=SPLITS)
    points = [f"{len(label) / 2 - row % 3 / 4:.2f}" for row, label in enumerate(labels)]
    manifest = dataclasses.replace(
        manifest, clips=tuple(with_column(manifest.clips, "points", points))
    )
    spoken = dataclasses.replace(
        manifest,
        clips=tuple(
            dataclasses.replace(clip, dialogue=f"d{row // 6}")
            for row, clip in enumerate(manifest.clips)
        ),
    )
    good = FitOptions.of(head="mean_pool", epochs=12, learning_rate=1e-2, seeds=2, threads=1)
    bad = good.replace(epochs=1, learning_rate=1e-5, seeds=3)
    both = dataclasses.replace(good, target=("label", "points"))
    fit_head(manifest, [store], folder / "good", good)
    fit_head(manifest, [store], folder / "bad", bad)
    fit_head(spoken, [store], folder / "spoken", good)
    fit_head(manifest, [store], folder / "both", both)
    fit_head(manifest, [store], folder / "far", dataclasses.replace(bad, target="points", seeds=1))
    linear = FitOptions(
        head="linear", head_options={"solver": "ridge", "penalties": "3", "fusion": "late"}
    )
    cross_validate(manifest, [store], folder / "folds", linear, by="3")
    return folder


def paired(runs, first, second, **more):
    return compare_runs([runs / first], pair=(runs / first, runs / second), **more).paired


@pytest.mark.parametrize("name", ["good", "spoken", "folds"])
def test_a_run_differs_from_itself_by_exactly_0(runs, name):
    for found in paired(runs, name, name).differences.values():
        assert found.first == found.second
        assert found.interval == (0.0, 0.0)
        assert found.contains_zero


def test_the_other_way_round_the_sign_turns(runs):
    there, back = paired(runs, "good", "bad"), paired(runs, "bad", "good")
    for name in CLASS_METRICS:
        low, high = there.differences[name].interval
        assert back.differences[name].interval == pytest.approx((-high, -low), abs=1e-12)


def test_the_scores_are_those_of_the_runs(runs):
    found = paired(runs, "bad", "good").differences
    for name, run in (("first", "bad"), ("second", "good")):
        document = json.loads((runs / run / "run.json").read_text())
        for metric, value in document["metrics"]["test"]["mean"].items():
            assert getattr(found[metric], name) == pytest.approx(value)


def accuracy(table):
    return scores(list(table["label"]), list(table["prediction"]))["accuracy"]


def test_a_clear_difference_is_called_one_and_its_interval_is_the_plain_bootstrap(runs):
    found = paired(runs, "bad", "good")
    assert "does not contain 0" in found.table()
    assert f"{runs / 'good'} is better" in found.table()
    random = np.random.default_rng(5)
    tables = [
        [rows for _, rows in table[table["split"] == "test"].groupby("seed")]
        for table in (pd.read_csv(runs / name / "predictions.csv") for name in ("bad", "good"))
    ]
    draws = []
    for _ in range(150):
        rows = random.integers(0, 42, 42)
        bad, good = (np.mean([accuracy(one.iloc[rows]) for one in seeds]) for seeds in tables)
        draws.append(good - bad)
    expected = np.quantile(draws, [0.025, 0.975])
    np.testing.assert_allclose(found.differences["accuracy"].interval, expected, atol=0.06)


def test_dialogues_are_drawn_when_a_run_knew_them(runs):
    assert paired(runs, "good", "bad").drawn == "42 clips"
    assert paired(runs, "good", "spoken").drawn == "7 dialogues"


def test_two_runs_are_tested_and_more_are_only_ranked(runs):
    two = compare_runs([runs / "bad", runs / "good"])
    assert two.paired is not None
    assert [run.path.name for run in two.runs] == ["good", "bad"]
    more = compare_runs([runs / name for name in ("bad", "good", "spoken", "folds", "features")])
    assert more.paired is None
    table = more.table()
    for word in ("mean_pool", "fake (a, b)", "3 folds", "95 % interval", "weighted F1",
                 "features holds no run.json: left out", "was scored on other clips"):  # fmt: skip
        assert word in table
    first, _, *rows = table.splitlines()  # a long folder is named once
    assert first.endswith(f"in {runs}/")
    assert {row.split()[0] for row in rows[1:5]} == {"spoken", "good", "folds", "bad"}


def test_runs_of_other_clips_are_compared_on_those_of_both(runs):
    found = paired(runs, "folds", "good")
    assert found.rows == 42
    assert "the difference is on the 42 of both" in found.table()


def test_a_run_scored_on_val_is_not_taken_for_one_scored_on_test(runs, tmp_path):
    for name in ("good", "chosen"):
        shutil.copytree(runs / "good", tmp_path / name)
    document = json.loads((tmp_path / "chosen" / "run.json").read_text())
    document["metrics"] = {"val": document["metrics"]["test"]}
    (tmp_path / "chosen" / "run.json").write_text(json.dumps(document))
    table = pd.read_csv(tmp_path / "chosen" / "predictions.csv", keep_default_na=False)
    table[table["split"] == "test"].assign(split="val").to_csv(
        tmp_path / "chosen" / "predictions.csv", index=False
    )
    (note,) = paired(tmp_path, "good", "chosen").notes
    assert "scored these clips as test" in note
    assert "chosen as val" in note
    assert paired(runs, "good", "bad").notes == ()


def test_numbers_are_better_when_lower(runs):
    found = compare_runs([runs / "both"], target="points")
    assert "MAE" in found.table()
    assert paired(runs, "both", "both", target="points").differences["mae"].interval == (0, 0)
    for names in (("both", "far"), ("far", "both")):
        two = compare_runs([runs / name for name in names], target="points")
        assert [run.path.name for run in two.runs] == ["both", "far"]
        assert f"does not contain 0; {runs / 'both'} is better" in two.paired.table()


def test_what_cannot_be_compared_is_said(runs, tmp_path):
    with pytest.raises(FitError, match="unknown target 'points'"):
        compare_runs([runs / "good"], target="points")
    with pytest.raises(FitError, match="no run; emo fit-head"):
        compare_runs([runs / "features"])
    with pytest.raises(FitError, match="is no run folder"):
        compare_runs([runs / "nowhere"])
    shutil.copytree(runs / "good", tmp_path / "other")
    path = tmp_path / "other" / "predictions.csv"
    table = pd.read_csv(path)
    table["label"] = "calm"
    table.to_csv(path, index=False)
    with pytest.raises(FitError, match="clips have other labels"):
        compare_runs([runs / "good", tmp_path / "other"])
    table["id"] = "x" + table["id"]
    table.to_csv(path, index=False)
    with pytest.raises(FitError, match="no clip in common"):
        compare_runs([runs / "good", tmp_path / "other"])


def test_two_tasks_of_one_target_are_two_tables(runs, tmp_path):
    """Runs of different tasks are ranked in different tables."""
    labels, tokens = learnable(120, streams=("a",))
    manifest = make_manifest(labels, split=SPLITS)
    store = make_store(tmp_path / "features", tokens)
    options = FitOptions.of(head="mean_pool", epochs=1, threads=1, tasks={"label": "multilabel"})
    fit_head(manifest, [store], tmp_path / "many", options)
    found = compare_runs([runs / "good", tmp_path / "many"])
    assert found.paired is None
    table = found.table()
    assert "label (classify)" in table
    assert "label (multilabel)" in table
    assert "are the same" not in table


def test_one_seed_has_no_spread(runs):
    assert "±" not in compare_runs([runs / "far"]).table().partition("mean ± std")[0]
    assert "±" in compare_runs([runs / "good"]).table().partition("mean ± std")[0]
