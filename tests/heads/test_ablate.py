"""Ablations: a run for every subset of streams, and what is refused."""

import pytest

from emo.errors import FitError
from emo.heads.ablate import ablate
from emo.heads.compare import compare_runs
from emo.heads.fit import FitOptions, fit_head
from tests.make_batches import learnable, make_manifest, make_store

SPLITS = ["train"] * 60 + ["val"] * 24 + ["test"] * 36
QUICK = FitOptions(head="mean_pool", epochs=2, threads=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    labels, tokens = learnable(120, streams=("a", "b", "c"))
    store = make_store(tmp_path_factory.mktemp("ablate") / "features", tokens)
    return make_manifest(labels, split=SPLITS), store


def test_every_subset_is_a_run_in_one_table(made, tmp_path):
    manifest, store = made
    found = ablate(manifest, [store], tmp_path / "runs", QUICK)
    assert {folder.name for folder in (tmp_path / "runs").iterdir() if folder.is_dir()} == {
        "fake-a", "fake-b", "fake-c", "fake-a+fake-b", "fake-a+fake-c", "fake-b+fake-c",
        "fake-a+fake-b+fake-c",
    }  # fmt: skip
    alone = fit_head(manifest, [store], tmp_path / "alone", QUICK)
    whole = next(run for run in found.runs if len(run.document["streams"]) == 3)
    assert whole.metrics["mean"] == alone.metrics["test"]["mean"]
    same = compare_runs([tmp_path / "alone", whole.path]).paired
    assert all(one.interval == (0, 0) for one in same.differences.values())


def test_folds_and_named_streams(made, tmp_path):
    manifest, store = made
    options = FitOptions(head="linear", streams=("fake/a", "fake/b"), threads=1)
    found = ablate(manifest, [store], tmp_path / "runs", options, by="2")
    assert len(found.runs) == 3
    assert "2 folds" in found.table()


def test_one_stream_or_a_run_in_the_way_are_refused(made, tmp_path):
    manifest, store = made
    one = FitOptions(head="linear", streams=("fake/a",), threads=1)
    with pytest.raises(FitError, match="expected 2 to 6 streams, got 1"):
        ablate(manifest, [store], tmp_path / "runs", one)
    fit_head(manifest, [store], tmp_path / "run", one)
    with pytest.raises(FitError, match="run is a run; --ablate makes a folder of runs"):
        ablate(manifest, [store], tmp_path / "run", QUICK)
