"""Tables are joined to the files of a folder by name; what has no partner is counted and listed."""

import itertools

import openpyxl
import pytest

from emo.errors import ManifestError
from emo.manifest import read_manifest
from emo.manifest.naming.file_index import FileIndex
from emo.manifest.naming.named_folder import named_folder
from emo.manifest.naming.transcripts import join_transcripts
from emo.manifest.rows import read_rows

FILES = [
    f"{split}/{label}/{speaker}_{take}.mp4"
    for (take, split), label, speaker in itertools.product(
        enumerate(["train", "val", "test"]), ["happy", "sad"], ["anna", "ben"]
    )
]
FILES = [file.replace("_", f"_{label[0]}") for file in FILES for label in [file.split("/")[1]]]


@pytest.fixture
def clips(tmp_path):
    for file in FILES:
        (tmp_path / "d" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / file).touch()
    return tmp_path / "d"


def write(path, *rows):
    if path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        book.save(path)
    else:
        path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    return path


def joined(clips, table, **options):
    return join_transcripts(named_folder(clips).rows, table, clips, **options)


def test_an_excel_table_is_joined_by_the_stem_and_the_rest_is_listed(clips, emo, tmp_path):
    stems = [file.rpartition("/")[2][:-4] for file in FILES]
    lines = [[f"Words of {stem}", stem] for stem in stems[1:]]
    write(tmp_path / "t.xlsx", ["Transcript", "Clip"], *lines, ["Nobody's", "zoe_1"])
    words = ["manifest", "folder", "d", "--transcripts", "t.xlsx", "--on", "stem"]
    code, out, err = emo(*words, "--out", "m.csv")
    assert code == 0, err
    assert "11 files joined with t.xlsx by 'Clip': text" in out
    assert "1 row of t.xlsx without a file: row 13 'zoe_1'" in out
    assert "1 file without a row in t.xlsx: train/happy/anna_h0.mp4" in out
    found = {clip.id: clip.text for clip in read_manifest(tmp_path / "m.csv").clips}
    assert found["d/train/happy/anna_h0.mp4"] is None
    assert found["d/test/sad/ben_s2.mp4"] == "Words of ben_s2"
    code, _, err = emo(*words[:-1], "nothing", "--out", "n.csv")
    assert (code, "for --on 'nothing'" in " ".join(err.split())) == (1, True)


def test_a_metadata_csv_of_hugging_face_is_joined(clips):
    rows = [[file, f"text {k}", "yes"] for k, file in enumerate(FILES)]
    table = write(clips / "metadata.csv", ["file_name", "transcription", "consent"], *rows)
    rows, notes = joined(clips, table)
    assert rows.columns["text"] == [f"text {FILES.index(file)}" for file in rows.origins]
    assert {*rows.columns["consent"]} == {"yes"}
    assert notes == [f"12 files joined with {table} by 'file_name': text, consent"]
    inner = write(clips / "val/metadata.csv", ["file_name", "text"], ["happy/anna_h1.mp4", "x"])
    rows, _ = joined(clips, inner)
    assert rows.columns["text"][rows.origins.index("val/happy/anna_h1.mp4")] == "x"


def test_the_column_of_names_is_no_transcript(clips, tmp_path):
    table = write(tmp_path / "t.csv", ["utterance", "Words"], ["anna_h0", "hi"])
    rows, notes = joined(clips, table)
    assert rows.columns["text"].count("hi") == 1
    assert notes[0] == f"1 file joined with {table} by 'utterance': text"
    with pytest.raises(ManifestError, match=r"no cell of 'Words' names a file .* found 'hi'"):
        joined(clips, table, on="Words")


def test_names_are_found_in_every_writing():
    index = FileIndex(["train/01.wav", "test/01.wav", "test/\u00e9ve.mp4", "test/Bob.mp4"])
    for cell, found in {
        "train/01.wav": [0], "train\\01": [0], "C:\\data\\train\\01.wav": [0], "01": [0, 1],
        "1": [0, 1], "e\u0301ve.wav": [2], "./test/bob": [3], "bob.MP4": [3], "other/01.wav": [],
        "02": [], "": [],
    }.items():  # fmt: skip
        assert index.find(cell) == found, cell
    assert index.find("01.wav", "test") == [1]


