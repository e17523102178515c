"""`emo score --metric retrieval` and --by: golden values, ALPRO's files, what is refused."""

import csv
import json

import numpy as np
import pytest

from tests.heads.metrics.test_retrieval import CASES
from tests.score.make import GOLDEN, needs_golden, read, write

RETRIEVAL = ("--metric", "retrieval", "--json")


def result(emo, *words):
    code, out, err = emo("score", *words)
    assert code == 0, err
    return json.loads(out)["results"][0]


def files_of(case, folder):
    arrays = np.load(GOLDEN / "retrieval" / "retrieval.npz")
    scores, truth = arrays[case].tolist(), arrays[f"{case}__video_of_text"].tolist()
    write(
        folder / "captions.csv", "id,text,clip",
        *((f"t{k}", f"text {k}", f"v{clip}") for k, clip in enumerate(truth)),
    )  # fmt: skip
    rows = [
        (f"t{q}", f"v{i}", repr(score)) for q, row in enumerate(scores) for i, score in
        enumerate(row)
    ]  # fmt: skip
    write(folder / "S.csv", "query,item,score", *rows)
    names = [[f"t{k}" for k in range(len(scores))], [f"v{k}" for k in range(len(scores[0]))]]
    np.savez(folder / "S.npz", scores=arrays[case], queries=names[0], items=names[1])
    entries = [{"vid_id": i, "txt_id": q, "score": float(score)} for q, i, score in rows]
    (folder / "results.json").write_text(json.dumps(entries))


@needs_golden
@pytest.mark.parametrize("case", CASES)
def test_scores_of_a_table_are_the_golden_ones(case, emo, tmp_path):
    files_of(case, tmp_path)
    rule = read(GOLDEN / "retrieval" / "retrieval.json")["cases"][case]["expected"]["rule"]
    own = result(emo, "S.csv", "--gold", "captions.csv", *RETRIEVAL)
    grouped = result(
        emo, "S.npz", "--gold", "captions.csv", *RETRIEVAL, "--video-to-text", "grouped"
    )
    if case != "square_200":  # the largest is read once
        alpro = result(emo, "results.json", "--gold", "captions.csv", *RETRIEVAL)
        assert alpro["scores"] == own["scores"]
    kinds = (
        (own, "", "text2video"), (own, "v2t_", "video2text"),
        (grouped, "v2t_grouped_", "video2text_grouped"),
    )  # fmt: skip
    for found, mark, name in kinds:
        expected = rule.get(name) or rule["video2text"]
        for k in (1, 5, 10):
            share = 100 * found["scores"][f"{mark}r@{k}"]
            assert share == pytest.approx(expected[f"R@{k}"], abs=1e-9)
        assert found["scores"][f"{mark}medr"] == expected["MedR"]
        assert found["scores"][f"{mark}meanr"] == pytest.approx(expected["MeanR"], abs=1e-9)
    tied = rule["text2video"]["tied"]
    assert f"ties with a wrong one: {tied}" in own["notes"][0]
    low, high = own["interval"]["r@1"]
    assert low <= own["scores"]["r@1"] <= high


@pytest.fixture
def small(tmp_path):
    write(
        tmp_path / "captions.csv", "id,text,clip,split",
        *((f"t{k}", "words", f"v{k}", "test") for k in range(3)), ("t9", "words", "v0", "train"),
    )  # fmt: skip
    rows = [(f"t{q}", f"v{i}", float(q == i)) for q in range(3) for i in range(3)]
    write(tmp_path / "S.csv", "query,item,score", *rows)
    return rows


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows[:-1], "query 't2' has no score for item 'v2'"),
        (lambda rows: [*rows, rows[0]], "query 't0' has several scores for item 'v0'"),
        (lambda rows: [("t0", "v0", "nan"), *rows[1:]], "row 2: score 'nan' is not finite"),
        (lambda rows: [("t0", "v0", "high"), *rows[1:]], "row 2: score 'high' is no number"),
        (lambda rows: [(q.upper(), i, s) for q, i, s in rows], "no query of captions.csv"),
    ],
)
def test_tables_that_cannot_be_ranked_are_refused(change, said, emo, small, tmp_path):
    write(tmp_path / "S.csv", "query,item,score", *change(small))
    code, _, err = emo("score", "S.csv", "--gold", "captions.csv", "--metric", "retrieval")
    assert code == 1
    assert said in err


def test_what_is_left_out_is_counted(emo, small, tmp_path):
    rows = [row for row in small if "1" not in row[0] + row[1]]
    write(tmp_path / "S.csv", "query,item,score", *rows, ("t7", "v0", 1), ("t7", "v2", 0))
    found = result(emo, "S.csv", "--gold", "captions.csv", *RETRIEVAL)
    assert found["scores"]["r@1"] == 1
    assert found["notes"][1].startswith("1 of 3 queries in captions.csv have no score")
    assert found["notes"][2].startswith("1 queries of the file are left out")
    code, out, _ = emo("score", "S.csv", "--gold", "captions.csv", "--metric", "retrieval")
    assert code == 0
    assert "retrieval on 3 queries of split test in captions.csv" in out
    assert "95 % interval, drawn by item: R@1 1.000 to 1.000" in out


