"""DFEW, MAFW, MER2023, AffectNet, RAF-DB and FER2013: splits, labels, odd files, and stills."""

import shutil

import av
import numpy as np
import pytest

from emo.datasets.library.stills.affectnet import AffectNet, AffectNetOptions
from emo.datasets.library.stills.fer2013 import Fer2013, Fer2013Options
from emo.datasets.library.stills.rafdb import RafDb, RafDbOptions
from emo.datasets.library.video.dfew import Dfew, FoldOptions
from emo.datasets.library.video.mafw import Mafw, MafwOptions
from emo.datasets.library.video.mer2023 import Mer2023, Mer2023Options
from emo.datasets.make import DatasetRequest, make_manifest
from emo.datasets.png import grey_png
from emo.datasets.tree import list_tree
from emo.errors import DatasetError
from tests.datasets.face_trees import FACE_TREES
from tests.datasets.media import table


@pytest.fixture
def down(tmp_path, media, request):
    """The small download of the data set that the test's marker names."""
    folder = tmp_path / "down"
    folder.mkdir()
    FACE_TREES[request.param](folder, media)
    return folder


def of(name):
    return pytest.mark.parametrize("down", [name], indirect=True)


def column(rows, name):
    return [row.get(name, "") for row in rows]


@of("dfew")
def test_dfew_fold_is_the_test_of_each_clip_and_the_option_chooses_one(down):
    rows = Dfew.read(list_tree(down), FoldOptions(fold="3")).rows
    assert column(rows, "id") == ["00001", "00002", "00003", "00004", "00005"]
    assert column(rows, "fold") == ["1", "2", "3", "4", "5"]
    assert column(rows, "split") == ["train", "train", "test", "train", "train"]
    assert column(rows, "label") == ["happy", "sad", "neutral", "angry", "surprise"]
    assert column(rows, "video")[:2] == ["Clip/1.mp4", "Clip/00002.mp4"]


@of("dfew")
def test_dfew_counts_of_a_fold_are_those_of_the_other_four(down):
    for fold in "12345":
        stated = Dfew.stated(FoldOptions(fold=fold))
        assert sum(stated["clips"].values()) == 11697
        assert stated["clips"]["test"] == stated["fold"][fold]


@of("dfew")
@pytest.mark.parametrize(
    ("name", "lines", "said"),
    [
        ("test(single-labeled)/set_2.csv", ["1,1"], "clip 00001 is test in fold 1 and in fold 2"),
        ("train(single-labeled)/set_1.csv", ["1,1"], "clip 00001 is train and test in fold 1"),
        ("train(single-labeled)/set_2.csv", ["1,7"], "has the classes fear and happy in two lists"),
        ("test(single-labeled)/set_1.csv", ["1,1", "1,1"], "a clip has two lines"),
        ("test(single-labeled)/set_1.csv", ["1,8"], "1 to 7 in label; found ('1', '8')"),
    ],
)
def test_dfew_lists_that_contradict_each_other_are_an_error(down, name, lines, said):
    table(down / "EmoLabel_DataSplit" / name, "video_name,label", *lines)
    with pytest.raises(DatasetError) as caught:
        Dfew.read(list_tree(down), FoldOptions())
    assert said in str(caught.value)


@of("dfew")
def test_dfew_takes_the_column_order_a_mark_windows_lines_and_a_further_column(down):
    path = down / "EmoLabel_DataSplit" / "test(single-labeled)" / "set_1.csv"
    path.write_bytes("\ufefforder,label,note\r\n1,1,x\r\n".encode())
    assert Dfew.read(list_tree(down), FoldOptions()).rows[0]["fold"] == "1"


@of("dfew")
def test_dfew_names_the_lists_that_are_missing(down):
    (down / "EmoLabel_DataSplit" / "test(single-labeled)" / "set_4.csv").unlink()
    found = Dfew.read(list_tree(down), FoldOptions())
    assert found.missing == ("EmoLabel_DataSplit/test(single-labeled)/set_4.csv",)
    assert column(found.rows, "fold")[3] == ""


@of("mafw")
def test_mafw_has_single_emotions_or_compound_ones(down):
    rows = Mafw.read(list_tree(down), MafwOptions()).rows
    assert rows[0] == {
        "id": "00001", "split": "test", "fold": "1", "label": "anger",
        "video": "data/clips/00001.mp4",
    }  # fmt: skip
    rows = Mafw.read(list_tree(down), MafwOptions(classes="compound")).rows
    assert (rows[0]["label"], rows[0]["emotions"]) == ("anger_surprise", "anger|surprise")


