"""Scores equal scikit-learn's, and bootstrap intervals have the width that theory predicts."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emo.heads.metrics import classes as metrics

CASES = st.integers(1, 40).flatmap(
    lambda clips: st.tuples(
        st.lists(st.integers(0, 4), min_size=clips, max_size=clips),
        st.lists(st.integers(0, 4), min_size=clips, max_size=clips),
    )
)


@given(CASES)
@settings(deadline=None, max_examples=60)
def test_metrics_are_scikit_learns(case):
    from sklearn import metrics as reference

    gold, predicted = map(np.array, case)
    counts = metrics.confusion(gold, predicted, 5)
    f1 = lambda how: reference.f1_score(gold, predicted, average=how, zero_division=0)  # noqa: E731
    expected = {
        "weighted_f1": f1("weighted"),
        "macro_f1": f1("macro"),
        "uar": reference.recall_score(
            gold, predicted, average="macro", labels=np.unique(gold), zero_division=0
        ),
        "accuracy": reference.accuracy_score(gold, predicted),
    }
    assert (counts == reference.confusion_matrix(gold, predicted, labels=range(5))).all()
    for name, value in expected.items():
        assert float(metrics.CLASS_METRICS[name](counts)) == pytest.approx(value), name
    by_name = metrics.scores([f"k{x}" for x in gold], [f"k{x}" for x in predicted])
    assert {name: by_name[name] for name in expected} == pytest.approx(expected)


def test_many_rows_are_counted_at_once():
    random = np.random.default_rng(0)
    gold, predicted = random.integers(0, 3, (2, 4, 30)), random.integers(0, 3, (2, 4, 30))
    counts = metrics.confusion(gold, predicted, 3)
    assert counts.shape == (2, 4, 3, 3)
    alone = metrics.confusion(gold[1, 2], predicted[1, 2], 3)
    assert (counts[1, 2] == alone).all()
    assert metrics.weighted_f1(counts)[1, 2] == pytest.approx(float(metrics.weighted_f1(alone)))


def test_bootstrap_interval_is_that_of_a_proportion_and_repeats():
    random = np.random.default_rng(0)
    gold = random.integers(0, 2, 1000)
    predicted = np.where(random.random(1000) < 0.8, gold, 1 - gold)
    share = (gold == predicted).mean()
    low, high = metrics.bootstrap_classes(gold, predicted[None], 2, seed=1)["accuracy"]
    half = 1.96 * np.sqrt(share * (1 - share) / 1000)
    assert low == pytest.approx(share - half, abs=0.004)
    assert high == pytest.approx(share + half, abs=0.004)
    assert metrics.bootstrap_classes(gold, predicted[None], 2, seed=1)["accuracy"] == (low, high)


def test_bootstrap_of_2610_clips_is_quick():
    random = np.random.default_rng(0)
    gold, predicted = random.integers(0, 7, 2610), random.integers(0, 7, (1, 2610))
    started = time.process_time()
    metrics.bootstrap_classes(gold, predicted, 7, seed=0)
    assert time.process_time() - started < 0.5
