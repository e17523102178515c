"""`--missing`: scores without some streams, of heads that were trained with all."""

import dataclasses
import json

import numpy as np
import pytest

from emo.errors import FitError
from emo.heads.fitting.ablate import ablate
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.fitting.folds.cross_validate import cross_validate
from emo.heads.fitting.missing_streams import missing_variants, without_streams
from emo.heads.runs.comparing.compare import compare_runs
from emo.heads.training.inference import outputs_of
from tests.make_batches import learnable, make_batch, make_manifest, make_store

pytestmark = pytest.mark.usefixtures("module_without_plots")

SPLITS = ["train"] * 40 + ["val"] * 20 + ["test"] * 20
OPTIONS = FitOptions.of(head="mean_pool", epochs=3, seeds=2, threads=1, missing=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    labels, tokens = learnable(80, streams=("a", "b"))
    store = make_store(tmp_path_factory.mktemp("missing") / "features", tokens)
    return make_manifest(labels, split=SPLITS), store


def test_taken_away_is_absent_and_the_rest_stays():
    batch = make_batch({"s/a": [2, 0, 3], "s/b": [1, 4, 1]})
    found = without_streams(batch, frozenset(["s/a"]))
    assert found.streams["s/a"].lengths.tolist() == [0, 0, 0]
    assert found.streams["s/a"].width == batch.streams["s/a"].width
    assert found.streams["s/b"] is batch.streams["s/b"]


def test_each_stream_alone_and_each_away():
    assert list(missing_variants(["a", "b"])) == ["without a", "without b"]
    three = missing_variants(["a", "b", "c"])
    assert three["only b"] == {"a", "c"}
    assert three["without b"] == {"b"}
    with pytest.raises(FitError, match="at least two streams, got a"):
        missing_variants(["a"])


def test_the_scores_are_those_of_the_kept_heads_on_clips_without_the_stream(made, tmp_path):
    manifest, store = made
    result = fit_head(manifest, [store], tmp_path / "run", OPTIONS)
    first, second = result.data.dims
    assert list(result.missing["label"]) == [f"without {first}", f"without {second}"]
    head = _head_of(result)
    head.load_state_dict(result.outcomes[1].state)
    batch = without_streams(result.data.splits["test"].batch, frozenset([second]))
    expected = outputs_of(head, batch, result.data.targets)["label"]
    scores = result.missing["label"][f"without {second}"]["test"]
    np.testing.assert_allclose(scores.probabilities[1], expected, atol=1e-6)
    assert np.abs(scores.probabilities - result.scores["test"].probabilities).max() > 0.01
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    row = document["missing"]["label"][f"without {second}"]["test"]
    assert row["mean"]["accuracy"] == pytest.approx(scores.to_json()["mean"]["accuracy"])
    assert "on test with streams taken away:" in result.table()


def _head_of(result):
    from emo.heads.library.mean_pool import MeanPoolHead

    return MeanPoolHead(
        result.data.dims, result.data.widths, options=MeanPoolHead.Options(**result.head_options)
    )


def test_ablations_and_missing_streams_are_in_one_table(made, tmp_path):
    manifest, store = made
    table = ablate(manifest, [store], tmp_path / "runs", OPTIONS).table()
    assert table.count("without ") == 2
    assert (
        len(
            compare_runs(
                sorted(path for path in (tmp_path / "runs").iterdir() if path.is_dir())
            ).runs
        )
        == 3
    )


def test_cross_validation_pools_them_too(made):
    manifest, store = made
    options = dataclasses.replace(OPTIONS, seeds=1)
    found = cross_validate(manifest, [store], None, options, by="3")
    for variant in found.pooled.missing["label"].values():
        assert len(variant["test"].labels) == 80
    assert "all folds together" in found.table()
    assert found.table().count("without ") >= 2
