"""Which clips of one manifest stand in another: by file, id, text and speaker."""

from emo.datasets.check import overlap
from emo.datasets.check.overlap import same_text
from emo.manifest import read_manifest
from tests.datasets.test_check import write


def test_texts_are_the_same_without_case_signs_and_contractions():
    assert same_text("That’s Ross, isn't it?") == same_text("that is ross , is not it")
    assert same_text("Y’know, what's his name?") == same_text("You know , what his name ? [leaves]")
    assert same_text("I cannot") == same_text("I can't")
    assert same_text("?!") == "?!" != same_text("...")
    assert same_text(None) == ""


def test_overlap_counts_by_file_id_text_and_speaker(tmp_path):
    a = write(
        tmp_path / "a.csv",
        "id,text,speaker,split",
        "1,Yeah.,anna,train",
        "2,That's what I told him yesterday.,anna,test",
        "3,Something which stands nowhere else.,anna,test",
        "4,Okay.,cleo,train",
    )
    b = write(
        tmp_path / "b.csv",
        "id,text,speaker",
        "1,yeah,ben",
        "x,that is what i told him yesterday !,Anna",
        "y,that is what i told him yesterday !,anna",
        "z,okay,cleo",
    )
    report = overlap(read_manifest(a), read_manifest(b))
    assert [tuple(row.values()) for row in report.rows] == [
        ("same file and times", 0, 0),
        ("same id", 1, 1),
        ("same text", 3, 4),
        ("same text and speaker", 2, 3),
        ("same text (5 words or more) and speaker", 1, 2),
        ("same beginning of the text and speaker", 2, 3),
        ("all", 4, 4),
    ]
    assert report.by_split == ({"a": "test", "no split of b": 1},)
    assert "same text (5 words or more) and speaker\na" in report.table()


def test_a_text_in_several_splits_of_the_other_manifest_counts_in_each(tmp_path):
    said = "I told him so yesterday evening,anna"
    a = write(tmp_path / "a.csv", "text,speaker,split", f"{said},test")
    b = write(
        tmp_path / "b.csv", "id,text,speaker,split",
        f"1,{said},train", f"2,{said},test", f"3,{said},train", "4,It stands nowhere,anna,val",
    )  # fmt: skip
    report = overlap(read_manifest(a), read_manifest(b))
    assert report.by_split == ({"a": "test", "train of b": 1, "test of b": 1},)


def test_a_text_that_was_cut_is_found_by_its_beginning_and_counted_by_split(tmp_path):
    whole = "Hey. Okay, I gave him another chance, but Tim has got to go!"
    a = write(tmp_path / "a.csv", "text,speaker,split", f'"{whole}",anna,train', "Hey.,anna,train")
    cut = '"[waves] Hey okay I gave him another chance but Tim has",Anna,test'
    b = write(tmp_path / "b.csv", "text,speaker,split", cut, "Hey okay,anna,test", "He,anna,val")
    report = overlap(read_manifest(a), read_manifest(b))
    assert [tuple(row.values()) for row in report.splits] == [
        ("train of a", 2, 0, 0, 1),
        ("val of b", 1, 0, 0, 0),
        ("test of b", 2, 0, 0, 1),
    ]


def test_overlap_knows_a_file_under_two_manifests(tmp_path):
    (tmp_path / "sub").mkdir()
    a = write(tmp_path / "a.csv", "video", "sub/x.mp4", "sub/y.mp4")
    b = write(tmp_path / "sub" / "b.csv", "video", "x.mp4")
    report = overlap(read_manifest(a), read_manifest(b))
    assert report.rows[0] == {"clips": "same file and times", "a in b": 1, "b in a": 1}
    assert report.rows[1]["a in b"] == 0
