"""Ridge regression equals scikit-learn's, for more rows and for more columns, and classifies."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.solvers.ridge import ridge_path, wanted_of
from tests.make_batches import learnable, make_manifest, make_store


@pytest.mark.parametrize(("clips", "width"), [(60, 12), (20, 50)])
def test_the_optimum_is_scikit_learns(clips, width):
    random = np.random.default_rng(0)
    rows = (3 + random.standard_normal((clips, width))).astype(np.float32)
    wanted = random.standard_normal((clips, 2)).astype(np.float32)
    penalties = [1.0, 0.01]
    found = ridge_path(torch.from_numpy(rows), torch.from_numpy(wanted), penalties)
    for solution, penalty in zip(found, penalties, strict=True):
        theirs = Ridge(alpha=penalty * clips, solver="svd").fit(rows, wanted)
        np.testing.assert_allclose(solution.weight, theirs.coef_, atol=2e-4)
        np.testing.assert_allclose(solution.bias, theirs.intercept_, atol=2e-3)


def test_unlabelled_rows_are_left_out():
    wanted, known = wanted_of(torch.tensor([1, -1, 0]), 2)
    assert wanted.tolist() == [[0, 1], [1, 0]]
    assert known.tolist() == [0, 2]
    numbers, rows = wanted_of(torch.tensor([0.5, float("nan")]), 1)
    assert numbers.tolist() == [[0.5]]
    assert rows.tolist() == [0]


@pytest.mark.parametrize("fusion", ["late", "early"])
def test_ridge_classifies_and_predicts_numbers(tmp_path, fusion):
    labels, tokens = learnable(120, streams=("a", "b"))
    split = ["train"] * 60 + ["val"] * 30 + ["test"] * 30
    manifest = make_manifest(labels, split=split)
    values = {"anger": "-1.5", "calm": "0.2", "joy": "2"}
    clips = tuple(
        dataclasses.replace(clip, targets={**clip.targets, "y": values[clip.targets["label"]]})
        for clip in manifest.clips
    )
    store = make_store(tmp_path / "features", tokens)
    options = FitOptions(
        head="linear", head_options={"solver": "ridge", "fusion": fusion}, target=("label", "y")
    )
    result = fit_head(dataclasses.replace(manifest, clips=clips), [store], None, options)
    assert result.best.is_exact
    assert result.metrics["test"]["mean"]["weighted_f1"] > 0.75
    assert result.all_metrics["y"]["test"]["mean"]["pearson"] > 0.7
