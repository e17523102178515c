"""The meaning of cells, and fits of several targets, several labels and numbers."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from emo.errors import FitError, OptionError
from emo.heads.data.data import read_data
from emo.heads.data.targets import fit_target, labels_of, pair_labels
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.fitting.options_from_cli import fit_options
from emo.heads.runs.run import Run
from emo.manifest.missing import missing_cells, missing_classes
from emo.manifest.tasks import near_classes, number_fault, task_of_cells
from emo.store.store import Store
from tests.heads.conftest import quick
from tests.make_batches import learnable, make_manifest, make_store

SPLITS = ["train"] * 60 + ["val"] * 30 + ["test"] * 30
QUICK = FitOptions.of(head="mean_pool", epochs=15, learning_rate=5e-3, threads=1)
NUMBERS = {"anger": -1.5, "calm": 0.25, "joy": 2.0}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    labels, tokens = learnable(120, streams=("a", "b"))
    random = np.random.default_rng(0)
    manifest = make_manifest(labels, split=SPLITS)
    clips = tuple(
        dataclasses.replace(
            clip,
            targets={
                "label": label,
                "valence": f"{NUMBERS[label] + random.normal(0, 0.1):.2f}",
                "tags": {"anger": "loud", "calm": "none", "joy": "loud|kind"}[label],
                **({"face": label} if row % 3 else {}),
            },
        )
        for row, (clip, label) in enumerate(zip(manifest.clips, labels, strict=True))
    )
    store = make_store(tmp_path_factory.mktemp("targets") / "features", tokens)
    return dataclasses.replace(manifest, clips=clips), store


@pytest.mark.parametrize(
    ("cells", "task"),
    [
        (["joy", "anger"], "classify"), (["0", "1", "2"], "classify"), (["1.5", "2"], "regress"),
        (["-0.4", None], "regress"), (["joy|fear", "joy"], "multilabel"),
    ],
)  # fmt: skip
def test_the_task_is_told_from_the_cells(cells, task):
    assert task_of_cells(cells) == task


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["0.6", "-0.6", "1", "0", "nan"], "1 cell is not a number of 5 filled: c4 'nan'"),
        (["1", "2", "0", "NA", "none"], "leave the cell empty where there is no number"),
        (["-0,6", "0,6", "0,0"], "3 cells are with a decimal comma of 3 filled: c0 '-0,6'"),
        (["0.5", "0.5", "1", "0,6", None], "write decimal commas as points"),
        (["1", "2", "0", "1", "low"], "correct the other cells, or say what the column is"),
        (["0.5", "1.5", "1", "2", "inf"], "c4 'inf'"),
        (["60%", "12,5 %", "35%"], "3 cells are with a percent sign of 3 filled: c0 '60%'"),
        (["1.234,5", "1,234.5", "2"], "2 cells are with separated thousands of 3 filled"),
        (["0.5", "\u22120.5", "1", "x", "0.1"], "write - for minus"),
        (["0", "1", "nan"] + [None] * 9, "c2 'nan'"),
    ],
)
def test_a_column_of_numbers_with_other_cells_is_told(cells, said):
    fault = number_fault("y", {f"c{row}": cell for row, cell in enumerate(cells)})
    assert said in fault
    assert fault.startswith("y is a column of numbers, but ")
    assert "--task y=classify or --task y=regress" in fault


@pytest.mark.parametrize(
    "cells",
    [
        ["joy", "none", "nan"], ["0", "1", "2"], ["0.5", "-1"], ["0|1", "1", "none", "2", "3"],
        ["joy, fear", "joy"], ["1", "2", "low", "high"], [None, None], [],
    ],
)  # fmt: skip
def test_other_columns_are_in_order(cells):
    assert number_fault("y", {f"c{row}": cell for row, cell in enumerate(cells)}) == ""


def test_classes_that_hardly_differ_are_counted():
    assert near_classes("classify", ["Joy", "joy", "joy", "sad", None]) == ["'joy' (2), 'Joy' (1)"]
    assert near_classes("classify", ["0", "0.0", "1", "10"]) == ["'0' (1), '0.0' (1)"]
    assert near_classes("classify", ["very sad", "verysad"]) == ["'very sad' (1), 'verysad' (1)"]
    assert near_classes("multilabel", ["a|B", "b", "none"]) == ["'B' (1), 'b' (1)"]
    assert near_classes("regress", ["0", "0.0"]) == []


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["cole\u0300re", "colère", "sad"], "'cole\\u0300re' (1), 'colère' (1)"),
        (["joy\u200b", "joy", "sad"], "'joy' (1), 'joy\\u200b' (1)"),
        (["ｊｏｙ", "joy", "joy"], "'joy' (2), 'ｊｏｙ' (1)"),
        (["01", "1", "2", "10"], "'01' (1), '1' (1)"),
        (["a\u00a0b", "a b"], "'a b' (1), 'a\\xa0b' (1)"),
    ],
)  # fmt: skip
def test_classes_that_look_alike_are_seen(cells, said):
    assert near_classes("classify", cells) == [said]


def test_blanks_between_digits_and_decimal_zeros_tell_classes_apart():
    assert near_classes("classify", ["1 2", "12", "1.05", "1.5", "-1", "1", "s1", "s01"]) == []


def test_mixed_columns_are_refused_unless_the_task_is_given(made):
    manifest, store = made
    clips = list(manifest.clips)
    for row in (3, 50):
        targets = {**clips[row].targets, "valence": "nan"}
        clips[row] = dataclasses.replace(clips[row], targets=targets)
    manifest = dataclasses.replace(manifest, clips=tuple(clips))
    options = dataclasses.replace(QUICK, target="valence")
    with pytest.raises(FitError, match=r"2 cells are not a number of 120 filled: c3 'nan', c50"):
        fit_head(manifest, [store], None, options)
    given = dataclasses.replace(options, tasks={"valence": "regress"})
    with pytest.raises(FitError, match="valence 'nan': expected a number; leave the cell empty"):
        fit_head(manifest, [store], None, given)


def test_classes_that_hardly_differ_are_a_warning(made):
    manifest, store = made
    clips = list(manifest.clips)
    clips[0] = dataclasses.replace(clips[0], targets={"label": "Joy"})
    options = dataclasses.replace(QUICK, loop=dataclasses.replace(QUICK.loop, epochs=1))
    data = read_data(dataclasses.replace(manifest, clips=tuple(clips)), [store], options)
    (note,) = [note for note in data.notes if "differ only in spelling" in note]
    assert note.startswith("warning: classes of label differ only in spelling (case, blanks, ")
    assert "'Joy' (1)" in note


def test_cells_become_labels():
    tags = fit_target("tags", "multilabel", ["b|a", "none", None])
    assert tags.classes == ("a", "b")
    assert labels_of(tags, ["a | b", "none", None]).tolist() == [[1, 1], [0, 0], [-1, -1]]
    number = fit_target("y", "regress", ["1", "3"])
    assert (number.centre, number.spread, number.width) == (2, 1, 1)
    np.testing.assert_equal(labels_of(number, ["2.5", None]), np.float32([2.5, np.nan]))
    with pytest.raises(FitError, match="y 'low': expected a number"):
        fit_target("y", "regress", ["low"])


def test_words_asked_for_as_numbers_are_refused_without_a_warning(made):
    manifest, store = made
    options = dataclasses.replace(QUICK, tasks={"label": "regress"})
    with pytest.raises(FitError, match=r"label '\w+': expected a number; --task classify"):
        fit_head(manifest, [store], None, options)


def test_an_infinite_number_is_not_called_a_word():
    with pytest.raises(FitError, match=r"y 'inf': expected a number, a finite one$"):
        fit_target("y", "regress", ["1.5", "inf"])


@pytest.mark.parametrize(("largest", "scale"), [("-0.9", "sims"), ("-2.8", "mosi"), ("7", "any")])
def test_the_scale_of_numbers_is_told_from_train(largest, scale):
    assert fit_target("y", "regress", [largest, "0.2"]).scale == scale


def test_pairs_are_named_by_turns():
    target = fit_target("cause", "pairs", ["joy:1 fear:2", "neutral:1"])
    assert target.classes == ("none", "fear", "joy")
    pairs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    turns, both = np.array([1, 2]), np.array([True, True])
    labels, lost = pair_labels(target, ["joy:1,fear:2", "joy:7"], turns, pairs, both)
    assert labels.tolist() == [2, 1, 0, 0]
    assert lost == 1
    labels, _ = pair_labels(target, ["joy:1", None], turns, pairs, np.array([True, False]))
    assert labels.tolist() == [2, 0, -1, -1]
    assert fit_target("cause", "pairs", ["1 3"]).classes == ("none", "yes")
    with pytest.raises(FitError, match="cause 'joy': expected numbers of turns such as"):
        fit_target("cause", "pairs", ["joy"])


@pytest.mark.parametrize("head", ["linear", "mean_pool"])
def test_numbers_are_learnt_and_scored_as_mmsa_does(made, drawn, tmp_path, head):
    manifest, store = made
    options = dataclasses.replace(quick(head, solver="lbfgs"), seeds=1, target="valence")
    result = fit_head(manifest, [store], tmp_path / "run", options)
    found = result.metrics["test"]
    assert list(found["mean"]) == [
        "mae", "pearson", "has0_accuracy", "has0_f1", "non0_accuracy", "non0_f1", "accuracy_7",
        "accuracy_5",
    ]  # fmt: skip
    assert found["mean"]["pearson"] > 0.7
    assert found["mean"]["mae"] < 0.7 * found["majority"]["mae"]
    low, high = found["interval"]["mae"]
    assert low < found["mean"]["mae"] < high
    for text in ("Has0 Acc-2", "Non0 F1", "Pearson", "mean_pool" if head != "linear" else head):
        assert text in result.table()
    assert (tmp_path / "run" / "numbers.png").stat().st_size > 5000
    assert not (tmp_path / "run" / "confusion.png").exists()
    table = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert list(table) == ["id", "split", "seed", "label", "prediction"]
    test = table[table["split"] == "test"]
    assert (test["label"] - test["prediction"]).abs().mean() == pytest.approx(
        found["mean"]["mae"], abs=1e-4
    )
    run = Run.load(tmp_path / "run")
    tokens = {name: Store(store).read(name, list(test["id"])) for name in run.streams}
    np.testing.assert_allclose(run.predict(tokens)[:, 0], test["prediction"], atol=1e-4)


@pytest.mark.parametrize("head", ["linear", "mean_pool"])
def test_several_labels_at_once_are_learnt(made, tmp_path, head):
    manifest, store = made
    options = dataclasses.replace(quick(head, solver="lbfgs"), seeds=1, target="tags")
    result = fit_head(manifest, [store], tmp_path / "run", options)
    found = result.metrics["test"]
    assert found["mean"]["micro_f1"] > 0.7
    assert found["majority"]["micro_f1"] == 0
    assert found["classes"]["loud"]["clips"] == 20
    table = pd.read_csv(tmp_path / "run" / "predictions.csv", keep_default_na=False)
    assert set(table["label"]) == {"none", "loud", "kind|loud"}
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    assert "val_micro_f1" in history


def test_several_targets_share_a_head_and_unlabelled_clips_count_nowhere(made, tmp_path):
    manifest, store = made
    options = QUICK.replace(
        target=("label", "face", "valence"), target_weights={"face": 0.5}, seeds=2
    )
    result = fit_head(manifest, [store], tmp_path / "run", options)
    assert {name: found["test"]["clips"] for name, found in result.all_metrics.items()} == {
        "label": 30, "face": 20, "valence": 30,
    }  # fmt: skip
    assert result.metrics["test"]["mean"]["weighted_f1"] > 0.7
    assert result.all_metrics["face"]["test"]["mean"]["weighted_f1"] > 0.6
    assert "40 of the clips used have no face: not scored on it" in result.data.notes
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [target["name"] for target in document["targets"]] == ["label", "face", "valence"]
    assert document["metrics_of_others"].keys() == {"face", "valence"}
    files = {file.name for file in (tmp_path / "run").iterdir()}
    assert {"predictions-face.csv", "confusion-face.png", "numbers-valence.png"} <= files
    assert len(pd.read_csv(tmp_path / "run" / "predictions-face.csv")) == 2 * 80
    run = Run.load(tmp_path / "run")
    assert [target.task for target in run.targets] == ["classify", "classify", "regress"]


def test_a_weight_changes_what_is_learnt(made):
    manifest, store = made
    both = QUICK.replace(target=("label", "valence"), epochs=3)
    first = fit_head(manifest, [store], None, both)
    second = fit_head(manifest, [store], None, both.replace(target_weights={"valence": 5.0}))
    assert first.outcomes[0].history[0].train_loss < second.outcomes[0].history[0].train_loss


def test_classes_that_train_lacks_are_named(made):
    manifest, store = made
    clips = [
        dataclasses.replace(c, targets={"tags": "odd|x"}) if row > 118 else c
        for row, c in enumerate(manifest.clips)
    ]
    with pytest.raises(FitError, match="tags odd, x: does not occur in train"):
        read_data(
            dataclasses.replace(manifest, clips=tuple(clips)), [store], FitOptions(target="tags")
        )


def test_words_of_the_command_become_options():
    found = fit_options(
        {"head": "linear"}, targets=["a", "b"], tasks=["regress", "b=classify"],
        weights=["a=2"], option=["std=no"],
    )  # fmt: skip
    assert found.targets == ("a", "b")
    assert found.tasks == {"a": "regress", "b": "classify"}
    assert found.loop.target_weights == {"a": 2.0}
    assert found.head_options == {"std": "no"}
    with pytest.raises(OptionError, match="--target-weight a=x: expected TARGET=FACTOR with"):
        fit_options({}, targets=["a"], tasks=[], weights=["a=x"], option=[])
    with pytest.raises(OptionError, match="got c"):
        fit_options({}, targets=["a"], tasks=["c=regress"], weights=[], option=[])
    with pytest.raises(OptionError, match="expected each once"):
        FitOptions(target=("a", "a"))


@pytest.mark.parametrize("word", ["nan", "None", "NA", "null", "#N/A", "<NA>", "N/A"])
def test_words_for_a_missing_value_are_no_class_unless_the_task_is_given(made, word):
    manifest, store = made
    clips = list(manifest.clips)
    for row in (4, 9):
        clips[row] = dataclasses.replace(clips[row], targets={"label": word})
    manifest = dataclasses.replace(manifest, clips=tuple(clips))
    loop = dataclasses.replace(QUICK.loop, epochs=1)
    options = dataclasses.replace(QUICK, loop=loop)
    with pytest.raises(FitError, match=rf"label: 2 cells hold .*: c4 '{word}', c9 .*leave a cell"):
        read_data(manifest, [store], options)
    given = dataclasses.replace(options, tasks={"label": "classify"})
    notes = read_data(manifest, [store], given).notes
    (note,) = [note for note in notes if "words for a missing value" in note]
    assert f"count as classes of label: '{word}' (2)" in note


@pytest.mark.parametrize(
    ("task", "cells", "found"),
    [
        ("classify", ["none", "joy", "?", "-", "+"], []), ("classify", ["NONE", "joy"], ["a"]),
        ("multilabel", ["joy|nan", "none", "joy|fear"], ["a"]), ("regress", ["nan"], []),
        ("pairs", ["none", "None"], []),
    ],
)  # fmt: skip
def test_none_may_be_a_class(task, cells, found):
    assert list(missing_cells(task, dict(zip("abcde", cells, strict=False)))) == found
    assert ("'none' (1)" in missing_classes(task, cells)) == (task == "classify" and not found)
