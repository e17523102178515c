"""Which labels predictions are held against: never another column, split or clip than meant."""

import json
from pathlib import Path

import pytest

from emo.score.readers.gold import Gold
from tests.score.make import make_run, write

CLIPS = [("a", 0.5), ("b", -0.25)]


@pytest.fixture
def sims(tmp_path):
    """The labels of SIMS: every column has other numbers."""
    rows = [(clip, 0, value, value + 1) for clip, value in CLIPS]
    return write(tmp_path / "gold.csv", "id,label,label_T,mood", *rows)


def scored(emo, *words):
    """``{name: (column, MAE or None)}``."""
    code, out, err = emo("score", *words, "--metric", "regression", "--json")
    assert out, err
    results = json.loads(out)["results"]
    return code, {one["predictions"]: (one["label"], one["scores"].get("mae")) for one in results}


def test_a_run_is_held_against_its_own_column_whatever_its_capitals(emo, sims, tmp_path):
    for target, column in (("label_T", "label_T"), ("label_t", "label_T"), ("Mood", "mood")):
        shift = column == "mood"
        run = make_run(tmp_path / target, target, *[(c, v + shift) for c, v in CLIPS])
        for words in ((), ("--target", target), ("--column", f"label={column}")):
            assert scored(emo, run, "--gold", sims, *words) == (0, {str(run): (column, 0.0)})


def test_a_column_as_spelled_comes_before_one_with_other_capitals(emo, tmp_path):
    gold = write(tmp_path / "g.csv", "id,LABEL,label", *[(c, 9, v) for c, v in CLIPS])
    run = make_run(tmp_path / "run", "label", *CLIPS)
    assert scored(emo, run, "--gold", gold)[1] == {str(run): ("label", 0.0)}


def test_every_run_of_a_folder_is_held_against_its_own_column(emo, sims, tmp_path):
    make_run(tmp_path / "runs" / "t", "label_T", *CLIPS)
    make_run(tmp_path / "runs" / "mood", "mood", *[(c, v + 1.5) for c, v in CLIPS])
    make_run(tmp_path / "runs" / "other", "arousal", *CLIPS)
    write(tmp_path / "runs" / "x.csv", "id,prediction", *[(c, 0.125) for c, _ in CLIPS])
    code, found = scored(emo, tmp_path / "runs", "--gold", sims)
    assert (code, found.pop("other")) == (3, (None, None))
    assert found == {"t": ("label_T", 0), "mood": ("mood", 0.5), "x.csv": ("label", 0.125)}
    _, out, _ = emo("score", tmp_path / "runs", "--gold", sims, "--metric", "regression")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0][:3] == ["rank", "predictions", "label"]
    assert lines[1][:3] == ["1", "t", "label_T"]
    assert "expected a column 'arousal'" in out


@pytest.mark.parametrize("header", ["id,label", "id,label,label_T", "id,Mood"])
def test_gold_without_the_column_of_a_run_is_refused_unless_it_is_named(emo, header, tmp_path):
    rows = [(c, *[v] * header.count(",")) for c, v in CLIPS]
    gold = write(tmp_path / "g.csv", header, *rows)
    run = make_run(tmp_path / "run", "arousal", *CLIPS)
    code, _, err = emo("score", run, "--gold", gold)
    assert (code, "expected a column 'arousal'" in err, "--column label=NAME" in err) == (1, 1, 1)
    column = header.split(",")[1]
    assert scored(emo, run, "--gold", gold, "--column", f"label={column}")[0] == 0
    write(tmp_path / "g.csv", "id,truth", *CLIPS)
    assert scored(emo, run, "--gold", gold)[1] == {str(run): ("truth", 0.0)}


def test_several_seeds_have_the_standard_deviation_of_a_sample(emo, sims, tmp_path):
    run = make_run(tmp_path / "run", "label_T", *CLIPS, seeds=2)  # mean absolute errors 0 and 1
    _, out, _ = emo("score", run, "--gold", sims, "--metric", "regression", "--json")
    (one,) = json.loads(out)["results"]
    assert (one["scores"]["mae"], one["seeds"]) == (0.5, 2)
    assert one["std"] == pytest.approx(0.5**0.5)


@pytest.mark.parametrize("cell", ["nan", "inf", "-Infinity", "joy"])
def test_a_label_that_is_no_number_is_named(emo, cell, tmp_path):
    write(tmp_path / "g.csv", "id,label", ("a", cell), ("b", 0.5))
    write(tmp_path / "p.csv", "id,prediction", *CLIPS)
    code, out, err = emo("score", "p.csv", "--gold", "g.csv", "--metric", "mosi", "--json")
    assert (code, out) == (1, "")
    assert f"clip 'a': expected a number as its label, got {cell!r}" in err


