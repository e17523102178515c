"""Anybody's predictions, a teacher's folder, and what is said of files that cannot be scored."""

import json
import shutil
import subprocess
import sys
import time

import pytest

from tests.make_batches import learnable, make_store
from tests.score.make import write

GOLD = [("a", "joy"), ("b", "fear"), ("c", "joy")]
RIGHT = {"a": "joy", "b": "fear", "c": "joy"}


@pytest.fixture
def gold(tmp_path):
    return write(tmp_path / "gold.csv", "id,label", *GOLD)


def accuracy(emo, *words):
    code, out, err = emo("score", *words, "--metric", "accuracy", "--json")
    assert code == 0, err
    return json.loads(out)["results"][0]["scores"]["accuracy"]


def test_columns_are_found_by_usual_names_order_and_extra_clips_do_not_matter(emo, gold, tmp_path):
    rows = [("c", "joy"), ("z", "sad"), ("a", "joy"), ("b", "joy")]
    for header in ("id,prediction", "Clip_ID,Predicted", "file,emotion", "key,whatever"):
        write(tmp_path / "p.csv", header, *rows)
        assert accuracy(emo, "p.csv", "--gold", gold) == pytest.approx(2 / 3)
    write(tmp_path / "p.csv", "who,x,y", *[(i, 0, v) for i, v in rows])
    columns = ("--column", "id=who", "--column", "prediction=y")
    assert accuracy(emo, "p.csv", "--gold", gold, *columns) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "document",
    [RIGHT, [{"id": k, "prediction": v} for k, v in RIGHT.items()],
     [{"name": k, "pred": v, "p": 0.5} for k, v in RIGHT.items()]],
)  # fmt: skip
def test_json_is_a_mapping_or_a_list(emo, gold, tmp_path, document):
    (tmp_path / "p.json").write_text(json.dumps(document))
    assert accuracy(emo, "p.json", "--gold", gold) == 1


