"""Our scores against the official scorers' golden values, in shared/golden."""

import json
from pathlib import Path

import numpy as np
import pytest

from emo.errors import FitError
from emo.heads.metrics.numbers import regression_scores
from emo.score.semeval import score_pairs, score_spans

SHARED = Path(__file__).parents[4] / "shared"
GOLDEN = SHARED / "golden"
needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="no shared/golden beside the tree")
MMSA = {
    "has0_accuracy": "Has0_acc_2", "has0_f1": "Has0_F1_score", "non0_accuracy": "Non0_acc_2",
    "non0_f1": "Non0_F1_score", "accuracy_7": "Mult_acc_7", "accuracy_5": "Mult_acc_5",
    "accuracy_3": "Mult_acc_3", "accuracy_2": "Mult_acc_2", "f1": "F1_score", "mae": "MAE",
    "pearson": "Corr",
}  # fmt: skip


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@needs_golden
@pytest.mark.parametrize("share", ["0.2", "0.5", "0.8"])
def test_pairs_score_as_the_official_scorer(share):
    folder = GOLDEN / "semeval_scorer"
    gold = read(SHARED / "data" / "text" / "SemEval2024" / "Subtask_2_test.json")
    found = score_pairs(gold, read(folder / f"subtask2_p{share}.json"))
    assert found == pytest.approx(read(folder / "expected.json")[f"subtask2_p{share}"], abs=1e-6)


@needs_golden
@pytest.mark.parametrize("name", ["whole", "whole_trimmed", "random"])
def test_spans_score_as_the_official_scorer(name):
    folder = GOLDEN / "semeval_scorer"
    gold = read(SHARED / "data" / "text" / "SemEval2024" / "Subtask_1_test.json")
    found = score_spans(gold, read(folder / f"subtask1_{name}.json"))
    expected = read(folder / "expected.json")[f"subtask1_{name}"]
    for kind in ("strict", "proportional"):
        assert found[kind] == pytest.approx(expected[kind], abs=1e-6)


@needs_golden
@pytest.mark.parametrize("corpus", ["mosi", "sims"])
def test_numbers_score_as_mmsa(corpus):
    arrays = np.load(GOLDEN / "mmsa_metrics" / "inputs.npz")
    found = regression_scores(arrays[f"{corpus}_true"], arrays[f"{corpus}_pred"], corpus)
    expected = read(GOLDEN / "mmsa_metrics" / "expected.json")[corpus]
    assert {MMSA[name]: float(value) for name, value in found.items()} == pytest.approx(
        expected, abs=1e-4
    )


def test_many_resamples_score_as_one_by_one():
    random = np.random.default_rng(0)
    gold, found = random.uniform(-3, 3, (2, 4, 30)).round(1)
    for scale in ("mosi", "sims", "any"):
        together = regression_scores(gold, found, scale)
        alone = [regression_scores(a, b, scale) for a, b in zip(gold, found, strict=True)]
        for name, values in together.items():
            np.testing.assert_allclose(values, [float(one[name]) for one in alone])


def one(*pairs, number=1):
    return {"conversation_ID": number, "emotion-cause_pairs": [list(pair) for pair in pairs]}


def test_a_wrong_emotion_misses_and_neutral_does_not_hurt():
    gold = [one(("1_joy", "1"), ("2_anger", "1"))]
    right = [one(("1_joy", "1"), ("2_anger", "1"), ("3_neutral", "1"), ("1_joy", "1"))]
    assert score_pairs(gold, right)["w_f1"] == pytest.approx(1)
    wrong = score_pairs(gold, [one(("1_joy", "1"), ("2_joy", "1"))])
    assert wrong["micro_f1"] == pytest.approx(0.5)
    assert wrong["w_f1"] == pytest.approx(0.5 * 2 / 3)


def test_missing_conversations_and_unknown_emotions_are_errors():
    with pytest.raises(FitError, match="1 conversations are not predicted, the first: 1"):
        score_pairs([one()], [])
    with pytest.raises(FitError, match="unknown emotion 'happy'"):
        score_pairs([one()], [one(("1_happy", "1"))])