def test_what_cannot_be_joined_is_named(clips, tmp_path):
    table = tmp_path / "t.csv"
    for lines, message in [
        ([["clip", "text"], ["anna_h0", "a"], ["anna_h0.mp4", "b"]], "row 2 and row 3 both name"),
        ([["clip", "text"], ["x", "a"]], r"no column names the files of the folder; found clip"),
        ([["clip", "text"]], "no column names the files of the folder; found no rows"),
        ([["clip", "label"], ["anna_h0", "sad"]], r"column 'label' contradicts .* --column other="),
    ]:
        write(table, *lines)
        with pytest.raises(ManifestError, match=message):
            joined(clips, table)
    (clips / "test/happy/anna_h0.mp4").touch()
    write(table, ["clip", "text"], ["anna_h0", "a"], ["ben_h0", "b"])
    with pytest.raises(ManifestError, match=r"is the name of 2 files .* write their paths"):
        joined(clips, table)
    write(table, ["clip", "label", "split"], ["train/happy/anna_h0", "Happy", "train"])
    rows, _ = joined(clips, table)
    assert rows.columns["label"] == [file.split("/")[1] for file in rows.origins]


def test_the_number_of_a_row_names_no_file_unless_it_is_said(tmp_path):
    """1 is taken for 001.mp4 only with --on; a column of names is found beside it."""
    for k in range(1, 5):
        (tmp_path / "n").mkdir(exist_ok=True)
        (tmp_path / f"n/{k:03}.mp4").touch()
    rows = [[5 - k, f"{k:03}", f"words {k}"] for k in range(1, 5)]
    table = write(tmp_path / "t.csv", ["no", "file", "text"], *rows)
    found, notes = joined(tmp_path / "n", table)
    assert found.columns["text"] == [f"words {k}" for k in range(1, 5)]
    assert "by 'file'" in notes[0]
    bare = write(tmp_path / "u.csv", ["no", "text"], *[[no, text] for no, _, text in rows])
    with pytest.raises(ManifestError, match="1 may be the number of a row"):
        joined(tmp_path / "n", bare)
    assert joined(tmp_path / "n", bare, on="no")[0].columns["text"][0] == "words 4"
    excel = write(tmp_path / "v.csv", ["no", "File", "text"], *[[n, int(f), t] for n, f, t in rows])
    assert joined(tmp_path / "n", excel)[0].columns["text"][0] == "words 1"


def test_folders_of_training_and_testing_are_splits(tmp_path):
    for split in ("Training", "Validation", "Testing"):
        for label in ("happy", "sad"):
            (tmp_path / "d" / split / label).mkdir(parents=True)
            (tmp_path / "d" / split / label / f"{label}{split[0]}.mp4").touch()
    rows = named_folder(tmp_path / "d").rows
    assert {*rows.columns["split"]} == {"train", "val", "test"}
    assert {*rows.columns["label"]} == {"happy", "sad"}


