"""`emo score` gives what the official scorers give, through files and the command."""

import json

import numpy as np
import pytest
from sklearn import metrics as sklearn

from tests.heads.metrics.test_official_scores import MMSA
from tests.score.make import GOLDEN, SHARED, needs_golden, read, write

SEMEVAL = SHARED / "data" / "text" / "SemEval2024"


def scored(emo, *words):
    code, out, err = emo("score", *words, "--json")
    assert code == 0, err
    (result,) = json.loads(out)["results"]
    return result["scores"]


@needs_golden
@pytest.mark.parametrize("share", ["0.2", "0.5", "0.8"])
def test_pairs_as_semeval(share, emo):
    folder = GOLDEN / "semeval_scorer"
    predictions = folder / f"subtask2_p{share}.json"
    gold = ("--gold", SEMEVAL / "Subtask_2_test.json")
    expected = pytest.approx(read(folder / "expected.json")[f"subtask2_p{share}"], abs=1e-6)
    assert scored(emo, predictions, *gold, "--metric", "semeval2024-2") == expected
    assert scored(emo, predictions, *gold) == expected


@needs_golden
@pytest.mark.parametrize("name", ["whole", "whole_trimmed", "random"])
def test_spans_as_semeval(name, emo):
    folder = GOLDEN / "semeval_scorer"
    gold = ("--gold", SEMEVAL / "Subtask_1_test.json", "--metric", "semeval2024-1")
    found = scored(emo, folder / f"subtask1_{name}.json", *gold)
    expected = read(folder / "expected.json")[f"subtask1_{name}"]
    flat = expected["strict"] | {
        f"proportional_{k}": v for k, v in expected["proportional"].items()
    }
    assert found == pytest.approx(flat, abs=1e-6)


@needs_golden
@pytest.mark.parametrize("corpus", ["mosi", "sims"])
def test_numbers_as_mmsa(corpus, emo, tmp_path):
    arrays = np.load(GOLDEN / "mmsa_metrics" / "inputs.npz")
    for name, column in (("true", "label"), ("pred", "prediction")):
        rows = enumerate(arrays[f"{corpus}_{name}"].tolist())
        write(tmp_path / f"{name}.csv", f"id,{column}", *((f"c{k}", repr(v)) for k, v in rows))
    found = scored(emo, "pred.csv", "--gold", "true.csv", "--metric", corpus)
    expected = read(GOLDEN / "mmsa_metrics" / "expected.json")[corpus]
    assert {MMSA[name]: value for name, value in found.items()} == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("classes", [None, "c0,c1,c2,c3,c4,never"])
def test_classes_as_scikit_learn(classes, emo, tmp_path):
    rng = np.random.default_rng(0)
    gold = [f"c{k}" for k in rng.integers(0, 5, 300)]
    found = [f"c{k}" for k in np.where(rng.random(300) < 0.4, 2, rng.integers(0, 5, 300))]
    write(tmp_path / "gold.csv", "id,label", *((k, v) for k, v in enumerate(gold)))
    write(tmp_path / "p.csv", "id,prediction", *((k, v) for k, v in enumerate(found)))
    names = classes.split(",") if classes else sorted(set(gold))
    options = ("--classes", classes) if classes else ()
    expected = {
        average + "_f1": sklearn.f1_score(
            gold, found, labels=names, average=average, zero_division=0
        )
        for average in ("weighted", "macro")
    }
    expected["uar"] = sklearn.balanced_accuracy_score(gold, found)
    expected["accuracy"] = sklearn.accuracy_score(gold, found)
    for metric in ("mer", "uar", "macro_f1", "accuracy"):
        words = ("p.csv", "--gold", "gold.csv", "--metric", metric, *options)
        assert scored(emo, *words) == pytest.approx(expected, abs=1e-9)
