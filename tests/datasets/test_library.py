"""What each data set's own recipe knows: splits, labels, names, faults."""

import shutil

import numpy as np
import pytest

from emo.datasets.library.folder import Folder, FolderOptions
from emo.datasets.make import DatasetRequest, make_manifest
from emo.datasets.tree import list_tree
from emo.manifest import read_manifest
from emo.store import Store
from tests.datasets.trees import TREES, hostile_npz, rows_of, table


@pytest.fixture
def make(tmp_path, media):
    """Write a data set's small download, change it, and read it: (rows of the manifest, report)."""

    def run(name, change=lambda folder: None, *, partial=False, **options):
        folder = tmp_path / "down"
        if not folder.exists():
            folder.mkdir()
            TREES[name](folder, media)
        change(folder)
        out = tmp_path / "m.csv"
        out.unlink(missing_ok=True)
        request = DatasetRequest(options, is_partial=partial)
        report = make_manifest(name, folder, out=out, request=request)
        return (rows_of(out) if out.exists() else None), report

    return run


def column(rows, name):
    return [row.get(name, "") for row in rows]


def test_meld_dialogues_of_three_splits_are_never_merged(make, tmp_path):
    rows, report = make("meld")
    assert column(rows, "dialogue") == ["0"] * 9
    clips = read_manifest(tmp_path / "m.csv").clips
    assert {clip.dialogue for clip in clips} == {"train/0", "val/0", "test/0"}
    found = {(row["what"], row["of"]): row["found"] for row in report.comparison}
    assert [found["dialogues", split] for split in ("train", "val", "test")] == [1, 1, 1]


def test_meld_strays_are_named_and_left_out(make):
    rows, report = make("meld")
    assert not any("final_videos" in row["video"] or "utt9" in row["video"] for row in rows)
    text = report.text()
    assert "second versions of test clips: 1: output_repeated_splits_test/final_videos_test" in text
    assert "no row names them: 1: output_repeated_splits_test/dia66_utt9.mp4" in text
    assert "._dia0" not in text


def test_meld_takes_the_second_version_where_the_first_is_not_there(make):
    rows, report = make(
        "meld", lambda d: (d / "output_repeated_splits_test/dia0_utt1.mp4").unlink()
    )
    assert "final_videos_testdia0_utt1.mp4" in column(rows, "video")[7]
    assert not report.missing


def test_meld_faults_of_the_published_archive_do_not_stop_anybody(make, media):
    def as_published(folder):
        header = "Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID"
        table(folder / "dev_sent_emo.csv", header, "Oh,Ross,joy,positive,110,7")
        table(folder / "train_sent_emo.csv", header, "No,Ross,joy,positive,125,3",
              "Hi,Ross,joy,positive,125,4")  # fmt: skip
        (folder / "train_splits/dia125_utt3.mp4").write_bytes(b"\0" * 3000)
        media.put(folder / "train_splits/dia125_utt4.mp4")

    rows, report = make("meld", as_published)
    by_text = {row["text"]: row["video"] for row in rows}
    assert by_text["Oh"] == by_text["No"] == ""
    assert by_text["Hi"].endswith("dia125_utt4.mp4")
    assert not report.missing
    assert "wrong in the published data, too; their rows are kept without: 2" in report.text()


def test_the_tables_of_meld_alone_make_a_manifest_of_texts(make):
    def texts_only(folder):
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)

    rows, report = make("meld", texts_only)
    assert "video" not in rows[0]
    assert "no video: none of 9 files such as train_splits/dia0_utt0.mp4 is there" in report.text()


def test_ecf_and_semeval_have_causes_as_pairs_and_clips_by_name(make, tmp_path):
    rows, report = make("ecf")
    assert column(rows, "cause") == ["none", "joy:1 joy:2"] * 3
    assert rows[1]["video"] == "down/clips/dia1utt2.mp4"
    found = {(row["what"], row["of"]): row["found"] for row in report.comparison}
    assert found["pairs", "train"] == 2


def test_ecf_reads_json_too_and_names_the_split_that_is_missing(make, tmp_path, media):
    folder = tmp_path / "down"
    folder.mkdir()
    TREES["semeval2024"](folder, media)
    (folder / "Subtask_2_train.json").rename(folder / "train.json")
    rows, report = make("ecf", partial=True)
    assert column(rows, "video") == ["down/train/dia1utt1.mp4", "down/train/dia1utt2.mp4"]
    assert report.missing == ("dev.txt (val)", "test.txt (test)")


def test_a_clip_name_in_somebodys_json_cannot_leave_the_folder(make, tmp_path):
    def hostile(folder):
        for file in folder.glob("*.json"):
            file.write_text(file.read_text().replace("dia1utt1.mp4", "../../../etc/passwd.mp4"))

    rows, report = make("semeval2024", hostile, partial=True)
    assert report.missing == ("videos/passwd.mp4 (missing)",)
    assert len(rows) == 3


