"""Folds: properties that hold for all clips, and errors."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emo.errors import FitError, OptionError
from emo.heads.data.folds import cut_folds
from tests.make_batches import make_manifest

LABELS = ["anger", "calm", "joy"] * 40
SESSIONS = [f"s{row // 24}" for row in range(120)]


def clips_of(labels=LABELS, **columns):
    return make_manifest(labels, **columns).clips


def with_column(clips, name, values):
    return [
        dataclasses.replace(clip, targets={**clip.targets, name: value})
        for clip, value in zip(clips, values, strict=True)
    ]


def assert_each_clip_is_tested_once(found, count):
    tested = np.concatenate([fold.splits.rows["test"] for fold in found.folds])
    assert sorted(tested) == list(range(count))
    for fold in found.folds:
        assert sorted(np.concatenate(list(fold.splits.rows.values()))) == list(range(count))


def assert_groups_stay_whole(found, groups, *, val=True):
    for fold in found.folds:
        of = {name: {groups[row] for row in rows} for name, rows in fold.splits.rows.items()}
        assert not of["test"] & (of["train"] | of["val"])
        assert not val or not of["train"] & of["val"]


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 6), st.integers(0, 99), st.sampled_from(["speaker", "dialogue", None]))
def test_each_clip_is_tested_once_and_groups_stay_whole(count, seed, column):
    groups = [f"g{row % 17}" for row in range(120)]
    clips = clips_of(**({column: groups} if column else {}))
    found = cut_folds(clips, LABELS, str(count), seed=seed)
    assert len(found.folds) == count
    assert_each_clip_is_tested_once(found, 120)
    if column:
        assert_groups_stay_whole(found, groups)
        assert f"whole {column}s" in found.how


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(["4", "speaker"]))
def test_the_order_of_rows_changes_no_fold(random, by):
    clips = list(clips_of(speaker=[f"g{row % 7}" for row in range(120)]))
    shuffled = random.sample(clips, len(clips))

    def named(clips):
        labels = [clip.targets["label"] for clip in clips]
        return {
            (fold.name, split): {clips[row].id for row in rows}
            for fold in cut_folds(clips, labels, by, seed=0).folds
            for split, rows in fold.splits.rows.items()
        }

    assert named(shuffled) == named(clips)


def test_folds_without_groups_are_stratified_within_one_clip():
    labels = ["anger"] * 50 + ["calm"] * 33 + ["joy"] * 12
    found = cut_folds(clips_of(labels), labels, "5", seed=0)
    for label, total in Counter(labels).items():
        counts = [
            sum(labels[row] == label for row in fold.splits.rows["test"]) for fold in found.folds
        ]
        assert sum(counts) == total
        assert max(counts) - min(counts) <= 1


def test_any_column_can_be_left_out():
    clips = with_column(clips_of(), "session", SESSIONS)
    found = cut_folds(clips, LABELS, "session", seed=0)
    assert [fold.name for fold in found.folds] == ["s0", "s1", "s2", "s3", "s4"]
    assert found.how == "one session left out"
    for fold in found.folds:
        assert {SESSIONS[row] for row in fold.splits.rows["test"]} == {fold.name}
    assert_groups_stay_whole(found, SESSIONS)
    assert_each_clip_is_tested_once(found, 120)


def test_five_folds_of_five_sessions_of_two_speakers_are_the_sessions():
    speakers = [f"{session}{'fm'[row % 2]}" for row, session in enumerate(SESSIONS)]
    dialogues = [f"d{row // 6}" for row in range(120)]
    found = cut_folds(clips_of(speaker=speakers, dialogue=dialogues), LABELS, "5", seed=0)
    assert "whole speakers and dialogues" in found.how
    assert_groups_stay_whole(found, SESSIONS)


def test_speakers_of_all_dialogues_leave_dialogues_whole():
    dialogues = [f"d{row // 6}" for row in range(120)]
    speakers = [f"p{row % 4}" for row in range(120)]
    clips = clips_of(speaker=speakers, dialogue=dialogues)
    found = cut_folds(clips, LABELS, "5", seed=0, unit="dialogue")
    assert "whole dialogues" in found.how
    assert_groups_stay_whole(found, dialogues)
    with pytest.raises(FitError, match=r"dialogue d0 has clips of speaker p\d and p\d"):
        cut_folds(clips, LABELS, "speaker", seed=0, unit="dialogue")


def test_folds_say_what_they_share():
    dialogues = [f"d{row // 6}" for row in range(120)]
    speakers = [f"SPEAKER_0{row % 2}" for row in range(120)]
    clips = clips_of(speaker=speakers, dialogue=dialogues)
    found = cut_folds(clips, LABELS, "5", seed=0)
    assert found.how == (
        "5 folds of whole dialogues, stratified by label; test shares speakers with train"
    )
    assert_groups_stay_whole(found, dialogues)
    found = cut_folds(clips, LABELS, "speaker", seed=0)
    assert found.how == "one speaker left out; test shares dialogues with train"
    found = cut_folds(clips, LABELS, "5", seed=0, cut="clips")
    assert found.how == (
        "5 folds of whole clips, stratified by label; test shares speakers and dialogues with train"
    )
    assert "as --cut clips says; val shares" in found.folds[0].splits.notes[0]


def test_few_dialogues_of_many_speakers_are_folds_of_speakers():
    speakers = [f"s{row // 12}" for row in range(120)]
    found = cut_folds(clips_of(speaker=speakers, dialogue=["d"] * 120), LABELS, "5", seed=0)
    assert found.how.startswith("5 folds of whole speakers, stratified by label; test shares dia")
    assert_groups_stay_whole(found, speakers)


def test_folds_with_one_unknown_speaker_keep_the_others_whole():
    speakers = [f"s{row // 12}" for row in range(120)]
    speakers[5] = None
    found = cut_folds(clips_of(speaker=speakers), LABELS, "5", seed=0)
    assert "1 clip has no speaker: each counts as a speaker of its own" in found.how
    assert_groups_stay_whole(found, [name or "unknown" for name in speakers])


def test_a_fold_may_test_one_class():
    labels = [*LABELS, *["joy"] * 10]
    groups = [*SESSIONS, *["s9"] * 10]
    found = cut_folds(clips_of(labels, speaker=groups), labels, "speaker", seed=0)
    assert len(found.folds) == 6


def test_more_folds_than_clips_of_any_class_are_still_folds():
    labels = ["joy", "calm"] * 5
    found = cut_folds(clips_of(labels), labels, "8", seed=0)
    assert_each_clip_is_tested_once(found, 10)


def test_two_groups_take_val_from_the_clips_of_the_other():
    groups = ["a", "b"] * 60
    found = cut_folds(clips_of(speaker=groups), LABELS, "speaker", seed=0)
    assert_groups_stay_whole(found, groups, val=False)
    assert all("stratified by label" in fold.splits.notes[0] for fold in found.folds)


@pytest.mark.parametrize(
    ("by", "columns", "said"),
    [
        ("sesion", {}, "unknown column 'sesion'"),
        ("speaker", {"speaker": ["a"] * 119 + [None]}, r"1 clip without speaker \(c119\)"),
        ("speaker", {"speaker": ["a"] * 120}, "at least two values, got 'a' alone"),
        ("5", {"speaker": ["a", "b", "c", "d"] * 30}, "at least as many speakers as folds, got 4"),
        ("label", {}, "fold anger: label 'anger' .* does not occur in train"),
    ],
)
def test_what_cannot_be_cut_is_said(by, columns, said):
    with pytest.raises(FitError, match=said):
        cut_folds(clips_of(**columns), LABELS, by, seed=0)


@pytest.mark.parametrize("by", ["1", "0", "-3"])
def test_fewer_than_two_folds_are_refused(by):
    with pytest.raises(OptionError, match="at least 2 folds"):
        cut_folds(clips_of(), LABELS, by, seed=0)


def test_a_class_of_one_group_is_told_what_helps_there():
    labels = ["rare", *(["anger", "joy"] * 30)]
    with pytest.raises(FitError, match="take fewer folds") as error:
        cut_folds(clips_of(labels), labels, "5", seed=0, unit="clip", are_classes=True)
    assert "move some to train" not in str(error.value)


@pytest.mark.parametrize("by", ["speaker", "5"])
def test_one_person_spelt_in_two_ways_stays_in_one_fold(by):
    people = [row // 12 for row in range(120)]
    clips = clips_of(speaker=[f"{'Ss'[row % 2]}{of}" for row, of in enumerate(people)])
    found = cut_folds(clips, LABELS, by, seed=0)
    assert_groups_stay_whole(found, people)
    assert len(found.folds) == (10 if by == "speaker" else 5)
    assert (
        "spelt in several ways, counted as one speaker: 'S0' and 's0'; 'S1' and 's1'" in found.how
    )