def test_files_in_a_folder_are_ranked(emo, small, tmp_path):
    folder = tmp_path / "all"
    folder.mkdir()
    write(folder / "good.csv", "query,item,score", *small)
    write(folder / "bad.csv", "query,item,score", *[(q, i, -s) for q, i, s in small])
    write(folder / "torn.csv", "query,item,score", *small[1:])
    code, out, _ = emo("score", "all", "--gold", "captions.csv", *RETRIEVAL)
    assert code == 3
    names = [one["predictions"] for one in json.loads(out)["results"]]
    assert names == ["good.csv", "bad.csv", "torn.csv"]


@needs_golden
def test_accuracy_by_question_word_is_the_golden_one(emo, tmp_path):
    rule = read(GOLDEN / "retrieval" / "qa.json")["rule"]
    rows = [*csv.DictReader((GOLDEN / "retrieval" / "qa.csv").read_text("utf-8").splitlines())]
    words = ("--gold", "q.csv", "--metric", "accuracy", "--open", "--by", "question_word")
    names = ("id", "question", "answer")
    write(tmp_path / "q.csv", ",".join(names), *([row[n] for n in names] for row in rows))
    write(tmp_path / "p.csv", "id,prediction", *((row["id"], row["prediction"]) for row in rows))
    found = result(emo, "p.csv", *words, "--json")
    assert found["scores"]["accuracy"] == pytest.approx(rule["accuracy"], abs=1e-12)
    by = {
        word: {"questions": each["rows"], "right": round(each["rows"] * each["accuracy"])}
        for word, each in found["by"].items()
    }
    assert by == rule["by_word"]
    code, out, _ = emo("score", "p.csv", *words)
    assert code == 0
    assert "question_word  rows" in out

    # ALPRO's file, padded by five questions, with answers as numbers
    answers = sorted({row["prediction"] for row in rows})
    (tmp_path / "ans2label.json").write_text(json.dumps({a: k for k, a in enumerate(answers)}))
    entries = [
        {"question_id": int(row["id"]), "answer": answers.index(row["prediction"]), "data": row}
        for row in rows
    ]
    (tmp_path / "results_all.json").write_text(json.dumps(entries + entries[:5]))
    padded = ("results_all.json", *words, "--json", "--answers", "ans2label.json")
    again = result(emo, *padded)
    assert again["by"] == found["by"]
    assert again["notes"][0].startswith("5 of 208 entries repeat a question")
    code, _, err = emo("score", *padded[:-2])
    assert code == 1
    assert "give the file with the numbers of the answers" in err


def test_by_takes_any_column_and_an_unknown_one_is_refused(emo, tmp_path):
    write(
        tmp_path / "g.csv", "id,label,speaker", ("a", "x", "ann"), ("b", "y", ""), ("c", "x", "ann")
    )
    write(tmp_path / "p.csv", "id,prediction", ("a", "x"), ("b", "x"), ("c", "y"))
    words = ("p.csv", "--gold", "g.csv", "--metric", "accuracy", "--json", "--by")
    found = result(emo, *words, "speaker")
    ann = found["by"]["ann"]
    assert (ann["rows"], ann["share"], ann["accuracy"]) == (2, pytest.approx(2 / 3), 0.5)
    assert [*found["by"]] == ["ann", ""]  # as in run.json
    code, out, _ = emo("score", *(word for word in words if word != "--json"), "speaker")
    assert code == 0
    assert [line.split()[:3] for line in out.splitlines() if line.startswith("–")] == [
        ["–", "1", "0.333"]
    ]
    code, _, err = emo("score", *words, "speakr")
    assert code == 1
    assert "'speakr'" in err
    assert "speaker" in err


def test_open_counts_missing_predictions_as_wrong(emo, tmp_path):
    write(tmp_path / "g.csv", "id,answer", ("a", "x"), ("b", "y"), ("c", "x"), ("d", "z"))
    write(tmp_path / "p.csv", "id,prediction", ("a", "x"), ("b", "y"), ("c", ""))
    words = ("p.csv", "--gold", "g.csv", "--metric", "accuracy", "--json")
    for more in ((), ("--classes", "x,y,z")):
        found = result(emo, *words, "--open", *more)
        assert found["scores"]["accuracy"] == 0.5
        assert found["notes"] == [
            "2 of 4 rows in g.csv have no prediction, and count as wrong (--open)"
        ]
    assert found["scores"]["macro_f1"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    code, _, err = emo("score", *words)
    assert code == 1
    assert "1 of 4 clips are not predicted, the first: 'd'; --open counts them" in err
    write(tmp_path / "p.csv", "id,prediction", ("q", "x"))
    code, _, err = emo("score", *words, "--open")
    assert code == 1
    assert "none of the 4 clips of g.csv is predicted" in err
