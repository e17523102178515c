import json
import os
import time
from pathlib import Path

import pandas as pd
import pytest

from emo.errors import ManifestError
from emo.manifest import Manifest, inspect_manifest, read_manifest


@pytest.fixture
def write(tmp_path):
    def write(text, name="m.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write


def ids(path, **options):
    return [clip.id for clip in read_manifest(path, **options).clips]


ROWS = [
    {"video": "a.mp4", "text": "NA", "split": "dev", "turn": 3, "dialogue": "7", "label": "joy"},
    {"video": "", "text": 'He said "né",\nthen left', "split": "", "turn": None, "label": "2"},
]


@pytest.mark.parametrize("name", ["m.csv", "m.tsv", "m.jsonl", "m.ndjson", "m.parquet"])
def test_every_format_gives_the_same_clips(tmp_path, name):
    path, frame = tmp_path / name, pd.DataFrame(ROWS)
    if name.endswith("parquet"):
        frame.to_parquet(path)  # turn is a column of floats there: 3.0 and NaN
    elif name.endswith("json") or name.endswith("jsonl"):
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    else:
        frame.to_csv(path, sep="\t" if name == "m.tsv" else ",", index=False)
    first, second = read_manifest(path).clips
    assert (first.id, first.text, first.split, first.turn) == ("val/7/3", "NA", "val", 3)
    assert first.dialogue == "7"
    assert first.targets == {"label": "joy"}
    assert second.text == 'He said "né",\nthen left'
    assert (second.video, second.split, second.turn) == (None, None, None)
    assert second.targets == {"label": "2"}
    assert second.id.startswith("text/")


def test_words_for_missing_values_stay_words(write):
    path = write("text,label\nNone,null\nnan,NA\n")
    clips = read_manifest(path).clips
    assert [(clip.text, clip.targets["label"]) for clip in clips] == [
        ("None", "null"),
        ("nan", "NA"),
    ]


def test_a_byte_order_mark_and_blank_rows_do_no_harm(write):
    path = write("\ufefftext,turn\nyes,0\n\n,\nno,x\n")
    with pytest.raises(ManifestError, match=r"row 5: turn 'x'"):
        read_manifest(path)


def test_semicolons_as_excel_writes_them_are_understood(write):
    assert read_manifest(write("text;label\nyes, sir;joy\n")).clips[0].text == "yes, sir"


def test_foreign_columns_are_mapped_and_the_rest_are_targets(write):
    path = write("Utterance,Emotion,Sentiment\nhello,joy,\n")
    (clip,) = read_manifest(path, columns={"text": "Utterance", "label": "Emotion"}).clips
    assert clip.text == "hello"
    assert clip.targets == {"label": "joy"}


def test_a_mapped_column_that_does_not_exist_names_the_nearest(write):
    with pytest.raises(ManifestError, match=r"'Emotoin'; did you mean 'Emotion'"):
        read_manifest(write("text,Emotion\na,b\n"), columns={"label": "Emotoin"})


def test_mapping_onto_another_column_is_refused(write):
    path = write("text,label,Emotion\na,b,c\n")
    with pytest.raises(ManifestError, match="has a column 'label' already"):
        read_manifest(path, columns={"label": "Emotion"})
    both = {"label": "Emotion", "old": "label"}
    assert read_manifest(path, columns=both).clips[0].targets == {"label": "c", "old": "b"}


@pytest.mark.parametrize("word", ["val", "valid", "Validation", "DEV"])
def test_one_split_has_several_names(write, word):
    assert read_manifest(write(f"text,split\na,{word}\n")).clips[0].split == "val"


def test_default_ids_tell_stretches_and_channels_of_one_file_apart(write):
    path = write(
        "audio,start_seconds,end_seconds,audio_channel\n"
        'c.wav,,,left\nc.wav,,,right\nc.wav,0,1.5,\nc.wav,"00:01:02,500",,mix\nc.wav,,,1.0\n'
    )
    assert ids(path) == ["c.wav#left", "c.wav#right", "c.wav#0-1.5", "c.wav#62.5-", "c.wav#1"]


def test_an_audio_track_is_a_number_or_a_language_and_tells_rows_apart(write):
    path = write("audio,audio_track\nf.mkv,\nf.mkv,0\nf.mkv,1.0\nf.mkv,ENG\nf.mkv,pt-BR\n")
    clips = read_manifest(path).clips
    assert [clip.audio_track for clip in clips] == [None, "0", "1", "eng", "pt-br"]
    tracks = ["", "#track=0", "#track=1", "#track=eng", "#track=pt-br"]
    assert ids(path) == [f"f.mkv{track}" for track in tracks]


def test_ids_of_words_do_not_depend_on_their_row(write):
    before = ids(write("text\nyes\nno\nyes\n", "a.csv"))
    after = ids(write("text\nmaybe\nyes\nno\nyes\n", "b.csv"))
    assert after[1:] == before
    assert len(set(after)) == 4


def test_a_dialogue_value_in_two_splits_means_two_dialogues(write):
    path = write("text,split,dialogue,turn\na,train,0,0\nb,dev,0,0\nc,train,1,0\nd,train,,0\n")
    clips = read_manifest(path).clips
    assert [clip.dialogue for clip in clips] == ["train/0", "val/0", "1", None]
    assert [clip.id for clip in clips][:3] == ["train/0/0", "val/0/0", "train/1/0"]


def test_a_duplicate_names_both_rows(write):
    path = write("id,text\nx,a\ny,b\nx,c\n")
    with pytest.raises(ManifestError, match=r"row 2 and row 4 have the same id 'x'"):
        read_manifest(path)
    manifest, problems = inspect_manifest(path)
    assert len(manifest.clips) == 3
    assert [problem.kind for problem in problems] == ["duplicate"]


def test_the_first_bad_row_is_named_and_the_others_counted(write):
    path = write("text,turn\na,-1\nb,0\nc,1.5\n")
    with pytest.raises(ManifestError, match=r"row 2: turn '-1'.*\(1 more: `emo check"):
        read_manifest(path)
    assert len(inspect_manifest(path)[0].clips) == 1


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("text,split", "a,tset", "split 'tset'; expected one of train, val"),
        ("text,audio", " ,", "no video, no audio and no text"),
        ("text,turn", "a,one", "turn 'one'; expected a whole number"),
        ("audio,start_seconds,end_seconds", "a.wav,2,2", "end_seconds 2 is not after"),
        ("audio,end_seconds", "a.wav,0", "end_seconds 0 is not after"),
        ("audio,start_seconds", "a.wav,nan", "start_seconds 'nan'; expected seconds"),
        ("audio,start_seconds", "a.wav,-1", "start_seconds '-1'; expected seconds"),
        ("audio,audio_channel", "a.wav,both", "audio_channel 'both'; expected mix, left"),
        ("audio,audio_track", "a.wav,-1", "audio_track '-1'; expected a number from 0 or a"),
        ("text,id", 'a,"x\ny"', "holds a line break"),
        ("text,label", "a", "expected 2 cells as in the header, got 1"),
        ("text,label", '"a,b', "unexpected end of data"),
    ],
)
def test_a_bad_cell_is_named_with_its_row(write, header, row, message):
    with pytest.raises(ManifestError, match=r"row 2: ") as caught:
        read_manifest(write(f"{header}\n{row}\n"))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        ("1.5", 1.5),
        ("00:16:16,059", 976.059),
        ("1:02", 62.0),
        ("0 days 00:00:01.500000", 1.5),
        ("1 day 00:00:01", 86401),  # pandas, audformat
    ],
)
def test_times_are_seconds_or_clock_times(write, cell, seconds):
    (clip,) = read_manifest(write(f'audio,start_seconds\na.wav,"{cell}"\n')).clips
    assert clip.start_seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    "path",
    [
        "../x.mp4",
        "a/../../x.mp4",
        "/etc/passwd",
        "../../etc/passwd",
        "http://host/x.mp4",
        "file:///etc/passwd",
        "a\0b.mp4",
        ".",
        "",
    ],
)
@pytest.mark.parametrize("column", ["video", "audio"])
def test_no_path_leaves_the_root(write, tmp_path, path, column):
    with pytest.raises(ManifestError, match=r"m.csv: row 2: ") as caught:
        read_manifest(write(f'{column},label\n"{path}",x\n'))
    assert "URL" in str(caught.value) or "--root" in str(caught.value) or not path
    if path:
        manifest = Manifest(tmp_path / "m.csv", tmp_path, (), "")
        with pytest.raises(ManifestError):
            manifest.media_path(path)


