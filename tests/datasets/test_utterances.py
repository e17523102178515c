"""Data sets of speech, dialogues and texts: labels, splits and files that are not as published."""

import pytest

from emo.datasets.library.dialogue.dailydialog import DailyDialog
from emo.datasets.library.dialogue.emorynlp import EmoryNlp, EmoryNlpOptions
from emo.datasets.library.speech.esd import Esd, EsdOptions
from emo.datasets.library.speech.msppodcast import MspPodcast, MspPodcastOptions
from emo.datasets.library.speech.savee import Savee
from emo.datasets.library.speech.tess import Tess
from emo.datasets.library.text.goemotions import GoEmotions
from emo.datasets.make import make_manifest
from emo.datasets.repeats import RepeatsOptions
from emo.datasets.tree import list_tree
from emo.errors import DatasetError
from emo.manifest import read_manifest
from emo.manifest.tasks import task_of_cells
from tests.datasets.media import table
from tests.datasets.word_trees import WORD_TREES

KEEP, DROP = RepeatsOptions(), RepeatsOptions(repeats="drop")


@pytest.fixture
def down(tmp_path, media, request):
    """The small download of the data set that the test's marker names."""
    folder = tmp_path / "down"
    folder.mkdir()
    WORD_TREES[request.param](folder, media)
    return folder


def of(name):
    return pytest.mark.parametrize("down", [name], indirect=True)


def column(rows, name):
    return [row.get(name, "") for row in rows]


@of("savee")
def test_savee_finds_three_layouts_and_never_mixes_sad_and_surprise(down):
    tree = list_tree(down)
    rows = {row["id"]: row for row in Savee.read(tree, None).rows}
    there = {name: row for name, row in rows.items() if row["audio"] in tree.all}
    assert {name: row["label"] for name, row in there.items()} == {
        "DC_a01": "anger", "DC_sa15": "sadness", "JE_su02": "surprise", "JK_n30": "neutral",
        "KL_h03": "happiness",
    }  # fmt: skip
    assert {row["speaker"]: row["split"] for row in rows.values()} == {
        "DC": "train", "JE": "train", "JK": "val", "KL": "test",
    }  # fmt: skip
    assert len(rows) == 480
    assert there["JK_n30"]["audio"] == "JKn30.wav"
    (down / "AudioData/DC/a01.wav").rename(down / "AudioData/DC/a01.WAV")
    (down / "JKn30.wav").rename(down / "JKn30.WAV")
    found = {row["id"]: row["audio"] for row in Savee.read(list_tree(down), None).rows}
    assert (found["DC_a01"], found["JK_n30"]) == ("AudioData/DC/a01.WAV", "JKn30.WAV")


@of("tess")
def test_tess_repairs_a_name_leaves_copies_out_and_names_what_lacks(down):
    (down / "YAF_Sad" / "YAF_back_sad.wav").unlink()
    found = Tess.read(list_tree(down), None)
    rows = {row["id"]: row for row in found.rows}
    assert rows["OAF_bite_neutral"]["audio"] == "OAF_Neutral/OA_bite_neutral.wav"
    assert rows["OAF_bite_neutral"]["speaker"] == "OAF"
    assert rows["YAF_bite_ps"]["label"] == "pleasant_surprise"
    assert rows["YAF_bite_ps"]["text"] == "Say the word bite."
    assert rows["YAF_back_sad"]["audio"] == "YAF_sad/YAF_back_sad.wav"
    assert found.left_out == {"a second copy": ["TESS/YAF_Sad/YAF_bite_sad.wav"]}
    assert found.missing == ("198 of 200 words (14 recordings each)",)


@of("esd")
def test_esd_splits_by_sentence_and_reads_transcripts_in_their_encodings(down):
    tree = list_tree(down)
    found = Esd.read(tree, EsdOptions())
    rows = {row["id"]: row for row in found.rows if row["audio"] in tree.all}
    assert rows["0001_000351"]["text"] == "打远一看"
    assert rows["0011_000401"]["text"] == "The nine the eggs."
    assert {name: (row["label"], row["split"], row["language"]) for name, row in rows.items()} == {
        "0001_000351": ("angry", "val", "zh"), "0001_001400": ("sad", "train", "zh"),
        "0011_000401": ("angry", "train", "en"), "0011_001421": ("surprise", "test", "en"),
    }  # fmt: skip
    assert "0002 (all 1,750 utterances)" in found.missing
    english = Esd.read(tree, EsdOptions(language="en"))
    assert {row["speaker"] for row in english.rows} == {"0011"}
    assert len(english.left_out["another language"]) == 2