@of("mafw")
def test_mafw_says_which_line_is_no_emotion(down):
    path = down / "Train & Test Set" / "single" / "no_caption" / "set_1" / "test.txt"
    table(path, "00001.mp4 anger", "00002.mp4 hunger")
    with pytest.raises(DatasetError, match=r"set_1/test.txt, line 2: expected a clip and its emot"):
        Mafw.read(list_tree(down), MafwOptions())


@of("mer2023")
def test_mer2023_has_three_tests_and_a_valence_where_it_was_rated(down):
    found = Mer2023.read(list_tree(down), Mer2023Options())
    assert column(found.rows, "split") == ["train", "train", "test", "test", "test"]
    assert column(found.rows, "test_set") == ["", "", "test1", "test2", "test3"]
    assert column(found.rows, "valence") == ["-2.5"] * 4 + [""]
    assert column(found.rows, "text")[:2] == ["", "你好。"]
    assert found.left_out == {
        "without label, or of another test set": ["test3/sample_00000999.avi"]
    }
    rows = Mer2023.read(list_tree(down), Mer2023Options(test="test2")).rows
    assert column(rows, "test_set") == ["", "", "test2"]
    assert Mer2023.stated(Mer2023Options(test="test2"))["clips"] == {"train": 3373, "test": 412}


@of("mer2023")
def test_mer2023_sound_that_mertools_took_out_is_not_taken_for_the_video(down):
    (down / "audio").mkdir()
    for path in [*down.glob("t*/*.avi")]:
        (down / "audio" / f"{path.stem}.wav").write_bytes(b"")
    rows = Mer2023.read(list_tree(down), Mer2023Options()).rows
    assert column(rows, "video")[::2] == [
        "train/sample_00000000.avi", "test1/sample_00000100.avi", "test3/sample_00000300.avi"
    ]  # fmt: skip


@of("mer2023")
def test_mer2023_numbers_that_stand_for_none_and_clips_of_two_sets(down):
    header = "name,discrete,valence"
    table(down / "test1-label.csv", header, "sample_00000100,sad,-10")
    assert Mer2023.read(list_tree(down), Mer2023Options()).rows[2]["valence"] == ""
    table(down / "test1-label.csv", header, "sample_00000000,sad,1")
    with pytest.raises(DatasetError, match="has a row in train and in test1; expected one"):
        Mer2023.read(list_tree(down), Mer2023Options())
    table(down / "test1-label.csv", header, "sample_00000100,glad,1")
    with pytest.raises(DatasetError, match="expected discrete to be one of neutral, angry"):
        Mer2023.read(list_tree(down), Mer2023Options())


@of("affectnet")
def test_affectnet_reads_files_of_one_number_and_names_validation_test(down):
    rows = AffectNet.read(list_tree(down), AffectNetOptions()).rows
    assert rows[0] == {
        "id": "train_set/0", "video": "train_set/images/0.jpg", "split": "train",
        "label": "contempt", "valence": "-0.412698", "arousal": "0.25",
    }  # fmt: skip
    assert column(rows, "split") == ["train", "train", "test"]
    options = AffectNetOptions(validation="val", classes="seven")
    rows = AffectNet.read(list_tree(down), options).rows
    assert column(rows, "split") == ["train", "train", "val"]
    assert column(rows, "label") == ["", "anger", ""]