def test_cremad_has_what_was_acted_and_what_was_voted(make):
    rows, report = make("cremad")
    first = rows[0]
    assert first["video"].endswith("VideoFlash/1001_IEO_ANG_LO.flv")
    assert first["audio"].endswith("AudioWAV/1001_IEO_ANG_LO.wav")
    assert (first["label"], first["level"], first["speaker"]) == ("anger", "low", "1001")
    assert (first["voice_vote"], first["face_vote"]) == ("anger|sad", "sad")
    assert [float(first[f"voice_{e}"]) for e in ("anger", "neutral", "sad", "fear")] == [
        0.6, 0.2, 0.2, 0
    ]  # fmt: skip
    assert float(first["face_neutral"]) == pytest.approx(2 / 3, abs=1e-4)
    assert "ties of the most votes: voice 10, face 0, multimodal 0" in report.text()


def test_cremad_votes_become_the_label_and_ties_have_none(make):
    rows, _ = make("cremad", votes="voice")
    assert "label" not in rows[0]
    rows, _ = make("cremad", votes="multimodal")
    assert set(column(rows, "label")) == {"neutral"}
    assert set(column(rows, "acted")) == {"anger", "sad"}


def test_cremad_without_the_tabulated_votes_shares_ties_evenly(make):
    rows, report = make("cremad", lambda d: (d / "processedResults/tabulatedVotes.csv").unlink())
    assert (rows[0]["voice_anger"], rows[0]["voice_sad"], rows[0]["face_sad"]) == (
        "0.5",
        "0.5",
        "1",
    )
    assert "the winners of summaryTable.csv share evenly" in report.text()


