"""``--search`` within ``--cv``: chosen on inner folds, without a look at the fold's test clips."""

import json

import numpy as np
import pandas as pd
import pytest

from emo.heads.fitting.fit import FitOptions
from emo.heads.fitting.folds import nested_search
from emo.heads.fitting.folds.cross_validate import cross_validate
from emo.heads.runs.show import show_run
from tests.make_batches import learnable, make_manifest, make_store

pytestmark = pytest.mark.usefixtures("module_without_plots")

OPTIONS = FitOptions.of(
    head="mean_pool", head_options={"hidden": "8"}, search=2, epochs=2, threads=1
)


def made(tmp_path, labels, tokens):
    store = make_store(tmp_path / "features", tokens)
    return make_manifest(labels, speaker=[f"s{row // 12}" for row in range(len(labels))]), store


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A cross-validation with a search, and the ids that each search saw."""
    folder = tmp_path_factory.mktemp("nested")
    labels, tokens = learnable(72, streams=("a",))
    manifest, store = made(folder, labels, tokens)
    seen, real = [], nested_search.search

    def spy(kind, data, options, **more):
        seen.append({clip for one in data for split in one.splits.values() for clip in split.ids})
        assert all({*one.splits} == {"train", "val"} for one in data)
        return real(kind, data, options, **more)

    patch = pytest.MonkeyPatch()
    patch.setattr(nested_search, "search", spy)
    patch.setattr("emo.heads.fitting.folds.cross_validate._parallel_folds", lambda *_: 1)
    result = cross_validate(manifest, [store], folder / "run", OPTIONS, by="speaker")
    patch.undo()
    return result, seen, folder / "run"


def test_no_search_sees_the_clips_that_its_fold_tests(searched):
    result, seen, _ = searched
    assert len(seen) == len(result.folds) == 6
    for ids, fold in zip(seen, result.folds, strict=True):
        assert not ids & set(fold.test.ids)
        assert len(ids) == 60


def test_the_run_says_what_each_fold_chose_and_the_command_searches_again(searched):
    _, _, out = searched
    document = json.loads((out / "run.json").read_text())
    found = [note for note in document["notes"] if "search: the best of 2 trials" in note]
    assert found
    assert all("on 3 inner folds" in note for note in found)
    table = pd.read_csv(out / "search.csv")
    assert sorted(set(table["fold"])) == [f"s{k}" for k in range(6)]
    assert len(table) == 12
    command = show_run(out)["commands"][-1][1]
    assert "--cv speaker" in command
    assert "--search 2" in command


def test_labels_at_random_score_at_chance(tmp_path):
    labels, tokens = learnable(72, streams=("a",))
    shuffled = np.random.default_rng(0).permutation(labels).tolist()
    manifest, store = made(tmp_path, shuffled, tokens)
    options = FitOptions("linear", {"solver": "ridge"}, search=2, threads=1)
    result = cross_validate(manifest, [store], None, options, by="speaker")
    accuracy = result.metrics["mean"]["accuracy"]
    chance = max(np.unique(shuffled, return_counts=True)[1]) / 72
    assert accuracy < chance + 3 * np.sqrt(chance * (1 - chance) / 72)
