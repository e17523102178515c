"""The files for SemEval-2024 Task 3 from a run: complete, by its rules, and scored the same."""

import json

import numpy as np
import pytest

from emo.errors import ScoreError
from emo.score.submit import check_pairs
from emo.store import PartWriter, Recipe, Store, StreamSpec

EMOTIONS = ("joy", "anger", "neutral")


def conversations(first, count):
    """Joy is caused by the turn before, anger by itself."""
    found = []
    for number in range(first, first + count):
        emotions = [EMOTIONS[(number + turn) % 3] for turn in range(1, 5)]
        pairs = [
            [f"{turn}_{e}", str(max(1, turn - (e == "joy")))]
            for turn, e in enumerate(emotions, start=1)
            if e != "neutral"
        ]
        said = [
            {"utterance_ID": turn, "text": f"{e} {number}", "speaker": "A", "emotion": e}
            for turn, e in enumerate(emotions, start=1)
        ]
        one = {"conversation_ID": number, "conversation": said, "emotion-cause_pairs": pairs}
        found.append(one)
    return found


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with the JSON of three splits, their manifest, and a store of one-hot emotions."""
    folder = tmp_path_factory.mktemp("semeval")
    parts = {"train": conversations(1, 12), "val": conversations(1, 3), "test": conversations(5, 4)}
    for split, found in parts.items():
        (folder / f"{split}.json").write_text(json.dumps(found))
    recipe = Recipe("toy", {"text": StreamSpec(3, "float32")})
    store = Store.create(folder / "features").add_recipe("toy", recipe)
    with PartWriter(store.path, recipe) as part:
        for split, found in parts.items():
            for one in found:
                for said in one["conversation"]:
                    clip_id = f"{split}/{one['conversation_ID']}/{said['utterance_ID']}"
                    values = np.eye(3)[EMOTIONS.index(said["emotion"])][None]
                    part.add(clip_id, {"text": values})
    return folder


@pytest.fixture
def fitted(work, emo, monkeypatch):
    monkeypatch.chdir(work)
    if not (work / "run").exists():
        splits = [word for s in ("train", "val", "test") for word in ("--split", f"{s}={s}.json")]
        assert emo("manifest", "semeval", *splits, "--out", "m.csv")[0] == 0
        code, _, err = emo(
            "fit-head", "m.csv", "--head", "joint", "--target", "emotion", "--target", "cause",
            "--task", "cause=pairs", "--epochs", 30, "--seeds", 2, "--out", "run",
        )  # fmt: skip
        assert code == 0, err
    return work


def test_the_file_is_complete_and_scores_as_the_run_does(fitted, emo):
    code, out, err = emo("submit", "semeval2024", "run", "--out", "sub")
    assert code == 0, err
    assert "Subtask_1_pred.json: not written" in out
    found = json.loads((fitted / "sub" / "Subtask_2_pred.json").read_text())
    assert [one["conversation_ID"] for one in found] == [5, 6, 7, 8]
    assert all(one.keys() == {"conversation_ID", "emotion-cause_pairs"} for one in found)
    scores = []
    for predictions in ("sub/Subtask_2_pred.json", "run"):
        code, out, err = emo("score", predictions, "--gold", "test.json", "--json")
        assert code == 0, err
        scores.append(json.loads(out)["results"][0]["scores"])
    assert scores[0] == scores[1]
    assert scores[0]["w_f1"] > 0.5
    run = json.loads((fitted / "run" / "run.json").read_text())
    ours = run["metrics_of_others"]["cause"]["test"]["seeds"][str(run["kept"]["seed"])]
    assert scores[0]["w_f1"] == pytest.approx(ours["weighted_f1"], abs=1e-6)


def test_columns_under_other_names_are_those_of_the_fit(fitted, emo):
    header, _, rows = (fitted / "m.csv").read_text().partition("\n")
    (fitted / "named.csv").write_text(f"{header.replace('dialogue', 'talk')}\n{rows}")
    code, _, err = emo(
        "fit-head", "named.csv", "--column", "dialogue=talk", "--head", "joint",
        "--target", "emotion", "--target", "cause", "--task", "cause=pairs", "--epochs", 30,
        "--seeds", 2, "--out", "named",
    )  # fmt: skip
    assert code == 0, err
    for run in ("named", "run"):
        assert emo("submit", "semeval2024", run, "--out", f"of-{run}")[0] == 0
    files = [(fitted / f"of-{run}" / "Subtask_2_pred.json").read_text() for run in ("named", "run")]
    assert files[0] == files[1]


def test_conversations_without_labels_are_predicted_and_submitted(fitted, emo):
    hidden = json.loads((fitted / "test.json").read_text())
    for one in hidden:
        del one["emotion-cause_pairs"]
        for said in one["conversation"]:
            del said["emotion"]
    (fitted / "hidden.json").write_text(json.dumps(hidden))
    code, _, err = emo("manifest", "semeval", "--split", "test=hidden.json", "--out", "hidden.csv")
    assert code == 0, err
    predicted = emo("predict", "run", "--manifest", "hidden.csv", "--features", "features")
    assert predicted[0] == 0, predicted[2]
    words = ("submit", "semeval2024", "run", "--manifest", "hidden.csv")
    code, _, err = emo(*words, "--predictions", "predictions.csv", "--out", "blind")
    assert code == 0, err
    assert emo("submit", "semeval2024", "run", "--out", "sub")[0] == 0
    files = [(fitted / name / "Subtask_2_pred.json").read_text() for name in ("blind", "sub")]
    assert json.loads(files[0]) == json.loads(files[1])


def test_a_run_is_scored_on_its_clips_by_its_manifest(fitted, emo):
    code, out, err = emo("score", "run", "--gold", "m.csv", "--json")
    assert code == 0, err
    document = json.loads(out)
    (result,) = document["results"]
    assert (document["clips"], document["split"], result["seeds"]) == (16, "test", 2)
    run = json.loads((fitted / "run" / "run.json").read_text())
    mean = run["metrics"]["test"]["mean"]
    assert {k: result["scores"][k] for k in mean} == pytest.approx(mean, abs=1e-6)


def test_what_cannot_be_submitted_says_why(fitted, emo):
    code, _, err = emo("score", "run", "--gold", "test.json", "--metric", "semeval2024-1")
    assert (code, "which utterance is the cause, not which words" in err) == (1, True)
    code, _, err = emo("score", "run", "--gold", "m.csv", "--target", "cause")
    assert (code, "target is of pairs" in err) == (1, True)
    code, _, err = emo("submit", "semeval2024", "run", "--seed", 7)
    assert (code, "no pairs of split test and seed 7" in err) == (1, True)
    code, _, err = emo("submit", "semeval2024", "run", "--manifest", "gone.csv")
    assert (code, "name it with --manifest" in err) == (1, True)
    code, _, err = emo("submit", "semeval2024", "features")
    assert (code, "is no run folder" in err) == (1, True)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (
            [(1, [["1_joy", "4"]])],
            "conversation 1: pair 1_joy, 4: the conversation has utterances 1 to 3",
        ),
        ([(1, [["1_happy", "1"]])], "emotion 'happy'; expected one of anger, disgust"),
        ([(1, []), (1, [])], "conversation 1 once, found it 2 times"),
        ([], "conversation 1 once, found it 0 times"),
        ([(1, []), (2, [])], "conversation 2 is not in the split"),
    ],
)
def test_the_rules_of_the_task_are_checked(pairs, message):
    found = [{"conversation_ID": n, "emotion-cause_pairs": each} for n, each in pairs]
    with pytest.raises(ScoreError, match=message):
        check_pairs(found, {1: {1, 2, 3}}, "run")