@of("esd")
def test_esd_official_folders_agree_with_the_numbers(down):
    """The folders train, evaluation and test of the published paths that are known."""
    tree = list_tree(down)
    folders = {"train": "train", "val": "evaluation", "test": "test"}
    for row in Esd.read(tree, EsdOptions(language="en")).rows:
        parts = row["audio"].split("/")
        assert len(parts) == 3 or parts[2] == folders[row["split"]]
    splits = {row["id"]: row["split"] for row in Esd.read(tree, EsdOptions()).rows}
    known = {"000001": "val", "000701": "val", "001057": "val", "001420": "val", "000371": "test",
             "000021": "test", "000721": "test"}  # fmt: skip
    assert {number: splits[f"0011_{number}"] for number in known} == known


@of("msppodcast")
def test_msppodcast_has_classes_ratings_and_two_tests(down):
    found = MspPodcast.read(list_tree(down), MspPodcastOptions())
    rows = found.rows
    assert column(rows, "label") == ["anger", "happiness", "neutral", "contempt", "neutral"]
    assert column(rows, "split") == ["train", "train", "val", "test", "test"]
    assert column(rows, "test_set") == ["", "", "", "test1", "test2"]
    assert column(rows, "speaker") == ["7", "8", "", "30", "39"]
    assert column(rows, "sex") == ["male", "female", "", "male", "male"]
    assert rows[0]["text"] == "so I said no"
    assert (rows[0]["arousal"], rows[0]["valence"], rows[0]["dominance"]) == ("2.2", "4.0", "2.6")
    assert found.left_out["Test3, whose labels are not published"] == [
        "Audios/MSP-PODCAST_test3_0001.wav"
    ]


@of("msppodcast")
def test_msppodcast_options_keep_classes_and_one_test(down):
    options = MspPodcastOptions(classes="four", test="test1")
    found = MspPodcast.read(list_tree(down), options)
    assert column(found.rows, "label") == ["anger", "happiness", "neutral", ""]
    assert found.left_out["another test set"] == ["Audios/MSP-PODCAST_0004_0001.wav"]


@of("msppodcast")
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (",Train", ",Trian", "expected Split_Set to be Train, Development, Test1 or Test2; found"),
        (".wav,A,", ".wav,Z,", "expected EmoClass to be one of A, H, S"),
        ("0001_0002", "0001_0001", "MSP-PODCAST_0001_0001.wav has two rows"),
    ],
)
def test_msppodcast_says_what_is_wrong_with_a_row(down, old, new, said):
    path = down / "Labels" / "labels_consensus.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DatasetError) as caught:
        MspPodcast.read(list_tree(down), MspPodcastOptions())
    assert said in str(caught.value)


@of("msppodcast")
def test_msppodcast_takes_the_older_name_a_mark_and_windows_lines(down):
    path = down / "Labels" / "labels_consensus.csv"
    text = "\ufeff" + path.read_text().replace("\n", "\r\n")
    path.with_name("labels_concensus.csv").write_bytes(text.encode())
    path.unlink()
    assert len(MspPodcast.read(list_tree(down), MspPodcastOptions()).rows) == 5


@of("emorynlp")
def test_emorynlp_clips_and_the_whole_release_name_the_same_utterances(down):
    tree = list_tree(down)
    clips = EmoryNlp.read(tree, EmoryNlpOptions()).rows
    assert clips[0] == {
        "id": "s01_e02_c01_u001", "video": "emorynlp_train_splits/sea1_ep2_sc1_utt1.mp4",
        "text": "What you guys don't understand is, for us, kissing is as important as any part "
        "of it.", "split": "train", "dialogue": "s01_e02_c01", "turn": "1",
        "speaker": "Monica Geller", "label": "joyful",
    }  # fmt: skip
    whole = EmoryNlp.read(tree, EmoryNlpOptions(release="whole")).rows
    for name in ("id", "text", "label", "split", "dialogue", "turn"):
        assert column(whole, name) == column(clips, name)
    assert whole[0]["speaker"] == "Joey Tribbiani and Ross Geller"
    assert "video" not in whole[0]


@of("emorynlp")
def test_emorynlp_broken_clips_of_the_archive_keep_their_text(down):
    header = "Utterance,Speaker,Emotion,Scene_ID,Utterance_ID,Season,Episode"
    table(down / "emorynlp_train_final.csv", header, "Hi,['Ross Geller'],Sad,3,9,4,4")
    found = EmoryNlp.read(list_tree(down), EmoryNlpOptions())
    assert found.rows[0]["video"] in found.tolerated
    table(down / "emorynlp_train_final.csv", header, "Hi,['Ross Geller'],Sad,3,IX,4,4")
    with pytest.raises(DatasetError, match="expected numbers in Season, Episode, Scene_ID and"):
        EmoryNlp.read(list_tree(down), EmoryNlpOptions())


