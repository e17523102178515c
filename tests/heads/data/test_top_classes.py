"""``--top-classes K``, ``--choose-by`` and ``--by``: open answers, and scores by a column."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emo.errors import FitError, OptionError
from emo.heads.data.data import read_data
from emo.heads.fitting.ablate import ablate
from emo.heads.fitting.fit import fit_head
from emo.heads.fitting.folds.cross_validate import cross_validate
from emo.heads.fitting.rerun import rerun
from emo.heads.metrics import classes as metrics
from emo.heads.metrics.by_column import cut_line, scores_by_value, table_rows
from emo.heads.metrics.measures import measure
from emo.heads.metrics.scores import Scores
from emo.heads.options import FitOptions
from emo.heads.runs.comparing.compare import compare_runs
from emo.heads.runs.figures.folders import confusion_counts
from emo.heads.runs.show import show
from emo.manifest import read_manifest
from tests.make_batches import make_store

SHARED = Path(__file__).parents[4] / "shared"
GOLDEN = SHARED / "golden" / "retrieval"
RIDGE = {"head_options": {"solver": "ridge"}}
"""Options of the head `linear` with which it is quick."""


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """150 questions: answers a0 (often) … a5 (rare) in train; val and test have others, too."""
    path = tmp_path_factory.mktemp("answers")
    random = np.random.default_rng(0)
    lines, tokens = ["id,text,split,label,word"], {}
    for row in range(150):
        number = min(int(random.geometric(0.5)) - 1, 5)
        split = ("train", "train", "val", "test")[row % 4]
        if split == "test" and row % 24 == 3:
            number = 7  # not in train at all
        word = "what" if row % 3 else "who"
        lines.append(f"q{row},x?,{split},a{number},{word}")
        token = random.normal(size=(1, 8))
        token[0, number % 8] += 3
        tokens[f"q{row}"] = {"a": token.astype(np.float32)}
    (path / "q.csv").write_text("\n".join(lines) + "\n")
    make_store(path / "features", tokens)
    return path


def fitted(asked, out=None, head="mean_pool", **options):
    steps = RIDGE if head == "linear" else {"epochs": 3}
    asking = FitOptions.of(head=head, threads=1, **steps, **options)
    return fit_head(read_manifest(asked / "q.csv"), [asked / "features"], out, asking)


def test_labels_unseen_in_train_are_refused_without_it(asked):
    with pytest.raises(FitError, match=r"label 'a7' .* does not occur in train"):
        fitted(asked)


@pytest.mark.parametrize("head", ["mean_pool", "linear"])
def test_others_are_wrong_and_stay_in_the_denominator(asked, tmp_path, head):
    found = fitted(asked, tmp_path / "run", head=head, top_classes=3, by_columns=("word",))
    assert found.classes == ("a0", "a1", "a2")
    table = pd.read_csv(asked / "q.csv")
    gold = table[table.split == "test"].set_index("id")["label"]
    predictions = pd.read_csv(tmp_path / "run" / "predictions.csv")
    test = predictions[predictions.split == "test"].set_index("id")
    assert len(test) == len(gold)
    assert (test["label"] == gold).all()  # the true answers, learnt or not
    assert set(predictions["prediction"]) <= set(found.classes)
    assert set(predictions[predictions.split == "train"]["label"]) == set(found.classes)
    expected = metrics.scores(test["label"].tolist(), test["prediction"].tolist())
    document = json.loads((tmp_path / "run" / "run.json").read_text())["metrics"]["test"]
    for name, value in expected.items():
        assert document["mean"][name] == pytest.approx(value, abs=1e-12)
    wrong = int((~gold.isin(found.classes)).sum())
    assert document["others"]["clips"] == wrong > 0
    assert any("the 3 commonest of 6 answers of train are learnt" in n for n in found.data.notes)
    words = table.set_index("id")["word"][test.index]
    right = (test["label"] == test["prediction"])[words == "who"]
    who = document["by"]["word"]["who"]
    assert (who["rows"], who["accuracy"]) == (len(right), pytest.approx(right.mean()))
    assert "on test by word:" in found.table()
    assert any(f"accuracy {who['accuracy']:.3f}" in text for _, text in
               show(tmp_path / "run")["run run"])  # fmt: skip


def test_a_run_is_repeated_and_compared(asked, tmp_path):
    fitted(asked, tmp_path / "one", top_classes=3, choose_by="accuracy", by_columns=("word",))
    fitted(asked, tmp_path / "two", top_classes=2)
    assert rerun(tmp_path / "one").is_same
    counts, _, _ = confusion_counts(tmp_path / "two", None, "")
    assert counts.shape == (2, 2)  # of the rows whose answers are learnt
    found = compare_runs([tmp_path / "one", tmp_path / "two"], interval_over="word")
    assert found.paired is not None
    assert found.paired.rows == 37
    asked_line = json.loads((tmp_path / "one" / "run.json").read_text())["asked"][-1]
    for words in ("--top-classes 3", "--choose-by accuracy", "--by word"):
        assert words in asked_line


def test_intervals_are_drawn_over_a_column_called_clip(tmp_path):
    """Rows are questions, two for each video; ``clip`` is each by itself, ``@clip`` a video."""
    lines, tokens = ["id,text,split,label,clip"], {}
    for row in range(48):
        split = ("train", "train", "val", "test")[row // 2 % 4]
        lines.append(f"q{row},x?,{split},a{row % 3},v{row // 2}")
        tokens[f"q{row}"] = {"a": np.eye(4, dtype=np.float32)[[row % 3]]}
    (tmp_path / "q.csv").write_text("\n".join(lines) + "\n")
    make_store(tmp_path / "features", tokens)
    drawn = {}
    for over in ("clip", "@clip"):
        found = fitted(tmp_path, tmp_path / over, head="linear", interval_over=over)
        drawn[over] = found.metrics["test"]["drawn"]
    assert drawn == {"clip": "12 clips", "@clip": "6 values of clip"}
    paths = [tmp_path / over for over in drawn]
    compared = compare_runs(paths, interval_over="@clip")
    assert compared.paired is not None
    assert compared.paired.drawn == "6 values of clip"
    assert "interval: bootstrap over values of clip" in compared.table()


def test_rounds_are_chosen_by_accuracy(asked):
    found = fitted(asked, top_classes=3, choose_by="accuracy")
    assert found.headline == "accuracy"
    kept = found.best.best.val_score
    val = found.metrics["val"]["mean"]["accuracy"]
    assert kept == pytest.approx(val, abs=1e-12)  # others of val are wrong there, too
    assert kept == max(each.val_score for each in found.best.history)


def test_all_answers_may_be_learnt(asked):
    data = read_data(read_manifest(asked / "q.csv"), [asked / "features"],
                     FitOptions.of(top_classes=99))  # fmt: skip
    assert len(data.classes) == 6


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"top_classes": 1}, OptionError, "--top-classes 1: expected at least 2"),
        ({"top_classes": 2, "target": ("label", "word")}, OptionError, "one target of classes"),
        ({"by_columns": ("wort",)}, FitError, "--by: unknown column 'wort'"),
    ],
)
def test_wrong_options_are_refused(asked, options, error, message):
    with pytest.raises(error, match=message):
        fitted(asked, **options)


def test_options_that_cannot_be_read(asked):
    with pytest.raises(OptionError, match="--top-classes 1: expected at least 2"):
        FitOptions.of(top_classes=1)
    with pytest.raises(OptionError, match="choose_by: expected one of weighted_f1"):
        FitOptions.of(choose_by="mae")
    manifest = read_manifest(asked / "q.csv")
    with pytest.raises(OptionError, match="--top-classes and --cv"):
        cross_validate(manifest, [asked / "features"], None, FitOptions.of(top_classes=3), by="3")


def test_folds_are_scored_by_a_column_together(asked):
    manifest = read_manifest(asked / "q.csv")
    kept = tuple(clip for clip in manifest.clips if clip.targets["label"] in ("a0", "a1"))
    manifest = type(manifest)(manifest.path, manifest.root, kept, manifest.sha256)
    options = FitOptions.of(head="linear", by_columns=("word",), threads=1, **RIDGE)
    found = cross_validate(manifest, [asked / "features"], None, options, by="2")
    assert sum(each["rows"] for each in found.metrics["by"]["word"].values()) == len(kept)


def test_a_long_table_of_values_is_cut():
    found = scores_by_value([str(row) for row in range(50)], lambda rows: {"accuracy": 1.0})
    assert len(table_rows("word", found)) == 40
    assert cut_line("word", found) == "and 10 more values of word, of 10 rows"
    assert cut_line("word", dict(list(found.items())[:40])) == ""


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="no ../shared/golden/retrieval beside this clone")
def test_accuracy_by_word_equals_the_golden_values():
    known = json.loads((GOLDEN / "qa.json").read_text())
    rule, answers = known["rule"], tuple(known["answers"])
    table = pd.read_csv(GOLDEN / "qa.csv", dtype=str, keep_default_na=False)
    logits = np.load(GOLDEN / "qa_logits.npz")
    logits = logits[logits.files[0]]
    others = tuple(sorted(set(table["answer"]) - set(answers)))
    numbers = {name: number for number, name in enumerate((*answers, *others))}
    gold = np.array([numbers[name] for name in table["answer"]])
    words = table["question_word"].to_numpy(object)
    scores = Scores(answers, (0,), gold, logits[None], 0, None, others=others,
                    by={"question_word": words})  # fmt: skip
    assert [answers[k] for k in scores.predictions[0]] == table["prediction"].tolist()
    found = scores.to_json()
    assert (found["clips"], found["mean"]["accuracy"]) == (rule["questions"], rule["accuracy"])
    assert found["others"]["clips"] == rule["gold_answers_outside_vocabulary"]
    by_word = found["by"]["question_word"]
    for word, expected in rule["by_word"].items():
        assert by_word[word]["rows"] == expected["questions"]
        assert by_word[word]["accuracy"] == expected["right"] / expected["questions"]
    mean = np.mean([each["accuracy"] for each in by_word.values()])
    assert mean == pytest.approx(rule["mean_of_words"], abs=1e-15)


def test_many_classes_have_the_bits_of_tables():
    random = np.random.default_rng(0)
    gold, predicted = random.integers(0, 200, (2, 500))
    counts = metrics.class_counts(gold, predicted, 200)
    by_table = metrics.counts_of(metrics.confusion(gold, predicted, 200))
    for ours, theirs in zip(counts, by_table, strict=True):
        assert (ours == theirs).all()
    found = measure("classify", gold, predicted, classes=200)
    assert found["accuracy"] == (gold == predicted).mean()


@pytest.mark.parametrize("head", ["mean_pool", "linear"])
def test_rows_without_tokens_are_wrong_and_stay_in_the_denominator(asked, tmp_path, head):
    lines = (asked / "q.csv").read_text().splitlines()
    bare = {"q0": "train", "q2": "val", "q3": "test", "q7": "test"}
    renamed = [f"no-{line}" if line.split(",")[0] in bare else line for line in lines]
    (tmp_path / "q.csv").write_text("\n".join(renamed) + "\n")
    options = FitOptions.of(head=head, threads=1, top_classes=3, **(
        RIDGE if head == "linear" else {"epochs": 3}))  # fmt: skip
    manifest = read_manifest(tmp_path / "q.csv")
    found = fit_head(manifest, [asked / "features"], tmp_path / "run", options)
    table = pd.read_csv(tmp_path / "run" / "predictions.csv", dtype=str, keep_default_na=False)
    assert (table["split"] == "test").sum() == 37
    without = table[table["id"].str.startswith("no-")]
    assert dict(zip(without["id"], without["prediction"], strict=True)) == {
        "no-q2": "", "no-q3": "", "no-q7": "",
    }  # fmt: skip
    document = json.loads((tmp_path / "run" / "run.json").read_text())["metrics"]["test"]
    assert (document["clips"], document["absent"]) == (37, {"clips": 2})
    test = table[table["split"] == "test"]
    expected = metrics.scores(test["label"].tolist(), test["prediction"].tolist())
    for name, value in expected.items():
        assert document["mean"][name] == pytest.approx(value, abs=1e-12)
    assert any("1 row of train left out; 1 of 37 rows of val and 2 of 37 rows of test" in note
               for note in found.data.notes)  # fmt: skip
    assert confusion_counts(tmp_path / "run", None, "")[0].shape == (3, 3)
    pair = (tmp_path / "run", tmp_path / "run")
    compared = compare_runs([tmp_path / "run"], pair=pair, interval_over="word")
    assert compared.paired is not None
    assert compared.paired.rows == 37


def test_an_ablation_compares_runs_on_the_same_questions(asked, tmp_path):
    random, tokens = np.random.default_rng(1), {}
    for row in range(150):
        tokens[f"q{row}"] = {"a": random.normal(size=(1, 4)).astype(np.float32)}
        if row % 8 != 3:  # every second row of test lacks this stream
            tokens[f"q{row}"]["b"] = random.normal(size=(1, 4)).astype(np.float32)
    make_store(tmp_path / "features", tokens)
    options = FitOptions.of(head="linear", threads=1, top_classes=3, **RIDGE)
    manifest = read_manifest(asked / "q.csv")
    found = ablate(manifest, [tmp_path / "features"], tmp_path / "runs", options)
    assert {run.metrics["clips"] for run in found.runs} == {37}
    assert not any("other clips" in note for note in found.notes)
