"""Clips from Python: DataFrames, folders, joins; what a notebook shows of them."""

import warnings

import numpy as np
import pandas as pd
import pytest

import emo
from emo.errors import ManifestError

FRAME = pd.DataFrame(
    {
        "Said": ["so", "no", "yes"],
        "label": ["joy", "anger", "joy"],
        "turn": [0.0, 1.0, np.nan],
        "valence": [0.5, -1.25, np.nan],
        "odd": [True, None, False],
    },
    index=pd.Index(["a", "b", "c"], name="id"),
)


def test_a_frame_and_its_csv_are_the_same_clips(tmp_path):
    made = emo.Manifest.from_frame(FRAME, columns={"text": "Said"})
    FRAME.to_csv(tmp_path / "m.csv")
    read = emo.read_manifest(str(tmp_path / "m.csv"), columns={"text": "Said"}, root=".")
    assert [c.text for c in made.clips] == ["so", "no", "yes"]
    assert [c.turn for c in made.clips] == [0, 1, None]
    assert made.clips[1].targets["valence"] == "-1.25"
    same = [(a.id, a.text, a.turn, a.targets.get("label")) for a in read.clips]
    assert same == [(a.id, a.text, a.turn, a.targets.get("label")) for a in made.clips]
    again = made.save(tmp_path / "saved.parquet")
    assert again.clips == made.clips


@pytest.mark.parametrize("value", [None, np.nan, pd.NA, pd.NaT])
def test_every_missing_value_is_an_empty_cell(value):
    frame = pd.DataFrame({"text": ["x", "y"], "label": ["joy", value]}, dtype=object)
    assert "label" not in emo.Manifest.from_frame(frame).clips[1].targets


def test_whole_numbers_stay_whole_and_ids_stay_text():
    frame = pd.DataFrame({"id": [1, 2], "text": ["x", "y"], "n": np.float32([3, 0.1])})
    clips = emo.Manifest.from_frame(frame).clips
    assert [clip.id for clip in clips] == ["1", "2"]
    assert clips[0].targets["n"] == "3"
    assert float(np.float32(clips[1].targets["n"])) == np.float32(0.1)


def test_an_error_is_the_commands_sentence():
    with pytest.raises(emo.EmoError, match="expected a column video, audio or text"):
        emo.Manifest.from_frame(pd.DataFrame({"x": [1]}))
    with pytest.raises(ManifestError, match="same id"):
        emo.Manifest.from_frame(pd.DataFrame({"id": ["a", "a"], "text": ["x", "y"]}))


def test_join_names_files_by_stem_and_counts_what_is_left(tmp_path):
    for name in ("anna_1", "ben_1"):
        (tmp_path / f"{name}.wav").write_bytes(b"RIFF")
    with pytest.warns(UserWarning, match="no label in the names"):
        m = emo.Manifest.from_folder(tmp_path, out=tmp_path / "m.csv")
    table = pd.DataFrame({"Clip": ["anna_1", "eve_9"], "Transcript": ["hello", "x"]})
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        joined = m.join(table, columns={"text": "Transcript"})
    assert [clip.text for clip in joined.clips] == ["hello", None]
    for number, words in enumerate(("by 'Clip'", "eve_9", "ben_1")):
        assert words in str(said[number].message)
    with pytest.warns(UserWarning, match="without a") as said:
        m.join(table, on="Clip", columns={"text": "Transcript"})
    assert "by 'Clip'" not in "".join(str(each.message) for each in said)
    assert joined.root == m.root


def test_short_reprs_and_html_that_runs_nothing():
    frame = pd.DataFrame({"text": ["<script>x</script>"] * 300, "label": ["<img>"] * 300})
    m = emo.Manifest.from_frame(frame)
    assert len(repr(m)) < 200
    html = m._repr_html_()
    assert len(html) < 5000
    assert "<script>" not in html
    assert "<img>" not in html


