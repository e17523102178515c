"""Scores of an adapted head, which a run of it says."""

import numpy as np
import pytest

from emo.adapt.frozen import scored
from emo.heads.fitting.fit import FitOptions, read_request_data
from emo.heads.fitting.request import Build, fit_request
from emo.heads.training.outcome import Round
from tests.make_batches import make_manifest, make_store


def test_epochs_of_a_number_are_scored_in_its_own_unit(tmp_path):
    tokens = {f"c{k}": {"a": np.full((1, 2), k, np.float32)} for k in range(12)}
    store = make_store(tmp_path / "features", tokens)
    splits = ["train"] * 6 + ["val"] * 3 + ["test"] * 3
    manifest = make_manifest([f"{100 * k}.5" for k in range(12)], split=splits)
    request = fit_request(manifest, [store], None, FitOptions("mean_pool", threads=1))
    data = read_request_data(request)
    head = Build(request.kind, data.dims, data.widths, request.head_options)()
    epoch = Round(0, 1, 0.1, 0.1, -0.5, is_best=True)  # of standardised labels
    result = scored(data, head, request, [epoch], 0.0)
    spread = np.std(100 * np.arange(6))
    assert result.best.best.val_score == pytest.approx(-0.5 * spread, rel=1e-4)