def test_a_neighbour_folder_with_the_same_beginning_is_outside(write, tmp_path):
    (tmp_path / "root").mkdir()
    with pytest.raises(ManifestError, match="leaves the folder"):
        read_manifest(write("video\n../root2/x.mp4\n"), root=tmp_path / "root")


def test_absolute_paths_below_the_root_become_relative(write, tmp_path):
    path = write(f"video\n{tmp_path}/clips/a.mp4\nclips/../b.mp4\n")
    manifest = read_manifest(path)
    assert [clip.video for clip in manifest.clips] == [os.path.join("clips", "a.mp4"), "b.mp4"]
    assert manifest.media_path("clips/a.mp4") == tmp_path / "clips" / "a.mp4"
    other = read_manifest(path, root=tmp_path.parent)
    assert other.clips[0].video == os.path.join(tmp_path.name, "clips", "a.mp4")


def test_the_root_slash_allows_everything(write):
    (clip,) = read_manifest(write("video\n/data/x.mp4\n"), root=Path(os.sep)).clips
    assert clip.video == os.path.join("data", "x.mp4")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.csv", "", "found none"),
        ("m.csv", "text,label\n", "no clips"),
        ("m.csv", "path,Emotion\na,b\n", "found 'path', 'Emotion'.*--column video=NAME"),
        ("m.csv", "text,a,a\nx,1,2\n", "two columns are called 'a'"),
        ("m.json", "[]", "expected one of .csv .tsv .jsonl"),
        ("m.jsonl", '{"text": "a"}\nnot json\n', "line 2 is not JSON"),
        ("m.jsonl", '["a"]\n', "line 1: expected {…}"),
        ("m.jsonl", '{"text": ["a"]}\n', "line 1, column 'text': expected text or a number"),
        ("m.parquet", "no", "not a Parquet file"),
    ],
)
def test_a_file_that_is_no_manifest_says_so(write, name, text, message):
    with pytest.raises(ManifestError, match=message):
        read_manifest(write(text, name))


