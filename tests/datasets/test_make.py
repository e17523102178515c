"""`emo dataset`: complete and incomplete downloads, maps, and the real tables."""

import shutil
from pathlib import Path

import pytest

from emo.datasets.labels import mapped_counts, parse_maps
from emo.errors import OptionError
from emo.manifest import read_manifest
from tests.datasets.trees import TREES, rows_of


@pytest.fixture
def down(emo, tmp_path, media):
    """A small MELD in the scratch folder, as ``down``."""
    (tmp_path / "down").mkdir()
    TREES["meld"](tmp_path / "down", media)
    return tmp_path / "down"


def test_an_incomplete_download_is_listed_and_nothing_is_written(emo, down, tmp_path):
    (down / "train_splits/dia0_utt1.mp4").unlink()
    (down / "dev_splits_complete/dia0_utt2.mp4").write_bytes(b"\0" * 500)
    (down / "test_sent_emo.csv").unlink()
    code, out, _ = emo("dataset", "meld", "down", "--out", "m.csv", "--missing", "list.txt")
    assert code == 1
    assert "missing: train_splits/dia0_utt1.mp4 (missing)" in out
    assert "missing: dev_splits_complete/dia0_utt2.mp4 (" in out
    assert "missing: test_sent_emo.csv" in out
    assert "3 files are missing or broken; no manifest was written" in out
    assert not (tmp_path / "m.csv").exists()
    assert len((tmp_path / "list.txt").read_text().splitlines()) == 3


@pytest.mark.parametrize("name", ["no/list.txt", "down"])
def test_a_list_that_cannot_be_written_is_said_before_anything_is(emo, down, tmp_path, name):
    code, out, err = emo("dataset", "meld", "down", "--out", "m.csv", "--missing", name)
    assert (code, out) == (1, "")
    assert f"--missing {name} cannot be written" in err
    assert not (tmp_path / "m.csv").exists()


def test_partial_writes_what_is_there(emo, down, tmp_path):
    (down / "train_splits/dia0_utt1.mp4").unlink()
    code, out, _ = emo("dataset", "meld", "down", "--out", "m.csv", "--partial")
    assert code == 0
    assert "partial: 1 file is missing or broken" in out
    assert [row["turn"] for row in rows_of(tmp_path / "m.csv") if row["split"] == "train"] == [
        "0", "2",
    ]  # fmt: skip


def test_fast_opens_no_file(emo, down):
    (down / "dev_splits_complete/dia0_utt2.mp4").write_bytes(b"\0" * 500)
    assert emo("dataset", "meld", "down", "--fast")[0] == 0


def test_a_manifest_elsewhere_says_which_root_to_give(emo, down, tmp_path):
    (tmp_path / "lists").mkdir()
    code, out, _ = emo("dataset", "meld", "down", "--out", "lists/m.csv")
    assert code == 0
    assert f"add --root {down}" in out
    assert read_manifest(tmp_path / "lists/m.csv", root=down).clips[0].video is not None


def test_folders_that_are_links_are_followed(emo, down, tmp_path):
    (down / "train_splits").rename(tmp_path / "elsewhere")
    (down / "train_splits").symlink_to(tmp_path / "elsewhere")
    (down / "loop").symlink_to(down)
    code, out, _ = emo("dataset", "meld", "down")
    assert code == 0, out


def test_maps_merge_and_drop_classes_and_what_is_stated_follows(emo, tmp_path, media):
    (tmp_path / "down").mkdir()
    TREES["iemocap"](tmp_path / "down", media)
    code, out, _ = emo(
        "dataset", "iemocap", "down", "--map", "label", "exc=hap,xxx=,oth=", "--out", "m.csv"
    )
    assert code == 0, out
    assert [row["label"] for row in rows_of(tmp_path / "m.csv")[:4]] == ["ang", "", "hap", "fru"]
    line = next(line for line in out.splitlines() if line.split()[1:2] == ["hap"])
    assert line.split()[2:4] == ["5", "1,636"]


def test_map_says_which_column_or_class_does_not_exist(emo, down):
    code, _, error = emo("dataset", "meld", "down", "--map", "lable", "joy=happy")
    assert code == 1
    assert "did you mean 'label'?" in error
    code, _, error = emo("dataset", "meld", "down", "--map", "label", "joi=happy")
    assert "did you mean 'joy'?" in error
    code, _, error = emo("dataset", "meld", "down", "--map", "label", "joy")
    assert "expected OLD=NEW" in error
    code, _, error = emo(
        "dataset", "meld", "down", "--map", "label", "joy=a", "--map", "label", "joy=b"
    )
    assert code == 2
    assert "--map is given 2 times" in error


