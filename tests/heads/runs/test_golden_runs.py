"""Runs that an earlier version of emo wrote are still read; see golden_runs_v1/make.py."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import emo
from emo import __version__
from emo.heads.fitting.fit import fit_head
from emo.heads.fitting.rerun import rerun
from emo.heads.options import FitOptions
from emo.heads.runs.files import read_document
from emo.heads.runs.run import Run, stored_tokens
from emo.manifest import Clip, read_manifest
from emo.store.store import Store
from tests.golden_runs_v1.make import CLASSES, OPTIONS

GOLDEN = Path(__file__).parents[2] / "golden_runs_v1"
STORE = GOLDEN / "features"


@pytest.fixture
def manifest():
    return read_manifest(GOLDEN / "manifest.csv")


@pytest.mark.parametrize("name", ["aligned", "cross"])
def test_a_run_predicts_the_same_numbers(name):
    table = pd.read_csv(GOLDEN / name / "predictions.csv")
    run = Run.load(GOLDEN / name)
    tokens, without = stored_tokens(run, [Clip(each) for each in table["id"]], Store(STORE))
    assert not without
    expected = table[[f"p_{label}" for label in CLASSES]].to_numpy()
    np.testing.assert_allclose(run.predict(tokens), expected, atol=2e-6)


def test_options_and_weights_had_their_old_names():
    """Check that the golden runs cover the renamed option and weight."""
    assert Run.load(GOLDEN / "aligned").head.steps == 3
    document = json.loads((GOLDEN / "aligned" / "run.json").read_text())
    assert document["head"]["options"]["places"] == 3
    assert "head/place" in load_file(GOLDEN / "cross" / "head.safetensors")


@pytest.mark.parametrize("name", ["aligned", "cross"])
def test_the_same_options_are_written_byte_for_byte_and_have_the_same_hash(
    name, manifest, tmp_path
):
    options = FitOptions.of(**OPTIONS[name])
    fit_head(manifest, [STORE], tmp_path / name, options, progress=False)
    old, new = (
        json.loads((folder / name / "run.json").read_text()) for folder in (GOLDEN, tmp_path)
    )
    assert json.dumps(new["options"]) == json.dumps(old["options"])
    assert new["question"] == old["question"]
    later = ("drawn", "made_with", "asked")  # runs of before lack these
    assert [name for name in new if name not in later] == list(old)


def test_an_interrupted_fit_goes_on(manifest, tmp_path):
    """When an option is added, old and new questions differ; then this test may be removed."""
    shutil.copytree(GOLDEN / "interrupted", tmp_path / ".run.fit")
    question = tmp_path / ".run.fit" / "question.json"
    question.write_text(json.dumps(json.loads(question.read_text()) | {"emo": __version__}))
    running = tmp_path / ".run.fit" / "running-1.safetensors"
    finished = load_file(tmp_path / ".run.fit" / "finished-0.safetensors")
    assert running.is_file()
    rounds = []
    options = FitOptions.of(**OPTIONS["interrupted"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("emo.heads.fitting.seeds.train_head", _recorded(rounds))
        result = fit_head(manifest, [STORE], tmp_path / "run", options, resume=True, progress=False)
    assert not any("no interrupted fit" in note for note in result.notes)
    assert rounds == [(1, 3), (1, 4)]  # seed 0 and two rounds of seed 1 were finished
    assert [len(outcome.history) for outcome in result.outcomes] == [4, 4]
    assert finished.keys() == result.outcomes[0].state.keys()
    for key, weight in result.outcomes[0].state.items():
        assert torch.equal(weight, finished[key])


def test_a_rerun_keeps_the_streams_though_the_store_has_more_recipes_now(tmp_path):
    store = Path(shutil.copytree(STORE, tmp_path / "features"))
    shutil.copytree(store / "toy", store / "toy2")
    manifest = GOLDEN / "manifest.csv"
    report = rerun(GOLDEN / "cross", tmp_path / "again", manifest=manifest, features=[store])
    before, now = (read_document(path) for path in (report.run, report.out))
    assert now["streams"] == before["streams"]
    assert f"emo: 0.1.0 -> {emo.__version__}" in report.differences
    assert any(line.startswith("made by emo 0.1.0; since then: ") for line in report.differences)


def _recorded(rounds):
    """Return a train_head that also adds (seed, number) of each round to a list."""
    from emo.heads.training.loop import train_head

    def recorded(*words, on_round, **more):
        def both(done):
            rounds.append((done.seed, done.round))
            on_round(done)

        return train_head(*words, on_round=both, **more)

    return recorded