def test_check_says_what_the_command_says():
    frame = pd.DataFrame({"text": list("abcd"), "label": ["joy", "Joy ", "joy", "fear"],
                          "split": ["train", "train", "train", "test"]})  # fmt: skip
    report = emo.Manifest.from_frame(frame).check(fast=True)
    found = report.frame.set_index("finding")
    assert found.loc["classes of label that train lacks", "severity"] == "error"
    assert report.is_wrong
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "classes of label that train lacks" in repr(report)


def test_every_level_of_an_index_is_kept():
    index = pd.MultiIndex.from_tuples([("a", "s1"), ("b", "s2")], names=["id", "speaker"])
    clips = emo.Manifest.from_frame(pd.DataFrame({"text": ["x", "y"]}, index=index)).clips
    assert [(clip.id, clip.speaker) for clip in clips] == [("a", "s1"), ("b", "s2")]
    unnamed = pd.DataFrame({"text": ["x", "y"]}, index=["a", "b"])
    assert emo.Manifest.from_frame(unnamed).ids == ["a", "b"]


def test_values_of_one_meaning_are_written_in_one_way():
    frame = pd.DataFrame({"text": ["x", "y"], "n": np.float32([0.1, 2.5])})
    frame["plain"], frame["nullable"] = [True, False], pd.array([True, False], "boolean")
    frame["with_na"] = pd.array([True, None], "boolean")
    first = emo.Manifest.from_frame(frame).clips[0]
    assert first.targets == {"n": "0.1", "plain": "true", "nullable": "true", "with_na": "true"}


def test_what_is_no_table_of_clips_is_said():
    frame = pd.DataFrame([["x", "y"]], columns=["text", "text"])
    with pytest.raises(emo.EmoError, match="two columns are called 'text'"):
        emo.Manifest.from_frame(frame)
    with pytest.raises(emo.EmoError, match="expected a DataFrame, got Series"):
        emo.Manifest.from_frame(FRAME["label"])
    with pytest.raises(emo.EmoError, match=r"emo\.Manifest\.from_frame"):
        emo.read_manifest(FRAME)


def test_a_saved_manifest_finds_its_media_again(tmp_path):
    (tmp_path / "a" / "media").mkdir(parents=True)
    (tmp_path / "a" / "media" / "x.wav").write_bytes(b"RIFF")
    frame = pd.DataFrame({"id": ["x"], "audio": ["x.wav"]})
    m = emo.Manifest.from_frame(frame, root=tmp_path / "a" / "media")
    m.save(tmp_path / "a" / "y.csv")
    read = emo.read_manifest(tmp_path / "a" / "y.csv")
    assert read.media_path(read.clips[0].audio) == tmp_path / "a" / "media" / "x.wav"
    (tmp_path / "b").mkdir()
    with pytest.warns(UserWarning, match="read it with root="):
        m.save(tmp_path / "b" / "y.csv")


def test_a_folder_takes_its_transcripts(tmp_path):
    (tmp_path / "anna_1.wav").write_bytes(b"RIFF")
    (tmp_path / "t.csv").write_text("file,text\nanna_1,hello\n")
    words = {"out": tmp_path / "m.csv", "transcripts": tmp_path / "t.csv"}
    with pytest.warns(UserWarning, match="by 'file'"):
        m = emo.Manifest.from_folder(tmp_path, **words)
    assert [clip.text for clip in m.clips] == ["hello"]


def test_a_cell_that_is_a_list_is_refused_with_its_row():
    frame = pd.DataFrame({"text": ["x", "y"], "label": ["joy", ["joy", "fear"]]})
    with pytest.raises(ManifestError, match="row 2, column 'label': expected text or a number"):
        emo.Manifest.from_frame(frame)


def test_a_folder_says_what_was_taken_from_names(tmp_path):
    for name in ("train/joy/anna_1", "train/fear/anna_2", "test/joy/ben_1", "test/fear/ben_2"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.wav").write_bytes(b"RIFF")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        m = emo.Manifest.from_folder(tmp_path, out=tmp_path / "m.csv")
    text = "; ".join(str(each.message) for each in said)
    assert "taken from names: split: folder 1; label: folder 2" in text
    assert "as a pattern: {split}/{label}/{speaker}_{take}" in text
    assert {clip.targets["label"] for clip in m.clips} == {"joy", "fear"}
