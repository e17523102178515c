"""Which column of a stranger's file is read as prediction: never the gold labels beside it."""

import json

import pytest

from tests.score.make import make_run, write

GOLD = [("a", "joy"), ("b", "fear"), ("c", "joy"), ("d", "anger")]
WRONG = ["fear", "fear", "anger", "joy"]


@pytest.fixture
def gold(tmp_path):
    return write(tmp_path / "gold.csv", "id,label", *GOLD)


def scored(emo, *words):
    """The exit code, and each file's column of predictions, accuracy and error."""
    code, out, err = emo("score", *words, "--json")
    if not out:
        return code, err
    found = json.loads(out)["results"]
    return code, {
        one["predictions"]: (one["read"] and one["read"]["prediction"], one["scores"], one["error"])
        for one in found
    }


@pytest.mark.parametrize(
    "header",
    ["id,label,predicted_emotion", "id,label,Emotion Pred", "id,emotion,predictedEmotion",
     "id,class,y_pred", "id,answer,pred", "id,sentiment,label_predicted", "id,y_true,y_hat",
     "id,gold,model_output"],
)  # fmt: skip
def test_names_that_only_predictions_have_come_before_those_of_gold(emo, gold, header, tmp_path):
    rows = [(clip, label, wrong) for (clip, label), wrong in zip(GOLD, WRONG, strict=True)]
    write(tmp_path / "p.csv", header, *rows)
    code, found = scored(emo, "p.csv", "--gold", gold)
    assert code == 0, found
    column, scores, _ = found["p.csv"]
    assert (column, scores["accuracy"]) == (header.split(",")[2], 0.25)


@pytest.mark.parametrize(
    "header", ["id,label,emotion", "id,gold,label", "id,label,bert", "id,truth", "id,emotion,class",
               "id,pred_text,pred_audio"],
)  # fmt: skip
def test_a_name_that_gold_uses_too_is_refused_unless_it_stands_alone(emo, gold, header, tmp_path):
    names = header.split(",")[1:]
    rows = [(c, v, w)[: 1 + len(names)] for (c, v), w in zip(GOLD, WRONG, strict=True)]
    write(tmp_path / "p.csv", header, *rows)
    code, err = scored(emo, "p.csv", "--gold", gold)
    assert code == 1
    assert repr(names[0]) in err or names[0] in err
    assert "--column prediction=NAME" in err
    assert err.count("\n") == 1
    code, found = scored(emo, "p.csv", "--gold", gold, "--column", f"prediction={names[-1]}")
    assert (code, found["p.csv"][0]) == (0, names[-1])


@pytest.mark.parametrize(
    ("header", "more"),
    [("id,emotion", ()), ("id,split,seed,label", ("x", 0)), ("clip,text,label", ("so",)),
     ("id,label,score", None), ("id,label,confidence", None), ("id,label,joy,fear", None)],
)  # fmt: skip
def test_it_counts_alone_beside_ids_splits_seeds_and_probabilities(
    emo, gold, header, more, tmp_path
):
    names = header.split(",")
    rows = []
    for (clip, _), wrong in zip(GOLD, WRONG, strict=True):
        cells = (clip, *more, wrong) if more is not None else (clip, wrong, 0.25, 0.5)
        rows.append(cells[: len(names)])
    write(tmp_path / "p.csv", header, *rows)
    code, found = scored(emo, "p.csv", "--gold", gold)
    assert code == 0, found
    assert found["p.csv"][0] == ("emotion" if "emotion" in names else "label")
    assert found["p.csv"][1]["accuracy"] == 0.25


def test_probabilities_beside_labels_are_not_predictions(emo, gold, tmp_path):
    rows = [(clip, label, 0.7, 0.3) for clip, label in GOLD]
    write(tmp_path / "p.csv", "id,label,pred_joy,pred_fear", *rows)
    code, err = scored(emo, "p.csv", "--gold", gold)
    assert (code, "'pred_joy', 'pred_fear'" in err) == (1, True)


def test_numbers_of_gold_are_not_taken_for_predicted_numbers(emo, tmp_path):
    write(tmp_path / "g.csv", "id,label", ("a", 0.5), ("b", -1.5))
    write(tmp_path / "p.csv", "id,label,predicted_score", ("a", 0.5, 1.5), ("b", -1.5, 2.5))
    _, found = scored(emo, "p.csv", "--gold", "g.csv")
    assert (found["p.csv"][0], found["p.csv"][1]["mae"]) == ("predicted_score", 2.5)
    write(tmp_path / "p.csv", "id,label,score", ("a", 0.5, 1.5), ("b", -1.5, 2.5))
    code, err = scored(emo, "p.csv", "--gold", "g.csv")
    assert (code, "'label', 'score' may hold" in err) == (1, True)


def test_the_columns_that_were_read_are_printed(emo, gold, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "anna.csv", "id,prediction", *GOLD)
    write(folder / "ben.csv", "id,prediction", *GOLD)
    _, out, _ = emo("score", folder, "--gold", gold)
    assert "read: id from 'id', prediction from 'prediction' (2 files alike)" in out
    rows = [(clip, label, wrong) for (clip, label), wrong in zip(GOLD, WRONG, strict=True)]
    write(folder / "zoe.csv", "id,label,predicted_emotion", *rows)
    _, out, _ = emo("score", folder, "--gold", gold)
    ranks = [line.split()[:2] for line in out.splitlines()[1:4]]
    assert ranks == [["1", "anna.csv"], ["1", "ben.csv"], ["3", "zoe.csv"]]
    assert "- zoe.csv: id from 'id', prediction from 'predicted_emotion'" in out