@of("affectnet")
def test_affectnet_unpickles_nothing_and_names_the_file(down):
    path = down / "train_set" / "annotations" / "0_exp.npy"
    np.save(path, np.array([{"x": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DatasetError, match=r"0_exp.npy cannot be read: .*holds pickled objects"):
        AffectNet.read(list_tree(down), AffectNetOptions())
    path.with_name("0_val.npy").unlink()
    np.save(path, np.array(3))
    found = AffectNet.read(list_tree(down), AffectNetOptions())
    assert found.missing == ("train_set/annotations/0_val.npy",)
    assert (found.rows[0]["label"], found.rows[0]["valence"]) == ("surprise", "")
    np.save(path, np.array(11))
    with pytest.raises(DatasetError, match="expected an expression from 0 to 10; found 11"):
        AffectNet.read(list_tree(down), AffectNetOptions())


def test_affectnet_tables_have_the_face_and_no_rating_where_there_is_no_emotion(tmp_path, media):
    header = (
        "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,"
        "valence,arousal"
    )
    table(tmp_path / "training.csv", header, "689/a.jpg,134,134,899,899,1;2,1,0.785714,-0.055556",
          "1/b.jpg,1,1,9,9,1;2,10,-2,-2")  # fmt: skip
    table(tmp_path / "validation.csv", header, "689/c.jpg,1,1,9,9,1;2,8,-2,-2")
    media.put(tmp_path / "Manually_Annotated_Images" / "689" / "a.jpg")
    tree = list_tree(tmp_path)
    with pytest.raises(DatasetError, match="add -o release=tables"):
        AffectNet.read(tree, AffectNetOptions())
    rows = AffectNet.read(tree, AffectNetOptions(release="tables", classes="all")).rows
    assert column(rows, "label") == ["happy", "no_face", "none"]
    assert column(rows, "valence") == ["0.785714", "", ""]
    assert rows[0]["face_width"] == "899"
    assert rows[0]["video"] == "Manually_Annotated_Images/689/a.jpg"
    assert column(rows, "split") == ["train", "train", "test"]
    line = "689/a.jpg,134,134,899,899,1;2,1,0.785714,-0.055556"
    table(tmp_path / "training.csv", header, line, line)
    with pytest.raises(DatasetError, match="expected one row for each picture; found two"):
        AffectNet.read(list_tree(tmp_path), AffectNetOptions(release="tables"))


@of("rafdb")
def test_rafdb_subsets_of_equal_names_are_kept_apart(down):
    rows = RafDb.read(list_tree(down), RafDbOptions()).rows
    assert column(rows, "label") == ["sadness", "happiness", "neutral"]
    assert column(rows, "split") == ["train", "train", "test"]
    assert rows[0]["video"] == "basic/Image/aligned/train_00001_aligned.jpg"
    rows = RafDb.read(list_tree(down), RafDbOptions(subset="compound")).rows
    assert column(rows, "label") == ["angrily_disgusted", "disgustedly_surprised"]
    assert rows[0]["video"] == "compound/Image/aligned/train_00001_aligned.jpg"
    rows = RafDb.read(list_tree(down), RafDbOptions(pictures="original")).rows
    assert rows[0]["video"] == "basic/Image/original/train_00001.jpg"


def test_rafdb_copies_with_a_table_for_each_split(tmp_path, media):
    table(tmp_path / "train_labels.csv", "image,label", "train_00001_aligned.jpg,5")
    media.put(tmp_path / "DATASET" / "train" / "5" / "train_00001_aligned.jpg")
    found = RafDb.read(list_tree(tmp_path), RafDbOptions())
    assert found.rows == [
        {"id": "train_00001", "video": "DATASET/train/5/train_00001_aligned.jpg", "split": "train",
         "label": "sadness"}
    ]  # fmt: skip
    assert found.missing == ("test_labels.csv",)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["train_00001.jpg 10"], "a list of 11 numbers is that of the compound emotions"),
        (["train_00001.jpg 1", "train_00001.jpg 2"], "line 2: expected a picture and its number"),
        (["00001.jpg 1"], "line 1: expected a picture and its number, such as train_00001.jpg 5"),
    ],
)
def test_rafdb_says_what_is_wrong_with_a_list(tmp_path, lines, said):
    table(tmp_path / "EmoLabel" / "list_patition_label.txt", *lines)
    with pytest.raises(DatasetError) as caught:
        RafDb.read(list_tree(tmp_path), RafDbOptions())
    assert said.lower() in str(caught.value).lower()


@of("fer2013")
def test_fer2013_writes_pictures_only_when_told_to_and_to_the_pixel(down, tmp_path):
    for path in (down / "pictures").iterdir():
        path.unlink()
    (down / "pictures").rmdir()
    with pytest.raises(DatasetError, match="no folder pictures: add -o pictures=write"):
        Fer2013.read(list_tree(down), Fer2013Options())
    assert not (down / "pictures").exists()
    request = DatasetRequest({"pictures": "write"})
    report = make_manifest("fer2013", down, out=tmp_path / "m.csv", request=request)
    assert (report.clips, report.missing) == (4, ())
    names = {path.name for path in down.iterdir()}
    assert names == {"fer2013.csv", "fer2013new.csv", "pictures"}
    with av.open(str(down / "pictures" / "00001.png")) as file:
        pixels = next(file.decode(video=0)).to_ndarray(format="gray")
    expected = np.arange(2304).reshape(48, 48) * 2 % 256
    np.testing.assert_array_equal(pixels, expected.astype(np.uint8))
    assert report.notes == (
        "pictures that are in two splits: train and test 1; kept; -o repeats=drop leaves out those "
        "of train",
        "pictures of one colour: 1: 00002",
    )


