"""Ablations: one run for each subset of streams, and errors."""

import dataclasses
import json

import pytest

import emo.heads.fitting.ablate as ablating
from emo.errors import FitError
from emo.heads.fitting.ablate import ablate
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.runs.comparing.compare import compare_runs
from tests.make_batches import learnable, make_manifest, make_store

SPLITS = ["train"] * 60 + ["val"] * 24 + ["test"] * 36
pytestmark = pytest.mark.usefixtures("without_plots")
QUICK = FitOptions.of(head="mean_pool", epochs=2, threads=1)
LINEAR = FitOptions(
    head="linear", head_options={"solver": "ridge", "penalties": "3", "fusion": "late"}, threads=1
)


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
    options = LINEAR.replace(streams=("fake/a", "fake/b"))
    found = ablate(manifest, [store], tmp_path / "runs", options, by="2")
    assert len(found.runs) == 3
    assert "2 folds" in found.table()


def test_resume_keeps_the_runs_that_answer_the_same_question(made, tmp_path, monkeypatch):
    manifest, store = made
    out, fitted = tmp_path / "runs", []

    def counted(name):
        real = getattr(ablating, name)
        return lambda *words, **more: fitted.append(words[2].name) or real(*words, **more)

    for name in ("fit_head", "cross_validate"):
        monkeypatch.setattr(ablating, name, counted(name))

    def again(options, by=None):
        fitted.clear()
        notes = ablate(manifest, [store], out, options, by=by, resume=True).notes
        return len(fitted), notes

    quick = QUICK.replace(epochs=1, streams=("fake/a", "fake/b"))
    options = dataclasses.replace(quick, scaling={"fake/a": "unit"})
    assert again(options)[0] == 3
    assert again(options) == (0, ())
    count, notes = again(quick)
    assert count == 2  # fake/b alone is the same
    assert "fake-a had other options or clips: fitted again" in notes[1]
    count, notes = again(quick, by="2")
    assert (count, len(notes)) == (3, 3)
    assert again(quick, by="2")[0] == 0
    file = out / "fake-a" / "run.json"
    document = json.loads(file.read_text())
    del document["question"]
    file.write_text(json.dumps(document))
    count, notes = again(quick, by="2")
    assert count == 1
    assert "fake-a does not say its options and clips: fitted again" in notes[0]


def test_a_finished_search_is_not_done_again(made, tmp_path, monkeypatch):
    manifest, store = made
    searched = LINEAR.replace(streams=("fake/a", "fake/b"), search=2)
    ablate(manifest, [store], tmp_path / "runs", searched)
    monkeypatch.setattr(ablating, "fit_head", lambda *words, **more: pytest.fail("fitted again"))
    ablate(manifest, [store], tmp_path / "runs", searched, resume=True)


@pytest.mark.parametrize("option", [{"scaling": {"fake/x": "unit"}}, {"spec_augment": ("fake/x",)}])
def test_options_of_a_stream_that_is_not_there_are_refused(made, tmp_path, option):
    manifest, store = made
    with pytest.raises(FitError, match=r"unknown stream of --s.* 'fake/x'"):
        ablate(manifest, [store], tmp_path / "runs", QUICK.replace(**option))


def test_one_stream_or_a_run_in_the_way_are_refused(made, tmp_path):
    manifest, store = made
    one = LINEAR.replace(streams=("fake/a",))
    with pytest.raises(FitError, match="expected 2 to 6 streams, got 1"):
        ablate(manifest, [store], tmp_path / "runs", one)
    fit_head(manifest, [store], tmp_path / "run", one)
    with pytest.raises(FitError, match="run is a run; --ablate makes a folder of runs"):
        ablate(manifest, [store], tmp_path / "run", QUICK)


def test_clips_without_the_streams_of_a_subset_are_left_out_of_its_run(tmp_path):
    """The run on all streams alone checks whether too many clips have no features."""
    labels, tokens = learnable(120, streams=("a", "b"))
    rare = {
        clip: {name: found for name, found in streams.items() if name == "a" or row % 4 == 0}
        for row, (clip, streams) in enumerate(tokens.items())
    }
    store, manifest = make_store(tmp_path / "features", rare), make_manifest(labels, split=SPLITS)
    found = ablate(manifest, [store], tmp_path / "runs", QUICK)
    clips = {run.path.name: run.metrics["clips"] for run in found.runs}
    assert clips == {"fake-a": 36, "fake-b": 9, "fake-a+fake-b": 36}
    assert "were left out" in found.table() or "other clips" in found.table()
    with pytest.raises(FitError, match="without features, more than the allowed share"):
        ablate(
            make_manifest([*labels, *labels], split=SPLITS * 2), [store], tmp_path / "more", QUICK
        )
    assert not list(tmp_path.glob("more/*/run.json"))
