"""`--search`: judged on val, resumed as if not interrupted, independent of test labels."""

import dataclasses
import json
import os
import signal
import sys
import time

import numpy as np
import pandas as pd
import pytest

from emo.errors import FitError, OptionError
from emo.heads.fitting import draw_trials
from emo.heads.fitting import search as searching
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.fitting.options_from_cli import fit_options
from tests.make_batches import learnable, make_manifest, make_store

pytestmark = pytest.mark.usefixtures("module_without_plots")

SPLITS = ["train"] * 40 + ["val"] * 20 + ["test"] * 20
OPTIONS = FitOptions.of(head="mean_pool", epochs=3, search=6, seeds=2, threads=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    labels, tokens = learnable(80, streams=("a",))
    store = make_store(tmp_path_factory.mktemp("search") / "features", tokens)
    return make_manifest(labels, split=SPLITS), store


def trials(run):
    return pd.read_csv(run / "search.csv")


def test_the_best_trial_on_val_is_what_is_fitted_and_recorded(made, tmp_path):
    manifest, store = made
    result = fit_head(manifest, [store], tmp_path / "run", OPTIONS)
    table = trials(tmp_path / "run")
    assert len(table) == 6
    best = table.loc[table["val_score"].idxmax()]
    assert result.options.loop.learning_rate == pytest.approx(best["learning_rate"], rel=1e-4)
    assert str(result.head_options["hidden"]) == str(int(best["head.hidden"]))
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    assert document["options"]["search"] == 6
    assert document["options"]["learning_rate"] == result.options.loop.learning_rate
    assert len(document["metrics"]["test"]["seeds"]) == 2
    assert not list(tmp_path.glob(".*search"))


def interrupt_fourth_trial(monkeypatch):
    """Interrupt the search in its fourth trial; return a list with an entry for each trial."""
    real, calls = searching.train_head, []

    def killed(*words, **more):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*words, **more)

    monkeypatch.setattr(searching, "train_head", killed)
    return calls


def test_an_interrupted_search_goes_on_as_if_it_had_not_been(made, tmp_path, monkeypatch):
    manifest, store = made
    fit_head(manifest, [store], tmp_path / "whole", OPTIONS)
    calls = interrupt_fourth_trial(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        fit_head(manifest, [store], tmp_path / "cut", OPTIONS)
    assert not (tmp_path / "cut").exists()
    fit_head(manifest, [store], tmp_path / "cut", OPTIONS)
    assert len(calls) == 4 + 3  # three finished trials were not done again
    whole, cut = trials(tmp_path / "whole"), trials(tmp_path / "cut").dropna()
    columns = [name for name in whole if name != "number"]
    pd.testing.assert_frame_equal(
        whole[columns], cut[columns].reset_index(drop=True), check_dtype=False
    )


def test_permuted_test_labels_change_no_hyperparameter(made, tmp_path):
    manifest, store = made
    order = np.random.default_rng(1).permutation(np.arange(60, 80))
    clips = list(manifest.clips)
    for row, other in zip(range(60, 80), order, strict=True):
        clips[row] = dataclasses.replace(clips[row], targets=manifest.clips[other].targets)
    permuted = dataclasses.replace(manifest, clips=tuple(clips))
    first = fit_head(manifest, [store], None, OPTIONS)
    second = fit_head(permuted, [store], None, OPTIONS)
    assert first.options == second.options
    assert first.metrics["val"] == second.metrics["val"]
    assert first.metrics["test"] != second.metrics["test"]


def test_a_solved_head_is_searched_over_its_own_options_only(made, tmp_path):
    manifest, store = made
    options = FitOptions(head="linear", head_options={"penalties": "2"}, search=3, threads=1)
    fit_head(manifest, [store], tmp_path / "run", options)
    assert set(trials(tmp_path / "run")) == {"number", "val_score", "head.fusion", "head.std"}


def test_a_head_that_declares_nothing_says_so(made, monkeypatch):
    manifest, store = made
    monkeypatch.setattr(searching, "space_of", lambda kind, options: {})
    with pytest.raises(FitError, match="declares nothing to search"):
        fit_head(manifest, [store], None, OPTIONS)


def test_a_trial_behind_the_median_of_the_others_at_its_round_ends():
    before = [[0.1 * k, 0.2, 0.3, 0.4, 0.5, 0.9] for k in range(5)]
    assert searching.is_behind([0.1, 0.2, 0.49, 0.3, 0.2], before)
    assert not searching.is_behind([0.1, 0.2, 0.5, 0.3, 0.2], before)  # 0.9 came later
    assert not searching.is_behind([0.0] * 4, before)
    assert not searching.is_behind([0.0] * 5, before[:4])


def test_the_values_that_were_found_are_told(made, tmp_path):
    manifest, store = made
    result = fit_head(manifest, [store], tmp_path / "run", OPTIONS)
    note = next(note for note in result.notes if note.startswith("search: the best of 6 trials"))
    assert f"learning_rate {result.options.loop.learning_rate:.3g}" in note
    assert note in result.table()


def test_no_trials_are_not_a_search():
    with pytest.raises(OptionError, match="--search 0: expected at least 1"):
        fit_options({"search": 0}, targets=[], tasks=[], weights=[], option=[])


def test_trials_with_other_values_than_are_drawn_now_are_tried_again(made, tmp_path, monkeypatch):
    """Another version of Optuna may draw other values after the interruption."""
    manifest, store = made
    fit_head(manifest, [store], tmp_path / "whole", OPTIONS)
    interrupt_fourth_trial(monkeypatch)
    rates = {"learning_rate": (1e-9, 1e-8), "weight_decay": (1, 2)}
    monkeypatch.setattr(draw_trials, "RATES", rates)
    with pytest.raises(KeyboardInterrupt):
        fit_head(manifest, [store], tmp_path / "cut", OPTIONS)
    monkeypatch.undo()
    fit_head(manifest, [store], tmp_path / "cut", OPTIONS)
    pd.testing.assert_frame_equal(trials(tmp_path / "whole"), trials(tmp_path / "cut"))


@pytest.mark.skipif(sys.platform != "linux", reason="trials are forked on Linux")
def test_a_trial_is_kept_though_one_before_it_was_under_way(made, tmp_path, monkeypatch):
    manifest, store = made
    real, first, second = searching.train_head, tmp_path / "first", tmp_path / "second"

    def first_dies_late(*words, **more):
        try:
            first.touch(exist_ok=False)
        except FileExistsError:
            found = real(*words, **more)
            second.touch()
            return found
        while not second.exists():
            time.sleep(0.01)
        time.sleep(0.5)  # in which the parent hears of the other
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(searching, "train_head", first_dies_late)
    two = dataclasses.replace(OPTIONS, threads=2)
    with pytest.raises(FitError, match="SIGKILL"):
        fit_head(manifest, [store], tmp_path / "run", two)
    calls = []
    counted = lambda *words, **more: calls.append(1) or real(*words, **more)  # noqa: E731
    monkeypatch.setattr(searching, "train_head", counted)
    fit_head(manifest, [store], tmp_path / "run", OPTIONS)
    assert len(calls) < OPTIONS.search
