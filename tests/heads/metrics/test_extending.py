"""What docs/architecture.md says: a metric of classes, or an interval, is a change of one file."""

from pathlib import Path

import numpy as np
import pytest

from emo.heads.fitting.fit import fit_head
from emo.heads.metrics import classes
from emo.heads.metrics.measures import bootstrap
from emo.heads.options import FitOptions
from emo.heads.runs.comparing.compare import compare_runs
from tests.make_batches import learnable, make_manifest, make_store


@pytest.mark.parametrize("task", ["classify", "pairs"])
@pytest.mark.parametrize("groups", [None, np.arange(60) // 3], ids=["rows", "groups"])
def test_another_interval_is_another_interval_of(monkeypatch, task, groups):
    random = np.random.default_rng(0)
    gold, found = random.integers(0, 3, 60), random.integers(0, 3, (2, 60))
    monkeypatch.setattr(classes, "interval_of", lambda values: (-1.0, float(values.max())))
    got = bootstrap(task, gold, found, classes=3, scale="any", groups=groups, seed=0)
    assert {low for low, _ in got.values()} == {-1.0}


def test_another_metric_is_fitted_shown_and_compared_without_a_title(tmp_path, monkeypatch):
    half = {"half_accuracy": lambda counts: classes.accuracy(counts) / 2}
    metrics = {**classes.CLASS_METRICS, **half}
    monkeypatch.setattr(classes, "CLASS_METRICS", metrics)
    labels, tokens = learnable(60)
    store = make_store(tmp_path / "features", tokens)
    manifest = make_manifest(labels, split=["train"] * 36 + ["val"] * 8 + ["test"] * 16)
    for name, epochs in (("a", 1), ("b", 3)):
        options = FitOptions.of(head="mean_pool", epochs=epochs, threads=1)
        result = fit_head(manifest, [store], tmp_path / name, options)
        assert "half accuracy" in result.table()
    assert "half accuracy" in compare_runs([tmp_path / "a", tmp_path / "b"]).table()
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    ranking = compare_runs([Path("a")]).table()  # one run: no table of a difference
    assert "half" in ranking
    assert max(map(len, ranking.splitlines())) <= 80