@of("fer2013")
def test_fer2013_labels_of_ferplus_are_its_most_votes(down):
    options = Fer2013Options(labels="ferplus")
    rows = Fer2013.read(list_tree(down), options).rows
    assert column(rows, "label") == ["neutral", "neutral", "", "sadness"]
    assert column(rows, "share_sadness") == ["0.1", "0.1", "0", "0.5"]
    text = (down / "fer2013new.csv").read_text()
    (down / "fer2013new.csv").write_text(text.replace("png,6,0,1,1", "png,4,4,1,1"))
    assert column(Fer2013.read(list_tree(down), options).rows, "label")[1] == ""
    (down / "fer2013new.csv").write_text(text.replace("PrivateTest,", "Training,"))
    with pytest.raises(DatasetError, match="expected a row for each of the 4 pictures"):
        Fer2013.read(list_tree(down), options)
    (down / "fer2013new.csv").unlink()
    with pytest.raises(DatasetError, match=r"no fer2013new.csv is here"):
        Fer2013.read(list_tree(down), options)


@of("fer2013")
def test_fer2013_pictures_of_another_table_are_refused(down):
    shutil.rmtree(down / "pictures")
    Fer2013.read(list_tree(down), Fer2013Options(pictures="write"))
    assert len(Fer2013.read(list_tree(down), Fer2013Options()).rows) == 4
    lines = (down / "fer2013.csv").read_text().splitlines()
    table(down / "fer2013.csv", *lines[:2], lines[3], lines[2])
    with pytest.raises(DatasetError, match=r"pictures/00001.png is not the picture of row 3 of"):
        Fer2013.read(list_tree(down), Fer2013Options())


@of("fer2013")
def test_fer2013_equal_pictures_leave_the_earlier_split(down):
    found = Fer2013.read(list_tree(down), Fer2013Options(repeats="drop"))
    assert column(found.rows, "id") == ["00000", "00002", "00003"]
    assert found.left_out == {"in a later split, too": ["pictures/00001.png"]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("emotion,Usage\n0,Training\n", "expected the columns emotion, pixels and Usage; found"),
        ("emotion,pixels,Usage\n0,1 2 3,Training\n", "row 2: expected an emotion from 0 to 6"),
        (f"emotion,pixels,Usage\n7,{'1 ' * 2304},Training\n", "found '7', 2,304 pixels"),
        (f"emotion,pixels,Usage\n0,{'256 ' * 2304},Training\n", "from 0 to 255"),
        (f"emotion,pixels,Usage\n0,{'1 ' * 2304},Test\n", "and 'Test'"),
    ],
)
def test_fer2013_tables_that_are_not_as_published_leave_no_pictures(tmp_path, text, said):
    (tmp_path / "fer2013.csv").write_text(text)
    with pytest.raises(DatasetError) as caught:
        Fer2013.read(list_tree(tmp_path), Fer2013Options(pictures="write"))
    assert said in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["fer2013.csv"]


def test_fer2013_columns_may_have_blanks_as_in_the_second_release(tmp_path):
    text = f"\ufeffemotion, Usage, pixels\r\n3,Training,{'7 ' * 2304}\r\n"
    (tmp_path / "icml_face_data.csv").write_bytes(text.encode())
    found = Fer2013.read(list_tree(tmp_path), Fer2013Options(pictures="write"))
    assert found.rows == [
        {"id": "00000", "video": "pictures/00000.png", "split": "train", "label": "happy"}
    ]
    assert found.is_written


def test_a_grey_png_is_read_back_to_the_pixel(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 3), np.uint8)
    (tmp_path / "a.png").write_bytes(grey_png(pixels.tobytes(), 3))
    with av.open(str(tmp_path / "a.png")) as file:
        found = next(file.decode(video=0)).to_ndarray(format="gray")
    np.testing.assert_array_equal(found, pixels)


@of("fer2013")
def test_a_picture_that_no_row_names_is_said(down, media, tmp_path):
    media.put(down / "pictures" / "99999.png")
    notes = make_manifest("fer2013", down, out=tmp_path / "m.csv").notes
    assert notes[0] == "left out, no row names them: 1: pictures/99999.png"
