"""Splits: from the manifest, or made where it has none; errors where nothing can be learnt."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emo.errors import FitError
from emo.heads.data.splits import assign_splits
from tests.make_batches import make_manifest

LABELS = ["anger", "calm", "joy"] * 40


def splits_of(labels, *, seed=0, cut="groups", unit="clip", **columns):
    clips = make_manifest(labels, **columns).clips
    return assign_splits(clips, labels, seed=seed, cut=cut, unit=unit)


def crossing(splits, groups, name, others=("train", "val", "test")):
    """Return whether a split and any other have a group in common; None is no group."""
    held = {groups[row] for row in splits.rows[name]} - {None}
    rest = {groups[row] for other in others if other != name for row in splits.rows[other]}
    return bool(held & rest)


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
    assert [note.split(":")[0] for note in splits.notes] == ["test", "val", "speakers"]
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
    [["one"] * 120, ["s" + label for label in LABELS]],
    ids=["one speaker", "each class spoken by one"],
)
def test_a_test_that_would_share_its_speakers_is_refused_unless_asked_for(speakers):
    with pytest.raises(FitError, match="no test can be cut whose speakers") as error:
        splits_of(LABELS, speaker=speakers)
    assert "--cv speaker" in str(error.value)
    assert "--cut clips" in str(error.value)
    splits = splits_of(LABELS, speaker=speakers, cut="clips")
    assert splits.notes == (
        "test: 18 clips cut from train, stratified by label, as --cut clips says; "
        "test shares speakers with train",
        "val: 15 clips cut from train, stratified by label, as --cut clips says; "
        "val shares speakers with train",
    )


def test_of_two_speakers_one_is_test_and_val_is_said_to_share_the_other():
    speakers = ["one", "two"] * 60
    splits = splits_of(LABELS, speaker=speakers)
    assert len({speakers[row] for row in splits.rows["test"]}) == 1
    assert not crossing(splits, speakers, "test")
    assert splits.notes == (
        "test: 60 clips cut from train, whole speakers, stratified by label",
        "val: 9 clips cut from train, stratified by label; val shares speakers with train",
    )


def test_one_empty_speaker_leaves_the_other_speakers_whole():
    speakers = [f"s{row // 12}" for row in range(120)]
    speakers[5] = None
    splits = splits_of(LABELS, speaker=speakers)
    assert not crossing(splits, speakers, "test")
    assert not crossing(splits, speakers, "val")
    assert all("whole speakers" in note for note in splits.notes)
    assert "1 clip has no speaker: each counts as a speaker of its own" in splits.notes[0]


def test_speakers_named_again_in_every_dialogue_leave_dialogues_whole_and_are_named():
    speakers = [f"SPEAKER_0{row % 2}" for row in range(120)]
    dialogues = [f"d{row // 6}" for row in range(120)]
    splits = splits_of(LABELS, speaker=speakers, dialogue=dialogues)
    assert not crossing(splits, dialogues, "test")
    assert splits.notes[0].endswith(
        "whole dialogues, stratified by label; test shares speakers with train"
    )


def test_one_dialogue_of_many_speakers_leaves_speakers_whole():
    speakers = [f"s{row // 12}" for row in range(120)]
    splits = splits_of(LABELS, speaker=speakers, dialogue=["d"] * 120)
    assert not crossing(splits, speakers, "test")
    assert "whole speakers, stratified by label; test shares dialogues" in splits.notes[0]


def test_without_speakers_the_column_that_may_name_them_is_offered():
    def said(**targets):
        clips = make_manifest(LABELS).clips
        clips = [
            dataclasses.replace(clip, targets={name: cells[row] for name, cells in targets.items()})
            for row, clip in enumerate(clips)
        ]
        return assign_splits(clips, LABELS, seed=0).notes[-1]

    alone = "speakers: no clip names one, so test may share speakers with train"
    voices = [f"P{row // 20}" for row in range(120)]
    assert said() == alone
    assert said(Sprecherin=voices).endswith(
        "if a column does (Sprecherin): --column speaker=Sprecherin"
    )
    assert said(mood=LABELS, take=[f"{row}" for row in range(120)]) == alone
    assert said(one=["x"] * 120, gaps=["", *voices[1:]]) == alone
    speakers = splits_of(LABELS, speaker=voices)
    assert not any("no clip names" in note for note in speakers.notes)
    given = ["train"] * 60 + ["test"] * 60
    assert not any("no clip names" in note for note in splits_of(LABELS, split=given).notes)


def test_three_speakers_are_one_for_each_split():
    speakers = [f"s{row // 40}" for row in range(120)]
    splits = splits_of(LABELS, speaker=speakers)
    assert [len(rows) for rows in splits.rows.values()] == [40, 40, 40]
    assert not any("shares" in note for note in splits.notes)


def test_single_clips_are_not_cut_from_dialogues_that_a_head_reads():
    with pytest.raises(FitError, match="--cut clips: this head reads whole dialogues"):
        splits_of(LABELS, dialogue=[f"d{row // 6}" for row in range(120)], cut="clips",
                  unit="dialogue")  # fmt: skip


NAMES = st.one_of(st.none(), st.sampled_from([f"p{number}" for number in range(12)]))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(NAMES, NAMES, st.sampled_from("abc")), min_size=20, max_size=60),
    st.booleans(),
    st.sampled_from(["clip", "dialogue"]),
    st.integers(0, 3),
)
def test_nobody_crosses_splits_unless_the_line_says_so(rows, are_classes, unit, seed):
    speakers, dialogues, labels = (list(column) for column in zip(*rows, strict=True))
    clips = make_manifest(labels, speaker=speakers, dialogue=dialogues).clips
    try:
        splits = assign_splits(clips, labels, seed=seed, unit=unit, are_classes=are_classes)
    except FitError:
        return
    for note in splits.notes:
        name = note.partition(":")[0]
        if name == "speakers":
            assert not any(speakers)
            continue
        said = note.partition(" shares ")[2]
        others = ("train", "val") if name == "test" else ("train",)
        assert ("speakers" in said) == crossing(splits, speakers, name, others)
        assert ("dialogues" in said) == crossing(splits, dialogues, name, others)
        assert unit == "clip" or "dialogues" not in said


@settings(max_examples=60, deadline=None)
@given(
    st.integers(3, 9), st.integers(1, 4), st.integers(0, 9), st.sets(st.integers(0, 59)),
)  # fmt: skip
def test_groups_that_are_linked_by_speakers_and_dialogues_stay_together(
    count, talks, seed, unknown
):
    block = [row % count for row in range(60)]
    speakers = [None if row in unknown else f"s{each}{row % 2}" for row, each in enumerate(block)]
    dialogues = [f"d{each}{row // count % talks}" for row, each in enumerate(block)]
    labels = ["ab"[row // (count * talks) % 2] for row in range(60)]
    splits = splits_of(labels, seed=seed, speaker=speakers, dialogue=dialogues)
    for name in ("test", "val"):
        assert not crossing(splits, dialogues, name)
        if not unknown:
            assert not crossing(splits, speakers, name)
            assert "whole speakers and dialogues" in " ".join(splits.notes)


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


def test_an_unseen_label_is_named_beside_ten_of_many_classes():
    labels = [f"c{k % 30:02}" for k in range(120)]
    labels[-1] = "new"
    given = ["train"] * 60 + ["val"] * 30 + ["test"] * 30
    with pytest.raises(FitError, match=r"which has: c00, .*, c09 … \(30 in all\)\. Relabel"):
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
    with pytest.raises(FitError, match="held out for val: it has only 3 clips; say in the split"):
        splits_of(LABELS, split=given)
    with pytest.raises(FitError, match="split train has one class, 'anger'"):
        splits_of(["anger"] * 3 + LABELS[3:], split=given)
    with pytest.raises(FitError, match="held out for test: it has only 3 clips"):
        splits_of(LABELS[:3])


@pytest.mark.parametrize(
    ("first", "second"), [("S{}", "s{}"), ("André {}", "Andre\u0301  {}"), ("0{}", "{}")]
)
@pytest.mark.parametrize("column", ["speaker", "dialogue"])
def test_one_person_spelt_in_two_ways_stays_in_one_split(column, first, second):
    people = [row // 12 for row in range(120)]
    names = [(first if row % 2 else second).format(of) for row, of in enumerate(people)]
    splits = splits_of(LABELS, **{column: names})
    assert not crossing(splits, people, "test")
    assert not crossing(splits, people, "val")
    assert f"spelt in several ways, counted as one {column}: '{first[0]}" in splits.notes[0]


def test_a_class_that_train_lacks_is_named_beside_ten_of_trains():
    labels = [str(row % 40 if row < 90 else row) for row in range(120)]
    given = ["train"] * 60 + ["val"] * 30 + ["test"] * 30
    with pytest.raises(FitError) as raised:
        splits_of(labels, split=given)
    said = str(raised.value)
    assert "label '90' (1 clip of test) does not occur in train, which has: 0, 1, 2, 3," in said
    assert "9 … (40 in all)" in said
    assert "All 70 classes are whole numbers" in said
    assert "--task regress" in said
    words = [f"w{label}" for label in labels]
    with pytest.raises(FitError, match=r"Relabel these clips, leave their label empty, .*train\.$"):
        splits_of(words, split=given)