@pytest.mark.parametrize("name", ["cremad", "ravdess", "nemo", "emodb"])
def test_splits_that_are_ours_share_no_speaker(make, name):
    rows, _ = make(name, partial=True)
    splits = {}
    for row in rows:
        splits.setdefault(row["speaker"], set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    assert "train" in {split for found in splits.values() for split in found}


def test_ravdess_keeps_a_performance_with_the_media_that_it_has(make):
    def only_sound_of_most(folder):
        for file in sorted(folder.rglob("01-*.mp4"))[1:]:
            file.unlink()

    rows, report = make("ravdess", only_sound_of_most, partial=True)
    assert len(rows) == 5
    assert [bool(row["video"]) for row in rows].count(True) == 1
    assert all(row["audio"] for row in rows)
    assert "4 clips kept without video" in report.text()


def test_ravdess_joins_the_video_and_the_wav_of_a_performance(make):
    rows, report = make("ravdess", partial=True)
    row = next(row for row in rows if row["id"] == "01-06-02-01-01-01")
    assert row["video"].endswith("Actor_01/01-01-06-02-01-01-01.mp4")
    assert row["audio"].endswith("Actor_01/03-01-06-02-01-01-01.wav")
    assert (row["label"], row["level"], row["sex"]) == ("fearful", "strong", "male")
    assert "pictures without sound: 1: Actor_01/02-01" in report.text()
    assert len(report.missing) == 2 * (1440 - 5)


def test_iemocap_turns_follow_their_times_and_keep_all_ratings(make):
    rows, _ = make("iemocap")
    assert column(rows[:4], "turn") == ["0", "1", "2", "3"]
    assert column(rows[:4], "label") == ["ang", "xxx", "exc", "fru"]
    assert column(rows[:4], "speaker") == ["1F", "1M", "1F", "1M"]
    assert rows[0]["text"] == "Turn 0."
    assert [row["split"] for row in rows[::4]] == ["train"] * 3 + ["val", "test"]
    assert set(column(rows, "session")) == set("12345")
    assert float(rows[0]["valence"]) == 2.5


@pytest.mark.parametrize(
    ("labels", "expected"),
    [("four", ["ang", "", "hap", ""]), ("six", ["ang", "", "exc", "fru"])],
)
def test_iemocap_has_the_usual_four_and_six_classes(make, labels, expected):
    rows, report = make("iemocap", labels=labels)
    assert column(rows[:4], "label") == expected
    stated = {row["of"]: row["stated"] for row in report.comparison if row["what"] == "label"}
    assert sum(stated.values()) == {"four": 5531, "six": 7380}[labels]


def test_iemocap_dialogues_are_stretches_of_the_avi(make):
    rows, _ = make("iemocap", media="dialogues")
    assert rows[1]["video"].endswith("Session1/dialog/avi/DivX/Ses01F_impro01.avi")
    assert (float(rows[1]["start_seconds"]), float(rows[1]["end_seconds"])) == (1.1, 1.9)


def test_mmsa_ids_labels_and_padded_names(make):
    rows, _ = make("sims")
    assert rows[0]["id"] == "-v0$_$1"
    assert rows[1]["video"].endswith("Raw/-v0/0002.mp4")
    assert column(rows[::2], "split") == ["train", "val", "test"]
    assert rows[0]["label"] == "-0.5"
    assert "label_T" not in rows[0]


def test_emodb_letters_are_german(make):
    rows, report = make("emodb", partial=True)
    labels = {row["id"][5]: row["label"] for row in rows}
    assert labels == {"F": "happiness", "N": "neutral", "W": "anger", "E": "disgust", "A": "fear",
                      "L": "boredom", "T": "sadness"}  # fmt: skip
    assert report.missing == ("528 of 535 recordings (their names follow no rule)",)


def test_nemo_speakers_lose_their_blanks(make):
    rows, _ = make("nemo")
    assert set(column(rows, "speaker")) == {"EB0", "IC0", "KS0"}
    assert rows[0]["text"] == "„Ród smoka” to serial."


def test_qia2020_has_three_labels_and_word_vectors(make):
    rows, report = make("qia2020")
    assert (rows[0]["label"], rows[0]["label_face"], rows[0]["label_speech"]) == (
        "ang", "hap", "hap",
    )  # fmt: skip
    assert rows[0]["text_vectors"] == "down/train/00001.npz"
    assert rows[-1]["split"] == "test"
    assert rows[-1]["label"] == ""
    assert not report.missing


def test_a_folder_tells_label_and_split_or_a_pattern_does(make, tmp_path):
    rows, _ = make("folder")
    assert column(rows, "label") == ["joy", "joy", "anger", "joy"]
    assert column(rows, "split") == ["val", "test", "train", "train"]
    for number, old in enumerate(["train/joy/a.mp4", "train/anger/b.flv"]):
        path = tmp_path / "down" / old
        path.rename(path.with_stem(f"anna_{number}-sad"))
    rows, report = make("folder", pattern="{speaker}_{take}-{label}")
    assert column(rows, "label") == ["sad", "sad"]
    assert column(rows, "speaker") == ["anna", "anna"]
    assert "the pattern does not fit: 2: dev/joy/c.wav, test/joy/d.mp4" in report.text()


@pytest.mark.parametrize(
    ("path", "split", "label"),
    [
        ("angry/train/1.wav", "train", "angry"),
        ("train/angry/1.wav", "train", "angry"),
        ("anna/angry/Dev/1.wav", "val", "angry"),
        ("test/1.wav", "test", None),
        ("1.wav", None, None),
        ("happy/actor_01/1.wav", None, "happy"),
        ("actor_01/happy/1.wav", None, "happy"),
    ],
)
def test_the_label_is_the_nearest_folder_that_is_no_split(tmp_path, path, split, label):
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).touch()
    (row,) = Folder.read(list_tree(tmp_path), FolderOptions()).rows
    assert (row["split"] or None, row["label"] or None) == (split, label)


def test_arrays_of_a_manifest_come_into_the_store_bit_by_bit(make, emo, tmp_path):
    make("qia2020")
    code, out, _ = emo("extract", "m.csv", "--backbone", "arrays", "-o", "column=text_vectors")
    assert code == 0, out
    assert "text_vectors (T, 20)" in out
    found = Store(tmp_path / "features").read("arrays/text_vectors")
    ids = [clip.id for clip in read_manifest(tmp_path / "m.csv").clips]
    by_id = dict(zip(ids, range(len(ids)), strict=True))
    tokens = np.asarray(found[by_id["train/00003"]])
    np.testing.assert_array_equal(tokens, np.full((3, 20), 3, np.float32))


def test_a_pickled_or_escaping_array_is_a_failure_with_its_reason(make, emo, tmp_path):
    make("qia2020")
    hostile_npz(tmp_path / "down/train/00002.npz")
    rows = (tmp_path / "m.csv").read_text().replace("down/val/00004.npz", "../../secret.npz")
    (tmp_path / "n.csv").write_text(rows)
    code, out, _ = emo("extract", "n.csv", "--backbone", "arrays", "-o", "column=text_vectors")
    assert code == 3
    assert "train/00002 (arrays): text_vectors: down/train/00002.npz: " in out
    assert "holds pickled objects" in out
    assert "val/00004 (arrays): text_vectors: ../../secret.npz: " in out
    assert "leaves the folder of the media" in out
    code, out, _ = emo("extract", "n.csv", "--backbone", "arrays", "-o", "column=text_vectors")
    assert code == 3
    assert "nothing to do" in out