def test_a_class_with_two_new_names_is_refused():
    with pytest.raises(OptionError, match="'a' has two new names"):
        parse_maps([("label", "a=b,a=c")])


def test_stated_classes_are_merged_as_the_rows_are():
    stated = {"label": {"a": 1, "b": 2, "c": 4}, "clips": {"all": 7}}
    merged = mapped_counts(stated, {"label": {"a": "b", "c": ""}})
    assert merged == {"label": {"b": 3}, "clips": {"all": 7}}


def test_an_unknown_data_set_or_option_offers_the_nearest(emo, down):
    assert "did you mean 'qia2020'?" in emo("dataset", "qia202", "down")[2]
    assert "did you mean 'votes'?" in emo("dataset", "cremad", "down", "-o", "vote=face")[2]


def test_a_table_of_another_layout_is_named(emo, down):
    (down / "dev_sent_emo.csv").write_text("a,b\n1,2\n")
    code, _, error = emo("dataset", "meld", "down")
    assert code == 1
    assert "dev_sent_emo.csv: expected a column 'Utterance'; found 'a', 'b'" in error


def test_list_shows_licences_and_faults(emo):
    code, out, _ = emo("list", "datasets")
    assert code == 0
    assert "CC BY-NC-SA 4.0" in out
    code, out, _ = emo("list", "datasets", "meld")
    assert code == 0
    assert "Dialogue_ID starts again in each split" in out


def counts(out):
    """``{(what, of): found}`` of the printed table."""
    lines = [line.split() for line in out.splitlines()]
    return {
        (line[0], line[1]): int(line[2].replace(",", ""))
        for line in lines
        if len(line) >= 4 and line[2].replace(",", "").isdigit()
    }


def test_real_meld_has_its_numbers_and_its_test_split_stands_in_semevals_train(emo, real_data):
    code, out, _ = emo("dataset", "meld", real_data / "text/MELD", "--out", "meld.csv")
    found = counts(out)
    splits = ("train", "val", "test")
    assert code == 0
    assert [found["clips", split] for split in splits] == [9989, 1109, 2610]
    assert [found["dialogues", split] for split in splits] == [1038, 114, 280]
    meld = read_manifest(Path("meld.csv"))
    assert len({clip.dialogue for clip in meld.clips}) == 1038 + 114 + 280
    folder = real_data / "text/SemEval2024"
    emo("dataset", "semeval2024", folder, "-o", "subtask=1", "--out", "semeval.csv")
    code, out, _ = emo("check", "semeval.csv", "meld.csv")
    assert code == 0
    (line,) = [line for line in out.splitlines() if line.startswith("test of b")]
    assert line.split()[3:] == ["2,610", "2,403", "2,394", "2,464"]


def test_real_ecf_semeval_and_cremad(emo, real_data):
    code, out, _ = emo("dataset", "ecf", real_data / "text/ECF", "--out", "ecf.csv")
    assert code == 1
    assert "missing: test.txt (test)" in out
    found = counts(out)
    assert [found["dialogues", split] for split in ("train", "val")] == [1001, 112]
    assert [found["pairs", split] for split in ("train", "val")] == [7055, 866]
    folder = real_data / "text/SemEval2024"
    _, out, _ = emo("dataset", "semeval2024", folder, "--partial", "--out", "s.csv")
    found = counts(out)
    assert (found["clips", "test"], found["dialogues", "test"]) == (3101, 341)
    assert found["pairs", "test"] == 2462
    code, out, _ = emo("dataset", "cremad", real_data / "text/CREMA-D", "--out", "c.csv")
    assert code == 0
    assert counts(out)["clips", "all"] == 7442
    assert "ties of the most votes: voice 644, face 470, multimodal 420" in out


def test_real_media_of_cremads_kind_are_read(emo, real_data, tmp_path):
    for name in ("1001_DFA_NEU_XX", "1002_DFA_NEU_XX"):
        for kind, place in (("flv", "VideoFlash"), ("wav", "AudioWAV")):
            (tmp_path / "down" / place).mkdir(parents=True, exist_ok=True)
            shutil.copy(real_data / "flv" / f"{name}.{kind}", tmp_path / "down" / place)
    code, out, _ = emo("dataset", "cremad", "down", "--partial", "--out", "m.csv")
    assert code == 0
    assert "missing: SentenceFilenames.csv" in out
    rows = rows_of(tmp_path / "m.csv")
    assert [row["label"] for row in rows] == ["neutral", "neutral"]