BROKEN = {
    "missing": ("id,prediction\na,joy\nc,joy\n", "1 of 3 clips are not predicted, the first: 'b'"),
    "other ids": ("id,prediction\nx1,joy\n", "the first: 'a'; gold does not have 'x1'"),
    "twice": ("id,prediction\na,joy\nb,joy\na,joy\nc,joy\n", "'a' occurs twice: row 2 and row 4"),
    "class": ("id,prediction\na,happy\nb,fear\nc,joy\n",
              "row 2, clip 'a': unknown class 'happy'; expected one of fear, joy"),
    "column": ("id,x,y\na,1,2\n", "expected a column prediction or predicted"),
    "no id": ("id,prediction\n,joy\n", "row 2: no id"),
    "torn": ("id,prediction\na\n", "row 2: expected 2 cells"),
    "empty": ("", "expected a column id"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_named_in_one_line(name, emo, gold, tmp_path):
    text, message = BROKEN[name]
    (tmp_path / "p.csv").write_text(text)
    code, out, err = emo("score", "p.csv", "--gold", gold)
    assert (code, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1


def test_numbers_must_be_numbers(emo, tmp_path):
    write(tmp_path / "gold.csv", "id,label", ("a", "0.5"), ("b", "-1"))
    write(tmp_path / "p.csv", "id,prediction", ("a", "0.5"), ("b", "nan"))
    code, _, err = emo("score", "p.csv", "--gold", "gold.csv")
    assert code == 1
    assert "row 3, clip 'b': expected a number in 'prediction', got 'nan'" in err
    write(tmp_path / "p.csv", "id,prediction", ("a", "0.5"), ("b", "-2"))
    code, out, _ = emo("score", "p.csv", "--gold", "gold.csv")
    expected = (
        "predictions MAE Pearson p.csv 0.500 1.000 regression on 2 clips in gold.csv "
        "read: id from 'id', prediction from 'prediction'; label of gold.csv from 'label'"
    )
    assert " ".join(out.split()) == expected


def test_wrong_options_are_named(emo, gold, tmp_path):
    write(tmp_path / "p.csv", "id,prediction", *GOLD)
    for words, message in [
        (("--metric", "wf1"), "unknown metric 'wf1'"),
        (("--metric", "mosi"), "expected a number as its label, got 'joy'"),
        (("--metric", "semeval2024-2"), "needs the JSON of conversations"),
        (("--classes", "joy,sad"), "'b' is labelled 'fear', which is none of --classes"),
        (("--classes", "joy"), "expected several different classes"),
        (("--split", "test"), "--split test: expected a column split"),
    ]:
        code, _, err = emo("score", "p.csv", "--gold", gold, *words)
        assert code == 1
        assert message in err
    code, _, err = emo("score", "p.csv", "--gold", gold, "--column", "x=y")
    assert code == 2


def test_a_manifest_is_gold_of_its_test_split_by_its_own_ids(emo, tmp_path):
    rows = [("hi", "test", 1, 0, "joy"), ("no", "test", 1, 1, "fear"), ("so", "train", 2, 0, "joy")]
    write(tmp_path / "m.csv", "text,split,dialogue,turn,Emotion", *rows)
    write(tmp_path / "p.csv", "id,prediction", ("test/1/0", "joy"), ("test/1/1", "joy"))
    assert accuracy(emo, "p.csv", "--gold", "m.csv") == 0.5
    _, _, err = emo("score", "p.csv", "--gold", "m.csv", "--split", "all")
    assert "1 of 3 clips are not predicted, the first: 'train/2/0'" in err


def test_a_teachers_folder_is_ranked_and_broken_files_say_why(emo, gold, tmp_path):
    folder = tmp_path / "handed-in"
    folder.mkdir()
    for k in range(28):
        rows = [(i, v if k % 4 > place else "joy") for place, (i, v) in enumerate(GOLD)]
        write(folder / f"team{k:02}.csv", "id,prediction", *rows)
    (folder / "late.csv").write_text(BROKEN["class"][0])
    (folder / "torn.json").write_text('{"a": "joy", ')
    (folder / "report.pdf").write_bytes(b"%PDF")
    code, out, err = emo("score", folder, "--gold", gold)
    assert code == 3, err
    lines = out.splitlines()
    ranks = [line.split()[0] for line in lines[1:32]]
    assert ranks == ["1"] * 14 + ["15"] * 14 + ["–"] * 3
    assert lines[1].split()[1] == "team02.csv"
    assert "late.csv" in lines[29]
    assert lines[33].startswith("- late.csv: ")
    assert "row 2, clip 'a': unknown class 'happy'" in lines[33]
    assert lines[34].startswith("- report.pdf: expected a table (.csv ")
    assert "- torn.json" in lines[35]
    assert "not JSON" in lines[35]
    document = json.loads(emo("score", folder, "--gold", gold, "--json")[1])
    assert [one["rank"] for one in document["results"]] == [1] * 14 + [15] * 14 + [None] * 3


def test_broken_conversations_are_one_line(emo, tmp_path):
    gold = [{"conversation_ID": 1, "conversation": [], "emotion-cause_pairs": [["1_joy", "1"]]}]
    (tmp_path / "gold.json").write_text(json.dumps(gold))
    pair = {"conversation_ID": 1, "emotion-cause_pairs": [["1_joy", "1"]]}
    for document, message in [
        ({}, "expected [{"),
        ([pair, pair], "conversation 1 occurs 2 times"),
        ([{**pair, "emotion-cause_pairs": [["1_happy", "1"]]}], "unknown emotion 'happy'"),
        ([{**pair, "emotion-cause_pairs": [["joy", "x"]]}], "joy"),
        ([{**pair, "emotion-cause_pairs": [[1]]}], "expected a pair like"),
        ([{**pair, "conversation_ID": 2}], "1 conversations are not predicted"),
    ]:
        (tmp_path / "p.json").write_text(json.dumps(document))
        code, _, err = emo("score", "p.json", "--gold", "gold.json")
        assert code == 1
        assert message in err


def test_score_imports_neither_torch_nor_pandas_and_starts_fast(gold, tmp_path):
    write(tmp_path / "p.csv", "id,prediction", *GOLD)
    words = ["score", str(tmp_path / "p.csv"), "--gold", str(gold)]
    code = (
        f"import sys; from emo.cli import app; app({words!r}, standalone_mode=False);"
        "print([m for m in ('torch', 'pandas', 'zarr', 'sklearn') if m in sys.modules])"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert time.monotonic() - began < 5


def test_an_unknown_class_among_many_is_refused_in_a_short_line(emo, tmp_path):
    rows = [(f"c{number}", f"k{number:04}") for number in range(1500)]
    gold = write(tmp_path / "gold.csv", "id,label", *rows)
    predicted = write(tmp_path / "p.csv", "id,prediction", *rows[:-1], ("c1499", "odd"))
    code, _, err = emo("score", predicted, "--gold", gold)
    assert code == 1
    assert "unknown class 'odd'; expected one of k0000, k0001, " in err
    assert "k0009 … (1,500 in all)" in err
    assert len(err) < 400


def test_every_file_of_a_folder_has_a_row_and_classes_may_stand_in_any_order(emo, gold, tmp_path):
    folder = tmp_path / "handed-in"
    folder.mkdir()
    write(folder / "ann.csv", "p_joy,prediction,p_fear,id", *[
        (0.9, "joy", 0.1, "a"), (0.2, "fear", 0.8, "b"), (0.7, "joy", 0.3, "c"),
    ])  # fmt: skip
    write(folder / "bob.csv", "id,prediction,p_fear,p_joy", *[
        ("c", "joy", 0.1, 0.9), ("b", "joy", 0.2, 0.8), ("a", "joy", 0.3, 0.7),
    ])  # fmt: skip
    for name in ("cut.csv", "cut.json", "cut.jsonl", "cut.parquet", "cut.xlsx", "note.txt"):
        (folder / name).write_bytes(b"\x00\xffPK\x03\x04 not this")
    (folder / "gone.csv").symlink_to(tmp_path / "nowhere.csv")
    (folder / "noname").write_text("joy")
    (folder / ".DS_Store").write_bytes(b"\x00")
    code, out, err = emo("score", "handed-in", "--gold", gold, "--metric", "accuracy", "--json")
    assert code == 3, err
    results = {one["predictions"]: one for one in json.loads(out)["results"]}
    assert set(results) == {
        "ann.csv", "bob.csv", "cut.csv", "cut.json", "cut.jsonl", "cut.parquet", "cut.xlsx",
        "note.txt", "gone.csv", "noname",
    }  # fmt: skip
    assert results["ann.csv"]["scores"]["accuracy"] == 1
    assert results["bob.csv"]["scores"]["accuracy"] == pytest.approx(2 / 3)
    bad = {name: one["error"] for name, one in results.items() if one["rank"] is None}
    assert len(bad) == 8
    for name, reason in bad.items():
        assert reason, name
        assert "\n" not in reason, name
        assert not reason.endswith(")") or "Error(" not in reason, reason
    code, out, err = emo("score", "handed-in", "--gold", gold)
    assert all(f"- {name}: " in out for name in bad)


def test_folders_that_are_no_runs_are_named(emo, gold, tmp_path):
    """A student who hands in a folder is not left out without a word."""
    folder = tmp_path / "handed-in"
    for name in ("eve", "two", ".git"):
        (folder / name).mkdir(parents=True)
        write(folder / name / "mine.csv", "id,prediction", *RIGHT.items())
    code, _, err = emo("score", folder, "--gold", gold)
    assert code == 1
    assert "its folders were not read: eve, two; give one of them" in err
    write(folder / "ann.csv", "id,prediction", *RIGHT.items())
    code, out, err = emo("score", folder, "--gold", gold)
    assert (code, "2 folders not read: eve, two; move" in out) == (0, True), out + err
    document = json.loads(emo("score", folder, "--gold", gold, "--json")[1])
    assert document["folders_not_read"] == ["eve", "two"]


def test_a_run_that_cut_its_own_test_is_scored_on_it(emo, tmp_path):
    labels, tokens = learnable(60, streams=("a",))
    make_store(tmp_path / "f", tokens)
    rows = [(f"c{row}", "x", label) for row, label in enumerate(labels)]
    write(tmp_path / "m.csv", "id,text,label", *rows)
    fit = ("fit-head", "m.csv", "--features", "f", "--head", "mean_pool", "--epochs", "1")
    assert emo(*fit, "--out", "r")[0] == 0
    inside = json.loads((tmp_path / "r/run.json").read_text())["metrics"]

    def scored(*more):
        code, out, err = emo("score", "r", "--gold", "m.csv", *more, "--json")
        assert code == 0, err
        document = json.loads(out)
        return document["clips"], document["results"][0]["scores"]["weighted_f1"]

    tested = scored()
    assert tested == scored("--split", "test")
    assert tested[1] == pytest.approx(inside["test"]["mean"]["weighted_f1"], abs=1e-4)
    assert scored("--split", "val")[1] == pytest.approx(
        inside["val"]["mean"]["weighted_f1"], abs=1e-4
    )
    every = scored("--split", "all")
    assert (every[0], tested[0] < 20) == (60, True)
    assert every[1] != tested[1]
    _, out, _ = emo("score", "r", "--gold", "m.csv")
    assert "m.csv has no splits, so the run's own test is scored" in out
    _, out, _ = emo("score", "r", "--gold", "m.csv", "--split", "all")
    assert "the run was fitted on" in out
    assert "of these 60 clips" in out
    (tmp_path / "runs").mkdir()
    for name in "ab":
        shutil.copytree(tmp_path / "r", tmp_path / "runs" / name)
    _, out, _ = emo("score", "runs", "--gold", "m.csv")
    assert out.count("the run was fitted on") == 2
    predict = ("predict", "r", "--manifest", "m.csv", "--features", "f", "--out", "p.csv")
    assert "the run was fitted on" in emo(*predict)[1]
    code, _, err = emo("score", "p.csv", "--gold", "m.csv", "--split", "test")
    assert (code, "expected a column split" in err) == (1, True)


def test_splits_of_gold_come_before_those_of_a_run(emo, tmp_path):
    labels, tokens = learnable(30, streams=("a",))
    make_store(tmp_path / "f", tokens)
    splits = ["train"] * 15 + ["val"] * 9 + ["test"] * 6
    rows = [(f"c{row}", "x", label, splits[row]) for row, label in enumerate(labels)]
    write(tmp_path / "m.csv", "id,text,label,split", *rows)
    fit = ("fit-head", "m.csv", "--features", "f", "--head", "mean_pool", "--epochs", "2")
    assert emo(*fit, "--out", "r")[0] == 0
    _, out, _ = emo("score", "r", "--gold", "m.csv")
    assert "on 6 clips of split test in m.csv" in out
    assert "the run" not in out
    write(tmp_path / "new.csv", "id,text,label", *[row[:3] for row in rows[-6:]])
    _, out, _ = emo("score", "r", "--gold", "new.csv")
    assert "on 6 clips of split test in new.csv" in out