@of("dailydialog")
def test_dailydialog_has_emotions_and_acts_by_turn(down):
    found = DailyDialog.read(list_tree(down), KEEP)
    assert found.rows[1] == {
        "id": "train_00000_01", "text": "Hi , Tom !", "split": "train", "dialogue": "train_00000",
        "turn": "1", "label": "happiness", "act": "inform",
    }  # fmt: skip
    assert found.notes == (
        "dialogues that are in two splits: train and val 1; kept; -o repeats=drop leaves out those "
        "of train",
    )


@of("dailydialog")
def test_dailydialog_repeats_leave_the_earlier_split_alone(down):
    found = DailyDialog.read(list_tree(down), DROP)
    assert {row["dialogue"] for row in found.rows} == {
        "train_00000", "val_00000", "test_00000",
    }  # fmt: skip
    assert found.notes == ("dialogues that are in two splits: train and val 1; 1 left out",)


@of("dailydialog")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 4 \n0 \n", "line 2: expected 2 numbers, one for each utterance in train/dialogues_t"),
        ("0 4 \n0 7 \n", "line 2: expected numbers from 0 to 6; found '0 7'"),
        ("0 4 \n0 -1 \n", "line 2: expected numbers from 0 to 6"),
        ("0 4 \n", "expected 2 lines as in train/dialogues_train.txt; found 1"),
    ],
)
def test_dailydialog_files_that_do_not_fit_each_other_are_named(down, text, said):
    (down / "train" / "dialogues_emotion_train.txt").write_text(text)
    with pytest.raises(DatasetError) as caught:
        DailyDialog.read(list_tree(down), KEEP)
    assert said in str(caught.value)


@of("dailydialog")
def test_dailydialog_takes_a_mark_windows_lines_and_no_acts(down):
    for path in down.rglob("*_act_*"):
        path.unlink()
    path = down / "train" / "dialogues_train.txt"
    path.write_bytes(("\ufeff" + path.read_text().replace("\n", "\r\n")).encode())
    found = DailyDialog.read(list_tree(down), KEEP)
    assert found.rows[0]["text"] == "Hello ."
    assert "act" not in found.rows[0]
    assert "train/dialogues_act_train.txt" in found.missing


@of("goemotions")
def test_goemotions_has_several_labels_and_texts_with_quotes(down, tmp_path):
    rows = GoEmotions.read(list_tree(down), KEEP).rows
    assert column(rows, "label") == [
        "neutral", "neutral", "joy|surprise", "approval|neutral", "admiration",
    ]  # fmt: skip
    assert column(rows, "label_count") == ["1", "1", "2", "2", "1"]
    assert rows[2]["text"] == 'Say "hi'
    make_manifest("goemotions", down, out=tmp_path / "m.csv")
    clips = read_manifest(tmp_path / "m.csv").clips
    assert task_of_cells([clip.targets["label"] for clip in clips]) == "multilabel"


@of("goemotions")
def test_goemotions_counts_a_label_that_is_named_twice_once(down):
    with (down / "test.tsv").open("a") as file:
        file.write("Hm\t3,3\tmade003\r\n")
    row = GoEmotions.read(list_tree(down), KEEP).rows[-1]
    assert (row["label"], row["label_count"]) == ("annoyance", "1")


@of("goemotions")
def test_goemotions_repeats_are_counted_and_dropped(down):
    with (down / "test.tsv").open("a") as file:
        file.write('Say "hi\t3\tmade002\r\n')
    tree = list_tree(down)
    assert "train and test 1; kept" in GoEmotions.read(tree, KEEP).notes[0]
    found = GoEmotions.read(tree, DROP)
    assert column(found.rows, "id")[-1] == "made002"
    assert "made001" not in column(found.rows, "id")


@of("goemotions")
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("no tabs", "test.tsv, line 1: expected a text, numbers from 0 to 27 and an id"),
        ("text\t28\tx", "test.tsv, line 1: expected a text, numbers from 0 to 27"),
        ("text\t1,\tx", "test.tsv, line 1: expected a text, numbers from 0 to 27"),
        ("text\t1\teebbqej", "the comment eebbqej has two rows"),
    ],
)
def test_goemotions_says_which_line_is_not_as_published(down, line, said):
    (down / "test.tsv").write_text(line)
    with pytest.raises(DatasetError) as caught:
        GoEmotions.read(list_tree(down), KEEP)
    assert said in str(caught.value)


@of("goemotions")
def test_goemotions_refuses_other_names_of_the_numbers(down):
    (down / "emotions.txt").write_text("anger\ndisgust\n")
    with pytest.raises(DatasetError, match="expected the 28 emotions of the published files"):
        GoEmotions.read(list_tree(down), KEEP)