def two_folders(tmp_path):
    """Clips in folders that may be labels or speakers, and a table that says which they are."""
    rows = [["Datei", "Sprecherin", "Stimmung"]]
    for k in range(16):
        name = f"t{k}.wav"
        folder = tmp_path / "c" / ("alt", "jung")[k % 2] / ("oben", "unten")[k // 2 % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"RIFF")
        rows.append([name, f"P{k // 4}", ("Freude", "Wut")[k % 2]])
    write(tmp_path / "t.csv", *rows)
    return ("manifest", "folder", "c", "--transcripts", "t.csv")


def test_what_a_table_gives_is_not_looked_for_in_names_of_several_readings(emo, tmp_path):
    words = two_folders(tmp_path)
    code, _, err = emo(*words)
    assert code == 1
    assert "choose one: --pattern '{label}/{speaker}/{take}'" in err
    assert "or take nothing from the names: --pattern '{_}', with --column label=COLUMN" in err
    assert "for one of Datei, Sprecherin, Stimmung" in err
    code, _, err = emo(*words, "--column", "label=Stimmung", "--out", "x.csv")
    assert (code, "--column speaker=COLUMN for one of Datei, Sprecherin" in err) == (1, True)
    code, out, err = emo(*words, "--column", "label=Stimmung", "--column", "speaker=Sprecherin")
    assert (code, err) == (0, "")
    assert "not taken  folder 1" in out
    rows = read_rows(tmp_path / "manifest.csv").columns
    assert sorted(rows["label"]) == ["Freude"] * 8 + ["Wut"] * 8
    by_file = dict(zip(rows["audio"], rows["speaker"], strict=True))
    assert by_file["c/alt/oben/t0.wav"] == "P0"
    assert by_file["c/jung/unten/t15.wav"] == "P3"


def test_a_table_without_a_label_is_asked_for_its_column(emo, tmp_path):
    words = two_folders(tmp_path)
    (tmp_path / "manifest.csv").unlink(missing_ok=True)
    flat = tmp_path / "flat"
    flat.mkdir()
    for file in (tmp_path / "c").rglob("*.wav"):
        file.rename(flat / file.name)
    code, out, _ = emo("manifest", "folder", "flat", *words[3:])
    assert code == 0
    assert "--column label=COLUMN, and speaker=COLUMN; its columns: Datei, Sprecherin, " in out
    code, out, _ = emo(
        "manifest", "folder", "flat", *words[3:], "--column", "label=Stimmung", "--out", "n.csv"
    )
    assert (code, "no label in the names" in out) == (0, False)


def test_a_table_that_contradicts_names_says_how_to_leave_these_out(emo, tmp_path):
    (tmp_path / "c").mkdir()
    rows = [["file", "label"]]
    for k in range(8):
        name = f"{('happy', 'sad')[k % 2]}_{k}.wav"
        (tmp_path / "c" / name).write_bytes(b"RIFF")
        rows.append([name, ("Freude", "Trauer")[k % 2]])
    write(tmp_path / "t.csv", *rows)
    words = ("manifest", "folder", "c", "--transcripts", "t.csv")
    code, _, err = emo(*words)
    assert (code, "or take nothing from the names: --pattern '{_}'" in err) == (1, True)
    assert (tmp_path / "manifest.csv").exists() is False
    write(tmp_path / "own.csv", ["file", "Gefu\u0308hl"], *rows[1:])
    code, out, err = emo(*words[:-1], "own.csv", "--column", "label=Gefühl", "--out", "own-m.csv")
    assert (code, err) == (0, "")
    assert "label: as own.csv says; 8 names of files say otherwise: happy_0.wav ('happy'," in out
    assert sorted(set(read_rows(tmp_path / "own-m.csv").columns["label"])) == ["Freude", "Trauer"]
    assert emo(*words, "--pattern", "{_}")[0] == 0
    labels = read_rows(tmp_path / "manifest.csv").columns["label"]
    assert sorted(set(labels)) == ["Freude", "Trauer"]


def numbered(tmp_path, *, names):
    """Files 1.flac to 12.flac, and a table that numbers its rows beside names in another order."""
    (tmp_path / "num").mkdir()
    for k in range(1, 13):
        (tmp_path / "num" / f"{k}.flac").write_bytes(b"fLaC")
    order = [k * 7 % 13 for k in range(1, 13)]
    rows = [["Nr", "Datei", "label"]]
    rows += [[row, names.format(k), f"l{k}"] for row, k in enumerate(order, start=1)]
    write(tmp_path / "t.csv", *rows)
    return ("manifest", "folder", "num", "--transcripts", "t.csv")


@pytest.mark.parametrize("names", ["{}.flac", "num/{}.flac", "num\\{}.flac"])
def test_whole_names_of_files_come_before_numbers_of_rows(emo, tmp_path, names):
    words = numbered(tmp_path, names=names)
    code, out, err = emo(*words)
    assert (code, err) == (0, "")
    assert "joined with t.csv by 'Datei'" in out
    rows = read_rows(tmp_path / "manifest.csv").columns
    assert rows["label"] == [f"l{file.split('/')[1].split('.')[0]}" for file in rows["audio"]]


def test_two_columns_that_name_files_differently_are_asked_for(emo, tmp_path):
    words = numbered(tmp_path, names="{}")
    code, _, err = emo(*words)
    assert code == 1
    assert "the columns 'Nr' ('1') and 'Datei' ('7') name the files differently" in err
    assert not (tmp_path / "manifest.csv").exists()
    assert emo(*words, "--on", "Datei")[0] == 0
    rows = read_rows(tmp_path / "manifest.csv").columns
    assert rows["label"] == [f"l{file.split('/')[1].split('.')[0]}" for file in rows["audio"]]
