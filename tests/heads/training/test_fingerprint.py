"""The question of a fit: it has all that changes a head or its scores, and nothing else."""

import dataclasses

import pytest

from emo.heads.data.data import read_data
from emo.heads.fitting.fit import FitOptions
from emo.heads.training.fingerprint import (
    HASHED_FIELDS,
    hash_of_folds,
    hash_of_question,
    hash_of_run,
    question_of,
)
from tests.make_batches import learnable, make_manifest, make_store

SPLITS = ["train"] * 20 + ["val"] * 10 + ["test"] * 10
LABELS, TOKENS = learnable(40)
DIALOGUES = [f"d{row // 5}" for row in range(40)]
ASKED = FitOptions(head="mean_pool", threads=1)


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    folder = tmp_path_factory.mktemp("question")

    def asked(*, labels=LABELS, dialogues=DIALOGUES, clips=40, tokens=TOKENS, layer=0, **options):
        path = folder / str(len(list(folder.iterdir())))
        store = make_store(path, tokens, options={"layer": layer})
        manifest = make_manifest(labels, split=SPLITS, dialogue=dialogues)
        manifest = dataclasses.replace(manifest, clips=manifest.clips[:clips])
        chosen = ASKED.replace(**options)
        return question_of(read_data(manifest, [store], chosen), chosen)

    return asked


def swapped(values, first, second):
    values = list(values)
    values[first], values[second] = values[second], values[first]
    return values


@pytest.mark.parametrize(
    ("what", "differs"),
    [
        ({}, set()),
        ({"seeds": 3, "search": 4, "threads": 2}, set()),
        ({"streams": ("fake",), "target": ("label",)}, set()),
        ({"learning_rate": 0.5}, {"learning_rate"}),
        ({"labels": swapped(LABELS, 0, 1)}, {"labels"}),
        ({"labels": swapped(LABELS, 20, 21)}, {"labels"}),
        ({"labels": swapped(LABELS, 30, 31)}, {"labels"}),
        ({"labels": [word.replace("joy", "fear") for word in LABELS]}, {"labels"}),
        ({"dialogues": swapped(DIALOGUES, 0, 5)}, {"dialogues"}),
        ({"tokens": {**TOKENS, "c3": {"a": TOKENS["c3"]["a"].repeat(2, 0)}}}, {"tokens"}),
        ({"layer": 9}, {"recipes"}),
        ({"clips": 39}, {"clips", "labels", "dialogues", "tokens"}),
    ],
    ids=[
        "nothing",
        "more of it",
        "named",
        "option",
        "train label",
        "val label",
        "test label",
        "class",
        "dialogue",
        "length",
        "recipe",
        "clip",
    ],
)
def test_all_that_changes_a_head_or_its_scores_changes_the_question(ask, what, differs):
    ours, theirs = ask(), ask(**what)
    assert {name for name in ours if ours[name] != theirs[name]} == differs
    assert (hash_of_question(ours) == hash_of_question(theirs)) == (not differs)
    assert set(HASHED_FIELDS) < set(ours)


def test_other_folds_and_no_folds_are_other_questions(ask):
    asked = ask()
    names = {
        hash_of_question(asked),
        hash_of_folds([asked], "speaker"),
        hash_of_folds([asked], "session"),
    }
    assert len(names | {hash_of_folds([asked, asked], "session")}) == 4


def test_more_seeds_or_trials_are_another_run():
    names = {
        hash_of_run("x", dataclasses.replace(ASKED, **more))
        for more in ({}, {"seeds": 2}, {"search": 2}, {"threads": 2})
    }
    assert len(names) == 3