def test_another_encoding_is_named_with_its_line(write):
    path = write("text\nyes\nit’s\n", encoding="cp1252")
    with pytest.raises(ManifestError, match=r"UTF-8, found byte 0x92 in line 3"):
        read_manifest(path)


def test_a_missing_file_and_a_folder_say_what_to_do(tmp_path):
    with pytest.raises(ManifestError, match="emo manifest folder"):
        read_manifest(tmp_path / "m.csv")
    with pytest.raises(ManifestError, match=f"emo manifest folder {tmp_path}"):
        read_manifest(tmp_path)


def test_a_root_that_does_not_exist_is_an_error(write, tmp_path):
    with pytest.raises(ManifestError, match="no such folder"):
        read_manifest(write("text\na\n"), root=tmp_path / "none")


def test_ten_times_the_rows_take_ten_times_as_long(write):
    """100k rows: 11 times csv.reader alone, about a second on a laptop."""

    def seconds(rows):
        line = "a/b/{0}.mp4,same words,train,{1},{2},joy\n"
        lines = (line.format(k, k // 20, k % 20) for k in range(rows))
        path = write("video,text,split,dialogue,turn,label\n" + "".join(lines))
        times = []
        for _ in range(3):
            started = time.process_time()
            assert len(read_manifest(path).clips) == rows
            times.append(time.process_time() - started)
        return min(times)

    seconds(100)
    assert seconds(10_000) < 30 * seconds(1_000)  # anything quadratic would take 100 times


def test_meld_is_read_as_it_is(real_data, tmp_path):
    columns = {"text": "Utterance", "dialogue": "Dialogue_ID", "turn": "Utterance_ID"}
    path = real_data / "text" / "MELD" / "train_sent_emo.csv"
    clips = read_manifest(path, columns=columns).clips
    assert len(clips) == 9989
    assert clips[0].text.endswith("company’s transition from the KL-5 to GR-6 system.")
    assert len({clip.dialogue for clip in clips}) == 1038
    assert all(clip.text for clip in clips)


@pytest.mark.parametrize(
    "line", ['{"id": "a", "text": "so \\ud83d"}', '{"\\uDC00": 1, "text": "a"}']
)
def test_half_a_letter_is_refused_with_its_line(tmp_path, line):
    whole = '{"id": "b", "text": "\\ud83d\\ude00 \\\\ud83d"}'
    (tmp_path / "m.jsonl").write_text(f"{whole}\n{line}\n")
    with pytest.raises(ManifestError, match=r"line 2 is not JSON: .*half of a character"):
        read_manifest(tmp_path / "m.jsonl")
    (tmp_path / "m.jsonl").write_text(whole)
    assert read_manifest(tmp_path / "m.jsonl").clips[0].text == "\U0001f600 \\ud83d"


def test_a_url_that_lost_a_slash_is_no_path_and_is_not_shown_whole(tmp_path):
    (tmp_path / "m.csv").write_text("audio\nhttps:/example.org/a.wav?tok=HIDDEN\n")
    with pytest.raises(ManifestError, match="two slashes behind its colon") as found:
        read_manifest(tmp_path / "m.csv")
    assert "HIDDEN" not in str(found.value)
    (tmp_path / "m.csv").write_text("audio\nodd:/a.wav\n")
    assert read_manifest(tmp_path / "m.csv").clips[0].audio == "odd:/a.wav"
