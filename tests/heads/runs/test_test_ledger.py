"""The ledger: a run notes the settings and runs that were scored on its test clips before."""

import dataclasses
import json

import pytest

from emo.heads.fitting.ablate import ablate
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.fitting.folds.cross_validate import cross_validate
from emo.heads.runs.test_ledger import LEDGER, EarlierScorings, record_scoring
from tests.make_batches import learnable, make_manifest, make_store

SPLITS = ["train"] * 40 + ["val"] * 20 + ["test"] * 20
OPTIONS = FitOptions.of(head="mean_pool", epochs=1, threads=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    labels, tokens = learnable(80, streams=("a", "b"))
    store = make_store(tmp_path_factory.mktemp("ledger") / "features", tokens)
    return make_manifest(labels, split=SPLITS), store


def test_settings_are_counted_and_runs_named_once(tmp_path):
    for asked in ("1", "2", "3", "3"):
        record_scoring(tmp_path / "latest", ["a", "b"], ["label"], asked)
    record_scoring(tmp_path / "again", ["a", "b"], ["label"], "2")
    found = record_scoring(tmp_path / "latest", ["a", "b"], ["label"], "4")
    assert found == EarlierScorings(3, ("latest", "again"))
    assert "before under 3 other settings (by latest, again)" in found.note()
    assert (
        record_scoring(tmp_path / "x", ["a", "b"], ["label"], "4") == found
    )  # the same as just now


@pytest.mark.parametrize(
    ("tested", "targets", "is_seen"),
    [
        (["a", "b"], ["label"], True),
        (["b", "c", "d"], ["cause", "label"], True),
        (["c", "d"], ["label"], False),
        (["a", "b"], ["cause"], False),
        ([], ["label"], False),
    ],
)
def test_any_clip_and_any_target_in_common_count(tmp_path, tested, targets, is_seen):
    record_scoring(tmp_path / "a", ["a", "b"], ["label"], "1")
    assert record_scoring(tmp_path / "b", tested, targets, "2").settings == is_seen


def test_runs_in_a_folder_of_runs_count_beside_it(tmp_path):
    record_scoring(tmp_path / "runs" / "one", ["a"], ["label"], "1", within=tmp_path / "runs")
    assert record_scoring(tmp_path / "final", ["a"], ["label"], "2") == EarlierScorings(
        1, ("runs/one",)
    )


@pytest.mark.parametrize("cut", ['{"clips": "12', '{"test": "12", "asked": "1", "run": "a"}', "[]"])
def test_a_cut_or_foreign_line_is_no_trouble(tmp_path, cut):
    (tmp_path / LEDGER).write_text(cut)
    assert record_scoring(tmp_path / "a", ["a"], ["label"], "1") == EarlierScorings()
    assert record_scoring(tmp_path / "b", ["a"], ["label"], "2") == EarlierScorings(1, ("a",))


@pytest.mark.usefixtures("without_plots")
def test_fits_folds_and_ablations_are_looks_at_the_same_clips(made, tmp_path):
    manifest, store = made
    fit_head(manifest, [store], tmp_path / "a", OPTIONS)
    fit_head(manifest, [store], tmp_path / "again", dataclasses.replace(OPTIONS, seeds=2))
    for run in ("a", "again"):
        document = json.loads((tmp_path / run / "run.json").read_text())
        assert (document["scored_before_by"], document["settings_before"]) == ([], 0)
    crossed = cross_validate(manifest, [store], tmp_path / "folds", OPTIONS, by="2")
    assert "before under 1 other setting (by a, again)" in crossed.table()
    ablate(manifest, [store], tmp_path / "parts", OPTIONS)
    last = fit_head(manifest, [store], tmp_path / "b", OPTIONS.replace(epochs=2))
    document = json.loads((tmp_path / "b" / "run.json").read_text())
    runs = ["a", "again", "folds", "parts/fake-a+fake-b", "parts/fake-b", "parts/fake-a"]
    assert document["scored_before_by"] == runs
    assert document["settings_before"] == 4  # both streams together were asked by a, too
    assert last.earlier.note() in last.table()
    assert last.earlier.note() in document["notes"]
