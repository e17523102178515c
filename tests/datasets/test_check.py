import os
import shutil
import time
import wave
from pathlib import Path

import numpy as np
import pytest

from emo.datasets.check import check
from emo.errors import ManifestError
from emo.manifest.make import from_folder, join_tables
from tests.make import make_clip

CASES = Path(__file__).parents[3] / "shared" / "cases" / "heads"


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def found(report):
    """What was found, without what was not."""
    return {f.name: (f.severity, len(f.found)) for f in report.findings if f.found}


def write_wav(path, seconds):
    """A hum, which is no silence."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\0\x20\0\xe0" * (round(seconds * 8000) // 2))


@pytest.fixture
def rows(tmp_path):
    def rows(*lines, **options):
        return check(write(tmp_path / "m.csv", *lines), **options)

    return rows


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("clip") / "good.mp4", seconds=1.0)


@pytest.mark.parametrize("fast", [True, False])
def test_a_sound_manifest_has_no_finding(tmp_path, clip, fast):
    shutil.copy(clip, tmp_path / "a.mp4")
    shutil.copy(clip, tmp_path / "b.mp4")
    manifest = write(tmp_path / "m.csv", "video,label,split", "a.mp4,joy,train", "b.mp4,sad,train")
    report = check(manifest, fast=fast)
    assert found(report) == {}
    assert not report.is_wrong
    assert report.table().endswith("m.csv: 2 clips; 0 errors, 0 warnings")


@pytest.mark.parametrize("fast", [True, False])
def test_missing_and_unreadable_files_are_errors(tmp_path, clip, fast):
    cut = clip.read_bytes()[:3000]
    for name, data in {"zero.mp4": b"", "text.mp4": b"hello " * 99, "cut.mp4": cut}.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.mp4").mkdir()
    names = "zero.mp4", "text.mp4", "cut.mp4", "none.mp4", "folder.mp4"
    report = check(write(tmp_path / "m.csv", "video", *names), fast=fast)
    kind = "unreadable headers" if fast else "undecodable clips"
    assert found(report) == {"missing files": ("error", 2), kind: ("error", 3)}
    assert report.is_wrong
    assert "zero.mp4: the file is empty (0 bytes)" in report.table()


def test_only_decoding_to_the_end_shows_what_is_broken_there(tmp_path):
    data = bytearray(make_clip(tmp_path / "a.mp4", seconds=2.0, audio=False).read_bytes())
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    half = (start + end) // 2
    data[half:end] = b"\xff" * (end - half)
    (tmp_path / "a.mp4").write_bytes(data)
    manifest = write(tmp_path / "m.csv", "video", "a.mp4")
    assert found(check(manifest, fast=True)).keys() == {"clips without sound"}
    assert found(check(manifest))["undecodable clips"] == ("error", 1)


@pytest.mark.parametrize("fast", [True, False])
def test_lengths_are_warned_about(tmp_path, fast):
    write_wav(tmp_path / "long.wav", 61)
    write_wav(tmp_path / "short.wav", 0.05)
    lines = "long.wav,,", "short.wav,,", "long.wav,0,60", "long.wav,1,1.05", "short.wav,0,5"
    report = check(write(tmp_path / "m.csv", "audio,start_seconds,end_seconds", *lines), fast=fast)
    assert found(report) == {
        "clips over 60 s": ("warning", 1),
        "clips under 0.1 s": ("warning", 3),
        "clips that end after their file": ("warning", 1),
    }
    assert "short.wav (0.050 s)" in report.table()


@pytest.mark.parametrize("fast", [True, False])
def test_a_clip_that_starts_after_its_file_is_an_error(tmp_path, fast):
    write_wav(tmp_path / "a.wav", 1)
    report = check(write(tmp_path / "m.csv", "audio,start_seconds", "a.wav,2"), fast=fast)
    assert report.is_wrong
    assert list(found(report)) == ["unreadable headers" if fast else "undecodable clips"]


@pytest.mark.parametrize("fast", [True, False])
def test_lacking_tracks_are_warned_about_unless_another_file_has_the_audio(tmp_path, fast):
    make_clip(tmp_path / "silent.mp4", seconds=0.5, audio=False)
    make_clip(tmp_path / "blind.mp4", seconds=0.5, video=False)
    write_wav(tmp_path / "a.wav", 0.5)
    lines = "silent.mp4,", "blind.mp4,", "silent.mp4,a.wav", ",a.wav"
    report = check(write(tmp_path / "m.csv", "video,audio", *lines, ""), fast=fast)
    names = {"clips without sound", "clips without picture", "duplicate ids"}
    assert set(found(report)) == names  # the third row has the first one's path
    assert found(report)["clips without sound"] == ("warning", 1)
    assert found(report)["clips without picture"] == ("warning", 1)


def write_sound(path, *channels):
    return make_clip(
        path, video=False, samples=np.stack(channels).astype(np.float32), audio_codec="pcm_f32le"
    )


def test_sound_that_is_of_no_use_is_warned_about(tmp_path):
    hum = 0.3 * np.sin(np.arange(16000) / 7)
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, 16000))
    write_sound(tmp_path / "silent.wav", np.zeros(16000), 1e-5 * hum)
    write_sound(tmp_path / "opposite.wav", hum, -hum + 0.01 * noise[0])
    write_sound(tmp_path / "loud.wav", 4 * hum)
    write_sound(tmp_path / "good.wav", hum, hum)
    write_sound(tmp_path / "apart.wav", *noise)
    write_sound(tmp_path / "oneside.wav", hum, np.zeros(16000))
    clicks = hum.copy()
    clicks[::4000] = 1.2  # a lossy codec overshoots
    write_sound(tmp_path / "clicks.wav", clicks)
    write_wav(tmp_path / "cut.wav", 2)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "cut.wav").read_bytes()[:20000])
    names = ["silent", "opposite", "loud", "good", "apart", "oneside", "clicks", "cut"]
    rows = [f"{name},{name}.wav,mix" for name in names] + ["left,opposite.wav,left"]
    manifest = write(tmp_path / "m.csv", "id,audio,audio_channel", *rows)
    report = check(manifest)
    named = {f.name: [text.split(" (")[0] for text in f.found] for f in report.findings if f.found}
    assert named == {
        "clips whose file is cut": ["cut"],
        "clips with silent sound": ["silent"],
        "clips whose channels cancel out": ["opposite"],
        "clips with sound beyond full scale": ["loud"],
    }
    table = report.table()
    assert "cut (the file is cut: the audio ends at 1.25 s of 2.00 s)" in table
    assert "loud (peak 1.2 times full scale, " in table
    assert "dB quieter; choose one in the column audio_channel)" in table
    assert found(check(manifest, fast=True)) == {}
    assert not report.is_wrong


def test_an_audio_track_that_is_not_there_is_an_error(tmp_path, clip):
    shutil.copy(clip, tmp_path / "a.mp4")
    lines = "a.mp4,0", "a.mp4,1", "a.mp4,deu"
    manifest = write(tmp_path / "m.csv", "video,audio_track", *lines)
    for fast in (True, False):
        (wrong,) = (f.found for f in check(manifest, fast=fast).findings if f.found)
        assert len(wrong) == 2
        assert "a.mp4#track=1 (a.mp4: audio_track '1': no such track" in wrong[0]


def test_rows_at_fault_and_duplicate_ids_are_reported_together(rows):
    report = rows("id,text,turn", "a,yes,0", "b,no,x", "a,maybe,1", "c,,")
    assert found(report)["unreadable rows"] == ("error", 2)
    assert found(report)["duplicate ids"] == ("error", 1)
    assert "row 2 and row 4 have the same id 'a'" in report.table()
    assert report.clips == 2


def test_a_file_that_is_no_table_of_clips_is_an_error(rows):
    with pytest.raises(ManifestError, match="--column video=NAME"):
        rows("path", "a.mp4")


def test_a_class_that_train_lacks_is_an_error_in_the_target_alone(rows):
    lines = "a,train,joy,1", "b,train,sad,1", "c,test,fear,2", "d,test,joy,1", "e,val,fear,1"
    report = rows("text,split,label,season", *lines)
    assert found(report) == {
        "classes of label that train lacks": ("error", 2),
        "classes of other columns that train lacks": ("warning", 1),
    }
    assert rows("text,split,label,season", *lines, target="season").is_wrong
    assert not rows("text,split,age,season", *lines).is_wrong


def test_the_task_of_the_target_is_known_as_in_fit_head(rows):
    head = "text,split,label"
    several = "a,train,joy", "b,train,fear", "c,train,joy|fear", "d,test,fear|joy", "e,test,none"
    assert found(rows(head, *several)) == {}
    unseen = rows(head, *several, "f,test,joy|rage")
    assert found(unseen) == {"classes of label that train lacks": ("error", 1)}
    assert "'rage' of label in test (1 clip)" in unseen.table()
    numbers = "a,train,-0.5", "b,train,1", "c,val,0.5", "d,test,2.5"
    report = rows(head, *numbers)
    assert found(report) == {}
    assert report.classes == ()
    assert rows(head, *numbers, task="classify").is_wrong


def test_a_class_that_train_lacks_is_found_among_many(rows):
    lines = [f"t{k},train,emo{k}" for k in range(30)]
    report = rows("text,split,label", *lines, "x,test,emo99", "y,test,emo1")
    assert found(report) == {"classes of label that train lacks": ("error", 1)}


def test_cells_that_are_no_number_are_an_error_unless_the_task_is_given(rows):
    lines = "a,train,0.6", "b,train,-0.6", "c,train,1", "d,train,nan", 'e,test,"0,6"'
    report = rows("id,text,split,label", *(f"{line[0]},{line}" for line in lines))
    assert found(report)["cells of label that are no number"] == ("error", 2)
    assert "leave the cell empty where there is no number" in report.table()
    assert "d 'nan'; e '0,6'" in report.table()
    given = rows("text,split,label", *lines, task="regress")
    assert "cells of label that are no number" not in found(given)


def test_classes_that_differ_only_in_spelling_are_a_warning(rows):
    lines = "a,train,Joy,0", "b,train,joy,0.0", "c,train,joy,1", "d,train,sad,1"
    report = rows("text,split,label,level", *lines)
    assert found(report) == {"classes that differ only in spelling": ("warning", 2)}
    assert "label: 'joy' (2), 'Joy' (1); level: '0' (1), '0.0' (1)" in report.table()


def test_ids_and_texts_as_classes_are_a_warning_and_have_no_table(rows):
    lines = [f"t{k},n{k},{k},{k / 7},w{k % 100},{'ab'[k % 2]},v{k}.npy" for k in range(120)]
    report = rows("text,note,number,share,word,label,vectors", *lines)
    assert found(report)["columns with one row a class"] == ("warning", 1)
    assert "note (120 classes in 120 clips)" in report.table()
    assert [next(iter(table[0])) for table in report.classes] == ["label"]
    report = rows("text,note,number,share,word,label,vectors", *lines, target="number")
    assert found(report)["columns with one row a class"] == ("warning", 2)


@pytest.mark.skipif(os.sep == "\\", reason="there, these are paths")
def test_paths_of_windows_are_named(rows, tmp_path, clip):
    (tmp_path / "in").mkdir()
    shutil.copy(clip, tmp_path / "in" / "a.mp4")
    shutil.copy(clip, tmp_path / "b\\c.mp4")
    lines = "in\\a.mp4,x", "C:\\clips\\d.mp4,y", "b\\c.mp4,x"
    report = rows("video,label", *lines, fast=True)
    assert found(report)["paths with backslashes"] == ("error", 2)
    assert "write / for \\ in the manifest, which finds 1 of 2 files: in\\a.mp4" in report.table()


def test_speakers_that_differ_only_in_spelling_are_a_warning(rows):
    lines = "a,train,joy,S3", "b,train,sad,S4", "c,test,joy,s3", "d,test,sad,S5"
    report = rows("text,split,label,speaker", *lines)
    assert found(report) == {
        "speakers of test that train has too": ("warning", 1),
        "speakers or dialogues spelt in two ways": ("warning", 1),
    }
    assert "speaker 'S3' (1), 's3' (1)" in report.table()


def test_words_for_a_missing_value_are_no_class(rows):
    lines = "a,train,joy,happy", "b,train,sad,NA", "c,train,nan,low", "d,train,None,low"
    report = rows("text,split,label,look", *lines)
    assert found(report) == {
        "missing values of label as words": ("error", 2),
        "classes that are words for no value": ("warning", 1),
    }
    assert "say with --task label=classify that the word is a class: " in report.table()
    given = found(rows("text,split,label,look", *lines, task="classify"))
    assert given == {"classes that are words for no value": ("warning", 2)}


def test_classes_are_counted_by_split(rows):
    report = rows("text,split,label", "a,train,joy", "b,dev,sad", "c,train,sad", "d,train,sad")
    assert report.classes == (
        [
            {"label": "joy", "train": 1, "val": 0, "clips": 1},
            {"label": "sad", "train": 2, "val": 1, "clips": 3},
        ],
    )
    assert "sad        2    1      3" in report.table()


def test_train_must_exist_and_have_two_classes(rows):
    assert found(rows("text,split,label", "a,test,joy", "b,val,sad"))["empty train split"] == (
        "error",
        1,
    )
    report = rows("text,split,label", "a,train,joy", "b,train,joy", "c,train,")
    assert found(report) == {
        "train with one class of label": ("error", 1),
        "clips without label": ("warning", 1),
    }


def test_what_splits_share_is_a_warning(rows):
    lines = ["Yes!,train,anna", "no,train,ben", "yes,test,anna", "yes?,test,cleo", "no,val,ben"]
    report = rows("text,split,speaker", *lines)
    assert found(report) == {
        "speakers of val that train has too": ("warning", 1),
        "texts of val that train has too": ("warning", 1),
        "speakers of test that train has too": ("warning", 1),
        "texts of test that train has too": ("warning", 1),
    }
    assert "of 2, in 1 of 2 clips: anna" in report.table()  # speakers
    assert "of 1, in 2 of 2 clips: 'yes'" in report.table()  # texts
    assert not report.is_wrong


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("v.wav,,mix,0,5", "v.wav,,mix,1,5"),
        ("v.wav,,mix,0,1", "v.wav,,mix,2,3"),
        ("v.wav,,left,,", "v.wav,,right,,"),
        ("v.wav,,mix,,", "v.wav,,right,0,5"),
        ("v.wav,,mix,,", "v.wav,sound.wav,mix,,"),
        ("a.wav,sound.wav,mix,,", "b.wav,sound.wav,mix,,"),
    ],
)
def test_a_file_in_two_splits_is_a_warning_whatever_stretch_of_it(rows, train, test):
    header = "id,video,audio,audio_channel,start_seconds,end_seconds,split,label"
    lines = f"1,{train},train,a", f"2,{test},test,b", "3,other.wav,,mix,0,1,test,b"
    report = rows(header, *lines, "4,own.wav,,mix,,,train,b", fast=True)
    (shared,) = [f for f in report.findings if f.name == "files of test that train has too"]
    assert shared.found == ("sound.wav" if "a.wav" in train else "v.wav",)
    assert "in 1 of 2 clips" in shared.note


def test_turns_millions_apart_take_no_time(rows):
    began = time.process_time()
    report = rows("text,dialogue,turn", "a,0,0", "b,0,20000000", "c,0,20000002", "d,0,20000003")
    assert "0 (turn 1–19999999, 20000001)" in report.table()
    assert time.process_time() - began < 2


def test_turns_and_texts_and_columns_are_looked_at(rows):
    lines = "1,a,0,0,x", "2,b,0,3,y", "3,c,0,3,z", "4,d,1,2,x", "5,e,1,3,"
    report = rows("id,text,dialogue,turn,Speaker", *lines, "6,,2,0,", fast=True)
    assert found(report)["dialogues with gaps in their turns"] == ("warning", 1)
    assert found(report)["turns that occur twice in a dialogue"] == ("warning", 1)
    assert found(report)["columns that look like ours"] == ("warning", 1)
    assert "0 (turn 1–2)" in report.table()
    assert "'Speaker': --column speaker=Speaker" in report.table()
    assert found(report)["unreadable rows"] == ("error", 1)  # no words, no file


def test_empty_texts_and_splits_count_where_others_have_them(tmp_path, clip):
    shutil.copy(clip, tmp_path / "a.mp4")
    lines = "1,a.mp4,yes,train", "2,a.mp4,,train", "3,a.mp4,no,"
    report = check(write(tmp_path / "m.csv", "id,video,text,split", *lines), fast=True)
    assert found(report) == {
        "empty texts": ("warning", 1),
        "clips without a split": ("warning", 1),
    }


def test_a_line_shows_five_examples_and_the_whole_count(rows):
    lines = [f"{k},same words,0,{2 * k}" for k in range(8)]
    report = rows("id,text,dialogue,turn", *lines, "x,,0,1", "y,,,", "z,,,", "v,,,", "w,,,", "u,,,")
    (row,) = [f.row() for f in report.findings if f.name == "unreadable rows"]
    assert row["count"] == 6
    assert row["examples"].count("row ") == 5
    assert row["examples"].endswith("; …")


@pytest.mark.skipif(not CASES.is_dir(), reason=f"no case files at {CASES}")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("10_check/multilabel.csv", {}),
        ("10_check/numbers.csv", {}),
        ("10_check/classes28.csv", {"classes of label that train lacks": ("error", 1)}),
        ("04_number_cells/m.csv", {"cells of label that are no number": ("error", 8)}),
        ("04_number_cells/comma.csv", {}),  # decimal commas are numbers
    ],
)
def test_tables_of_strangers_have_the_errors_that_fit_head_has(name, expected):
    errors = {n: f for n, f in found(check(CASES / name)).items() if f[0] == "error"}
    assert errors == expected


def test_meld_shares_69_of_100_test_speakers(real_data, tmp_path):
    folder = real_data / "text" / "MELD"
    parts = {split: folder / f"{split}_sent_emo.csv" for split in ("train", "test")}
    columns = {"text": "Utterance", "speaker": "Speaker", "label": "Emotion"}
    join_tables(parts, out=tmp_path / "meld.csv", columns=columns)
    report = check(tmp_path / "meld.csv")
    assert found(report) == {
        "speakers of test that train has too": ("warning", 69),
        "texts of test that train has too": ("warning", 162),
    }
    assert "of 100, in 2,501 of 2,610 clips: Joey; Chandler" in report.table()


def test_real_hostile_files_are_told_from_good_ones(real_data, tmp_path):
    bad = {"zero_byte.mp4", "text_named.mp4", "truncated_no_moov.mp4", "truncated_moov_first.mp4",
           "wav_zero_samples.wav"}  # fmt: skip
    good = {"one_frame.mp4", "mp4_named.avi", "wav_8bit_8khz_50ms.wav", "moviepy_1x1.mp4",
            "audio_only.mp4", "decord_video_90.mov"}  # fmt: skip
    for name in bad | good:
        shutil.copy(real_data / "hostile" / name, tmp_path / name)
    from_folder(tmp_path, out=tmp_path / "m.csv")
    report = check(tmp_path / "m.csv")
    (wrong,) = [f.found for f in report.findings if f.name == "undecodable clips"]
    assert {line.split(":")[0].split(" (")[0] for line in wrong} == bad
    assert found(report)["clips under 0.1 s"] == ("warning", 2)  # one frame; 50 ms of audio
