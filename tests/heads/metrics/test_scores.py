"""Scores over seeds, and that a split is scored once."""

import numpy as np
import pytest

from emo.errors import FitError
from emo.heads.metrics.scores import ScoreOnce

LABELS = np.array([0, 0, 1, 1, 2, 2])


def table(predictions):
    return np.eye(3, dtype=np.float32)[predictions]


def score(answers, predictions, *, bootstrap_seed=0):
    seeds = range(len(predictions))
    return answers.score(
        np.stack([table(row) for row in predictions]),
        seeds=seeds,
        majority=1,
        bootstrap_seed=bootstrap_seed,
    )


def test_a_second_call_within_a_run_raises():
    answers = ScoreOnce(LABELS, ("a", "b", "c"))
    score(answers, [LABELS])
    with pytest.raises(FitError, match="already scored in this run"):
        score(answers, [LABELS])


def test_mean_std_baseline_and_classes_over_seeds():
    half_right = np.array([0, 1, 1, 0, 2, 0])
    found = score(ScoreOnce(LABELS, ("a", "b", "c")), [LABELS, half_right]).to_json()
    assert found["clips"] == 6
    assert found["seeds"]["0"]["accuracy"] == 1
    assert found["seeds"]["1"]["accuracy"] == 0.5
    assert found["mean"]["accuracy"] == 0.75
    assert found["std"]["accuracy"] == pytest.approx(0.5 / 2**0.5)
    assert found["majority"]["accuracy"] == pytest.approx(1 / 3)
    assert found["majority"]["uar"] == pytest.approx(1 / 3)
    assert found["classes"]["a"] == pytest.approx(
        {"clips": 2, "precision": (1 + 1 / 3) / 2, "recall": 0.75, "f1": 0.7, "predicted": 2.5}
    )
    low, high = found["interval"]["accuracy"]
    assert low < 0.75 < high


def test_one_seed_has_no_spread_and_train_no_interval():
    found = score(ScoreOnce(LABELS, ("a", "b", "c")), [LABELS], bootstrap_seed=None).to_json()
    assert found["std"]["weighted_f1"] == 0
    assert found["interval"] == {}


def test_confusion_is_summed_over_seeds():
    scores = score(ScoreOnce(LABELS, ("a", "b", "c")), [LABELS, LABELS])
    assert scores.confusion.tolist() == [[4, 0, 0], [0, 4, 0], [0, 0, 4]]
