"""`--column` of a fit is kept in its run: the same manifest is read in the same way again."""

import json

import pytest

LETTERS = "tests.make_backbone:Letters"
WORDS = {"happy": "yes so good", "sad": "oh no so bad"}
NAMES = ["id=Uid", "text=Said", "label=Emotion", "split=Part"]


@pytest.fixture
def fitted(emo, tmp_path):
    """A manifest whose columns have other names, and a run on it."""
    lines = ["Uid,Said,Emotion,Part,Guess"]
    for k in range(60):
        label = ("happy", "sad")[k % 2]
        split = ("train", "train", "train", "val", "test")[k % 5]
        lines.append(f"u{k},{WORDS[label]} {'ab'[k % 2] * (k % 7 + 1)},{label},{split},happy")
    (tmp_path / "m.csv").write_text("\n".join(lines) + "\n")
    typed = [word for name in NAMES for word in ("--column", name)]
    assert emo("extract", "m.csv", *typed, "--backbone", LETTERS)[0] == 0
    code, _, err = emo("fit-head", "m.csv", *typed, "--head", "linear", "--out", "run")
    assert (code, err) == (0, "")
    return tmp_path


def test_the_run_says_how_its_manifest_was_read(fitted):
    kept = json.loads((fitted / "run" / "run.json").read_text())["manifest"]["columns"]
    assert kept == dict(name.split("=") for name in NAMES)


def test_the_same_manifest_needs_no_column_again(emo, fitted):
    words = ["predict", "run", "--features", "features", "--manifest"]
    assert emo(*words, "m.csv", "--out", "p.csv")[0] == 0
    (fitted / "copy.csv").write_bytes((fitted / "m.csv").read_bytes())
    assert emo(*words, "copy.csv", "--out", "q.csv")[0] == 0
    assert (fitted / "p.csv").read_bytes() == (fitted / "q.csv").read_bytes()
    code, out, err = emo("score", "run", "--gold", "m.csv", "--json")
    assert (code, err) == (0, "")
    ours = json.loads((fitted / "run" / "run.json").read_text())["metrics"]["test"]["mean"]
    scores = json.loads(out)["results"][0]["scores"]
    assert scores["weighted_f1"] == pytest.approx(ours["weighted_f1"])


def test_another_manifest_is_read_as_it_is(emo, fitted):
    text = (fitted / "m.csv").read_text() + "u60,oh no,sad,test,sad\n"
    (fitted / "longer.csv").write_text(text)
    code, _, err = emo("predict", "run", "--features", "features", "--manifest", "longer.csv")
    assert (code, "'Said'" in err) == (1, True)
    rest = text.partition("\n")[2]
    (fitted / "ours.csv").write_text("id,text,label,split,Guess\n" + rest)
    words = ["predict", "run", "--features", "features", "--manifest", "ours.csv"]
    assert emo(*words)[0] == 3  # the last clip is not in the store
    assert emo("score", "run", "--gold", "ours.csv")[0] == 1  # nor in the run


@pytest.mark.parametrize("given", ["label=Guess", "label=Emotion"])
def test_what_is_typed_goes_before_what_was_kept(emo, fitted, given):
    code, out, err = emo("score", "run", "--gold", "m.csv", "--column", given, "--classes",
                         "happy,sad", "--metric", "accuracy", "--json")  # fmt: skip
    assert (code, err) == (0, "")
    assert (json.loads(out)["results"][0]["scores"]["accuracy"] < 0.8) == (given == "label=Guess")
    words = ["predict", "run", "--features", "features", "--manifest", "m.csv"]
    code, _, err = emo(*words, "--column", "id=Sayd")
    assert (code, "'Sayd'; did you mean 'Said'" in err) == (1, True)


def test_a_run_of_before_columns_were_kept_opens(emo, fitted):
    document = json.loads((fitted / "run" / "run.json").read_text())
    del document["manifest"]["columns"]
    (fitted / "run" / "run.json").write_text(json.dumps(document))
    words = ["predict", "run", "--features", "features", "--manifest", "m.csv"]
    assert emo(*words)[0] == 1
    typed = [word for name in NAMES for word in ("--column", name)]
    assert emo(*words, *typed)[0] == 0
    assert emo("compare", "run")[0] == 0