def test_a_split_is_scored_only_where_gold_has_splits(emo, sims, tmp_path):
    write(tmp_path / "p.csv", "id,prediction", *CLIPS)
    for split in ("val", "test", "dev"):
        code, out, err = emo("score", "p.csv", "--gold", sims, "--split", split)
        assert (code, out) == (1, "")
        assert f"--split {split}: expected a column split; found id, label, label_T, mood" in err
    assert scored(emo, "p.csv", "--gold", sims, "--split", "all")[0] == 0
    write(tmp_path / "g.csv", "id,split,label", ("a", "dev", 0.5), ("b", "test", 7))
    assert scored(emo, "p.csv", "--gold", "g.csv", "--split", "valid")[1]["p.csv"] == ("label", 0)


def test_gold_with_words_keeps_its_own_ids_but_for_runs(emo, tmp_path):
    rows = [(c, f"words {c}", v) for c, v in CLIPS]
    write(tmp_path / "g.csv", "Clip_ID,text,label", *rows)
    write(tmp_path / "p.csv", "clip_id,prediction", *CLIPS)
    assert scored(emo, "p.csv", "--gold", "g.csv") == (0, {"p.csv": ("label", 0.0)})
    write(tmp_path / "m.csv", "video,name,label", ("a", "Ross", 0.5), ("b", "Ross", -0.25))
    run = make_run(tmp_path / "run", "label", *CLIPS)
    assert scored(emo, run, "--gold", "m.csv") == (0, {str(run): ("label", 0.0)})


ONE = {"conversation_ID": 1, "conversation": [], "emotion-cause_pairs": [["1_joy", "1"]]}
HIDDEN = {"conversation_ID": 1, "conversation": [{"utterance_ID": 1, "text": "a", "speaker": "A"}]}
SPAN = {**HIDDEN, "emotion-cause_pairs": [["1_joy", "1_a"]]}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([HIDDEN], "conversation 1 has no emotion-cause_pairs"),
        ([1, 2], "expected {"),
        ([ONE, 2], "expected [{"),
        ([ONE, ONE], "conversation 1 occurs 2 times"),
        ([{**ONE, "emotion-cause_pairs": [[1]]}], "expected a pair like"),
        ([{**ONE, "emotion-cause_pairs": None}], "expected a list as emotion-cause_pairs"),
        ([{**ONE, "conversation_ID": [1]}], "expected [{"),
        ([{**ONE, "emotion-cause_pairs": [["1_joy", "1_a"]]}], "no text of utterance 1"),
        ([{**SPAN, "conversation": [{"text": "a"}]}], "KeyError('utterance_ID')"),
    ],
)
def test_gold_that_is_no_conversations_with_pairs_is_one_line(emo, document, message, tmp_path):
    (tmp_path / "gold.json").write_text(json.dumps(document))
    (tmp_path / "p.json").write_text(json.dumps([ONE]))
    code, out, err = emo("score", "p.json", "--gold", "gold.json")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "gold.json" in err
    assert message in err


def test_numbers_of_utterances_may_be_text(emo, tmp_path):
    said = [{"utterance_ID": "1", "text": "a", "speaker": "A"}]
    (tmp_path / "gold.json").write_text(json.dumps([{**SPAN, "conversation": said}]))
    (tmp_path / "p.json").write_text(
        json.dumps([{"conversation_ID": 1, "emotion-cause_pairs": [["1_joy", "1_0_1"]]}])
    )
    code, out, err = emo("score", "p.json", "--gold", "gold.json", "--json")
    assert code == 0, err
    assert json.loads(out)["results"][0]["scores"]["w_f1"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (("joy", "nan", "sad"), "label: 1 cell holds a word for a missing value: b 'nan'"),
        (("60%", "10%", "5%"), "3 cells are with a percent sign"),
        (("1", "0", "NA"), "1 cell is not a number of 3 filled: c 'NA'"),
    ],
)
def test_words_for_a_missing_label_are_refused_unless_the_metric_is_given(
    emo, tmp_path, cells, said
):
    rows = list(zip("abc", cells, strict=True))
    gold = write(tmp_path / "gold.csv", "id,label", *rows)
    file = write(tmp_path / "p.csv", "id,prediction", *rows)
    code, _, err = emo("score", file, "--gold", gold)
    assert code == 1
    assert said in err
    assert "--metric" in err
    assert emo("score", file, "--gold", gold, "--metric", "weighted_f1")[0] == 0
    run = make_run(tmp_path / "run", "label", *rows, task="classify", classes=sorted(set(cells)))
    assert emo("score", run, "--gold", gold)[0] == 0


def test_intervals_over_one_dialogue_are_over_clips():
    cells = {"a": "joy", "b": "fear"}
    one = Gold(Path("m.csv"), cells, together={"a": "d", "b": "d"}, together_by="dialogue")
    two = Gold(Path("m.csv"), cells, together={"a": "d", "b": ""}, together_by="dialogue")
    assert (one.drawn_over, two.drawn_over) == ("clip", "dialogue")
    assert Gold(Path("m.csv"), cells).drawn_over == "clip"
