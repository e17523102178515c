"""Splits: from the manifest, or made where it has none; errors where nothing can be learnt."""

from collections import Counter

import numpy as np
import pytest

from emo.errors import FitError
from emo.heads.data.splits import assign_splits
from tests.make_batches import make_manifest

LABELS = ["anger", "calm", "joy"] * 40


def splits_of(labels, *, seed=0, **columns):
    return assign_splits(make_manifest(labels, **columns).clips, labels, seed=seed)


def names_of(splits, count):
    names = np.full(count, "", dtype=object)
    for name, rows in splits.rows.items():
        names[rows] = name
    return names


def test_the_manifests_splits_are_kept():
    given = ["train"] * 60 + ["val"] * 30 + ["test"] * 30
    splits = splits_of(LABELS, split=given)
    assert names_of(splits, 120).tolist() == given
    assert list(splits.rows) == ["train", "val", "test"]
    assert splits.notes == ()


def test_val_is_cut_from_train_by_label_and_said():
    given = ["train"] * 90 + ["test"] * 30
    splits = splits_of(LABELS, split=given)
    assert Counter(np.array(LABELS)[splits.rows["val"]]) == {"anger": 4, "calm": 4, "joy": 4}
    assert (splits.rows["test"] == np.arange(90, 120)).all()
    assert splits.notes == ("val: 12 clips cut from train, stratified by label",)


def test_without_any_split_val_and_test_are_cut():
    splits = splits_of(LABELS)
    assert {name: len(rows) for name, rows in splits.rows.items()} == {
        "train": 87, "val": 15, "test": 18,
    }  # fmt: skip
    assert [note.split(":")[0] for note in splits.notes] == ["test", "val"]
    again, other = splits_of(LABELS), splits_of(LABELS, seed=1)
    assert (again.rows["test"] == splits.rows["test"]).all()
    assert (other.rows["test"] != splits.rows["test"]).any()


@pytest.mark.parametrize("column", ["speaker", "dialogue"])
def test_whole_groups_are_cut(column):
    groups = [f"g{row // 12}" for row in range(120)]
    splits = splits_of(LABELS, **{column: groups})
    of = {name: {groups[row] for row in rows} for name, rows in splits.rows.items()}
    assert not of["train"] & of["val"]
    assert not of["train"] & of["test"]
    assert not of["val"] & of["test"]
    assert f"whole {column}s" in splits.notes[0]


def test_val_is_not_cut_by_speaker_when_test_shares_speakers_with_train():
    speakers = [f"s{row % 8}" for row in range(120)]
    dialogues = [f"d{row // 6}" for row in range(120)]
    given = ["train"] * 90 + ["test"] * 30
    splits = splits_of(LABELS, split=given, speaker=speakers, dialogue=dialogues)
    assert "whole dialogues" in splits.notes[0]
    unseen = [f"s{row // 15}" for row in range(120)]
    splits = splits_of(LABELS, split=given, speaker=unseen, dialogue=dialogues)
    assert "whole speakers" in splits.notes[0]


@pytest.mark.parametrize(
    "speakers",
    [["one"] * 120, ["one", "two"] * 60, ["s" + label for label in LABELS]],
    ids=["one speaker", "two speakers", "each class spoken by one"],
)
def test_groups_which_do_not_allow_it_are_ignored(speakers):
    splits = splits_of(LABELS, speaker=speakers)
    assert all("stratified by label" in note and "whole" not in note for note in splits.notes)


def test_a_class_of_one_clip_stays_in_train():
    labels = [*LABELS, "rare"]
    splits = splits_of(labels)
    assert 120 in splits.rows["train"]


@pytest.mark.parametrize("where", ["val", "test"])
def test_a_label_unseen_in_training_is_named(where):
    given = ["train"] * 60 + ["val"] * 30 + ["test"] * 30
    labels = list(LABELS)
    for row in np.flatnonzero(np.array(given) == where)[:2]:
        labels[row] = "disgust"
    with pytest.raises(
        FitError, match=rf"'disgust' \(2 clips of {where}\) does not occur in train"
    ):
        splits_of(labels, split=given)


@pytest.mark.parametrize("where", ["train", "val", "test"])
def test_a_split_with_one_class_is_named(where):
    given = ["train"] * 60 + ["val"] * 30 + ["test"] * 30
    labels = [
        "anger" if name == where else label for name, label in zip(given, LABELS, strict=True)
    ]
    with pytest.raises(FitError, match=f"split {where} has one class, 'anger'"):
        splits_of(labels, split=given)
    with pytest.raises(FitError, match="split train has one class"):
        splits_of(["joy"] * 120)


def test_an_empty_train_split_is_an_error():
    with pytest.raises(FitError, match="split train has no clip"):
        splits_of(LABELS, split=["test"] * 120)
    with pytest.raises(FitError, match="split train has no clip"):
        splits_of(LABELS, split=["val"] * 60 + ["test"] * 60)


def test_a_train_of_which_nothing_can_be_held_out_is_an_error():
    given = ["train"] * 3 + ["test"] * 117
    with pytest.raises(FitError, match="held out for val: 3 clips are too few; say in the split"):
        splits_of(LABELS, split=given)
    with pytest.raises(FitError, match="split train has one class, 'anger'"):
        splits_of(["anger"] * 3 + LABELS[3:], split=given)
    with pytest.raises(FitError, match="held out for test: 3 clips are too few"):
        splits_of(LABELS[:3])
