"""Late fusion is calibrated by one temperature, which changes no prediction and is kept."""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.fitting.missing_streams import without_streams
from emo.heads.head import TEMPERATURE
from emo.heads.library.linear import LinearHead, LinearOptions
from emo.heads.runs.run import Run, stored_tokens
from emo.heads.solvers.temperature import fit_temperature
from emo.heads.training.inference import logits_of
from emo.manifest import Clip
from emo.store.store import Store
from tests.make_batches import assert_close, make_batch, make_manifest, make_store

LINEAR = FitOptions("linear", {"fusion": "late", "penalties": "4"}, threads=1)


def expected_calibration_error(probabilities, labels, bins=15):
    """The mean gap between confidence and accuracy over bins (Guo et al. 2017, equation 3)."""
    confidence, predicted = probabilities.double().max(1)
    which = (confidence * bins).long().clamp(max=bins - 1)
    gaps = (predicted == labels).double() - confidence
    return float(torch.zeros(bins).double().index_add(0, which, gaps).abs().sum() / len(labels))


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """Eight classes and 24 speakers, as in RAVDESS, in three streams; val and test are others."""
    random, clips, classes, width = np.random.default_rng(0), 720, 8, 96
    labels, speakers = np.arange(clips) % classes, np.arange(clips) // 30
    tokens = {f"c{row}": {} for row in range(clips)}
    for name in "abc":
        centres = 0.25 * random.standard_normal((classes, width))
        voices = 0.5 * random.standard_normal((24, width))
        values = centres[labels] + voices[speakers] + random.standard_normal((clips, width))
        for row, value in enumerate(values.astype(np.float32)):
            tokens[f"c{row}"][name] = value[None]
    splits = np.where(speakers < 16, "train", np.where(speakers < 20, "val", "test"))
    store = make_store(tmp_path_factory.mktemp("temperature") / "features", tokens)
    return make_manifest([f"e{label}" for label in labels], split=splits.tolist()), store


@pytest.fixture(scope="module")
def fitted(spoken, tmp_path_factory):
    manifest, store = spoken
    return fit_head(manifest, [store], tmp_path_factory.mktemp("runs") / "run", LINEAR)


def calibration(scores, temperature=1.0):
    logits = torch.from_numpy(scores.probabilities[0]).double().log() * temperature
    return expected_calibration_error(logits.softmax(1), torch.from_numpy(scores.labels))


def test_the_error_of_three_streams_falls_and_no_prediction_changes(fitted, monkeypatch, spoken):
    temperature = fitted.best.state[TEMPERATURE].item()
    scores = fitted.scores["test"]
    assert 0.1 < temperature < 0.6
    before, after = calibration(scores, temperature), calibration(scores)
    assert before > 0.25
    assert after < 0.08
    monkeypatch.setattr(LinearHead, "_fit_temperatures", lambda self, val: None)
    manifest, store = spoken
    without = fit_head(manifest, [store], None, LINEAR)
    np.testing.assert_array_equal(without.scores["test"].predictions, scores.predictions)
    assert calibration(without.scores["test"]) == pytest.approx(before, abs=1e-3)
    assert without.metrics["test"]["mean"] == fitted.metrics["test"]["mean"]


def test_the_run_keeps_it_and_says_so(fitted, spoken):
    temperature = fitted.best.state[TEMPERATURE].item()
    note = f"label: the fused probabilities have temperature {temperature:.2f}, fitted on val"
    assert note in fitted.notes
    run = Run.load(fitted.out)
    ids = list(fitted.data.splits["test"].ids)
    tokens, _ = stored_tokens(run, [Clip(each) for each in ids], Store(spoken[1]))
    expected = fitted.scores["test"].probabilities[0]
    np.testing.assert_allclose(run.predict(tokens), expected, atol=1e-5)


def test_a_run_without_a_temperature_reads_as_1(fitted, spoken, tmp_path):
    run = Run.load(fitted.out)
    tokens, _ = stored_tokens(run, [Clip("c700")], Store(spoken[1]))
    sure = run.predict(tokens)
    path = fitted.out / "head.safetensors"
    weights = load_file(path)
    temperature = weights.pop(f"head/{TEMPERATURE}").item()
    kept = path.read_bytes()
    save_file(weights, path)
    try:
        unsure = Run.load(fitted.out).predict(tokens)
    finally:
        path.write_bytes(kept)
    expected = torch.from_numpy(sure).log().mul(temperature).softmax(1).numpy()
    np.testing.assert_allclose(unsure, expected, atol=1e-5)


def test_streams_that_are_not_averaged_have_none(spoken, tmp_path):
    manifest, store = spoken
    for options in ({"streams": ("fake/a",)}, {"head_options": {"fusion": "early"}}):
        result = fit_head(manifest, [store], None, dataclasses.replace(LINEAR, **options))
        assert TEMPERATURE not in result.best.state
        assert not any("temperature" in note for note in result.notes)


def test_a_clip_of_one_stream_keeps_that_streams_probabilities():
    batch = make_batch({"s/a": [1, 2, 3], "s/b": [2, 1, 1]})
    head = LinearHead({"s/a": 6, "s/b": 7}, {"emotion": 3}, options=LinearOptions())
    for weight in head.parameters():
        torch.nn.init.normal_(weight, std=2.0)
    alone = without_streams(batch, frozenset(["s/b"]))
    both, single = (logits_of(head, each)["emotion"] for each in (batch, alone))
    head.temperature.fill_(0.5)
    assert_close(logits_of(head, alone)["emotion"], single)
    assert_close(logits_of(head, batch)["emotion"], both / 0.5)


def test_the_temperature_is_the_one_that_made_the_labels():
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(4000, 5, generator=random)
    labels = (logits / 0.4).softmax(1).multinomial(1, generator=random)[:, 0]
    assert fit_temperature(logits, labels) == pytest.approx(0.4, rel=0.05)
    labels = (logits / 3).softmax(1).multinomial(1, generator=random)[:, 0]
    assert fit_temperature(logits, labels) == pytest.approx(3, rel=0.15)


def test_a_few_clips_that_are_all_right_make_nothing_certain():
    logits = torch.tensor([[0.4, 0.0], [0.0, 0.4]]).repeat(5, 1)
    found = fit_temperature(logits, logits.argmax(1))
    assert 0.05 < found < 0.5


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    confident = torch.tensor([[0.9, 0.1]]).repeat(10, 1)
    labels = torch.tensor([0] * 7 + [1] * 3)
    assert expected_calibration_error(confident, labels) == pytest.approx(0.2, abs=1e-6)