def test_many_classes_are_not_all_printed(emo, tmp_path):
    rows = [(f"c{k}", f"class{k:04}") for k in range(1500)]
    write(tmp_path / "g.csv", "id,label", *rows)
    write(tmp_path / "p.csv", "id,prediction", *rows[:-1], ("c1499", "other"))
    code, err = scored(emo, "p.csv", "--gold", "g.csv")
    assert code == 1
    assert "class0000, class0001" in err
    assert "class0009 … (1,500 in all)" in err
    assert "class0010" not in err
    code, err = scored(emo, "p.csv", "--gold", "g.csv", "--classes", ",".join("abcdefghijklmn"))
    assert (code, "(14 in all)" in err) == (1, True)


SEVERAL = [("a", "joy|fear"), ("b", "fear"), ("c", "joy|sad"), ("d", "none")]


def test_labels_of_a_cell_have_no_order(emo, tmp_path):
    write(tmp_path / "g.csv", "id,label", *SEVERAL)
    write(tmp_path / "p.csv", "id,prediction", ("a", "fear|joy"), ("b", "fear"), ("c", "sad|joy"),
          ("d", "none"))  # fmt: skip
    code, out, err = emo("score", "p.csv", "--gold", "g.csv")
    assert code == 0, err
    assert "multilabel on 4 clips in g.csv; each label of a cell such as joy|fear counts" in out
    assert scored(emo, "p.csv", "--gold", "g.csv")[1]["p.csv"][1] == dict.fromkeys(
        ("micro_f1", "macro_f1", "weighted_f1", "accuracy"), 1.0
    )
    found = scored(emo, "p.csv", "--gold", "g.csv", "--metric", "macro_f1")[1]["p.csv"][1]
    assert next(iter(found)) == "macro_f1"
    code, err = scored(emo, "p.csv", "--gold", "g.csv", "--metric", "uar")
    assert (code, "not defined for several labels" in err) == (1, True)


def test_f1_is_over_labels_not_over_whole_cells(emo, tmp_path):
    from sklearn.metrics import f1_score

    names = ("fear", "joy", "sad")
    predicted = [("a", "fear"), ("b", "sad|fear"), ("c", "joy"), ("d", "sad")]
    write(tmp_path / "g.csv", "id,label", *SEVERAL)
    write(tmp_path / "p.csv", "id,prediction", *predicted)
    truth, guess = (
        [[name in cell.split("|") for name in names] for _, cell in rows]
        for rows in (SEVERAL, predicted)
    )
    found = scored(emo, "p.csv", "--gold", "g.csv")[1]["p.csv"][1]
    for average in ("micro", "macro", "weighted"):
        wanted = f1_score(truth, guess, average=average, zero_division=0)
        assert found[f"{average}_f1"] == pytest.approx(wanted)
    write(tmp_path / "p.csv", "id,prediction", *predicted[:3], ("d", "joy|happy"))
    code, err = scored(emo, "p.csv", "--gold", "g.csv")
    assert (code, "unknown class 'happy'" in err) == (1, True)


def test_a_run_is_scored_as_its_task_even_where_gold_has_single_labels(emo, tmp_path):
    write(tmp_path / "g.csv", "id,label", ("a", "joy"), ("b", "fear"))
    run = make_run(tmp_path / "run", "label", ("a", "joy|fear"), ("b", "fear"),
                   task="multilabel", classes=["fear", "joy"])  # fmt: skip
    code, found = scored(emo, run, "--gold", "g.csv")
    assert code == 0, found
    assert found[str(run)][1]["micro_f1"] == pytest.approx(0.8)
    write(tmp_path / "whole.csv", "id,label", ("a", "1"), ("b", "-2"))
    numbers = make_run(tmp_path / "numbers", "label", ("a", 0.5), ("b", -1.5))
    assert scored(emo, numbers, "--gold", "whole.csv")[1][str(numbers)][1]["mae"] == 0.5


def test_classes_that_gold_lacks_are_allowed_when_the_run_knows_them_or_with_open(emo, tmp_path):
    write(tmp_path / "g.csv", "id,label", ("a", "joy"), ("b", "fear"))
    rows = [("a", "joy"), ("b", "sad")]
    run = make_run(
        tmp_path / "run", "label", *rows, task="classify", classes=["fear", "joy", "sad"]
    )
    code, found = scored(emo, run, "--gold", "g.csv")
    assert code == 0, found
    assert found[str(run)][1]["accuracy"] == 0.5
    assert found[str(run)][1]["macro_f1"] == pytest.approx(1 / 3)
    write(tmp_path / "p.csv", "id,prediction", *rows)
    code, err = scored(emo, "p.csv", "--gold", "g.csv")
    assert (code, "unknown class 'sad'" in err, "--open" in err) == (1, True, True)
    assert scored(emo, "p.csv", "--gold", "g.csv", "--open")[1]["p.csv"][1]["accuracy"] == 0.5
