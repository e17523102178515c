"""Plain folders of one file for each clip, and OpenFace's: names are ids, links are refused."""

import os

import numpy as np
import pandas as pd
import pytest
import torch

from emo.errors import StoreError
from tests.store.interop.bring import bring


@pytest.fixture
def clips(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    return {f"c{k}": rng.normal(size=(k + 1, 3)).astype("f4") for k in range(3)}


def assert_is(folder, clips, stream="features"):
    assert list(folder.ids) == list(clips)
    for clip_id, tokens in clips.items():
        assert folder.read(stream, [clip_id]).values.tobytes() == tokens.tobytes()


def test_npy_files_are_clips_by_their_names(tmp_path, clips):
    for clip_id, tokens in clips.items():
        np.save(tmp_path / "in" / f"{clip_id}.npy", tokens)
    (tmp_path / "in" / "README.md").write_text("mine")
    folder, report = bring(tmp_path, "files", tmp_path / "in", "stream=audio")
    assert_is(folder, clips, "audio")
    assert "ids: names of the files without .npy" in report.table()
    assert "other files, left out: 1 file, README.md" in report.table()


def test_npz_files_hold_streams_and_labels(tmp_path, clips):
    for clip_id, tokens in clips.items():
        file = tmp_path / "in" / f"{clip_id}.npz"
        np.savez(file, audio=tokens, text=tokens[0], label="joy", score=np.float32(0.5))
    folder, report = bring(tmp_path, "files", tmp_path / "in")
    assert_is(folder, clips, "audio")
    assert folder.read("text").lengths.tolist() == [1, 1, 1]
    assert report.cells["c2"] == {"label": "joy", "score": "0.5"}


def test_csv_files_of_pandas_have_a_row_for_each_token(tmp_path, clips):
    for clip_id, tokens in clips.items():
        frame = pd.DataFrame(tokens, columns=["a", "b", "c"])
        frame.to_csv(tmp_path / "in" / f"{clip_id}.csv")
    assert_is(bring(tmp_path, "files", tmp_path / "in")[0], clips)
    frame.rename(columns={"b": "B"}).to_csv(tmp_path / "in" / "c2.csv")
    with pytest.raises(StoreError, match=r"c2.csv: other columns than .*c0.csv: column 'b' is in"):
        bring(tmp_path, "files", tmp_path / "in", recipe="two")
    frame.assign(b=np.nan).to_csv(tmp_path / "in" / "c2.csv")
    folder, _ = bring(tmp_path, "files", tmp_path / "in", recipe="three")
    assert sorted(folder.ids) == ["c0", "c1"]
    assert "c2.csv: column b: empty" in folder.failures["c2"]


def test_tensors_are_read_with_weights_only(tmp_path, clips):
    for clip_id, tokens in clips.items():
        found = {"representations": {33: torch.tensor(tokens)}, "label": clip_id}
        torch.save(found, tmp_path / "in" / f"{clip_id}.pt")
    folder, report = bring(tmp_path, "files", tmp_path / "in")
    assert_is(folder, clips)
    assert report.cells["c0"] == {"label": "c0"}
    torch.save(torch.nn.Linear(1, 1), tmp_path / "in" / "c1.pt")
    with pytest.raises(StoreError, match=r"c1.pt: not a file of tensors .*weights_only=True"):
        bring(tmp_path, "files", tmp_path / "in", recipe="two")
    torch.save(torch.ones(1, 1).expand(10**9, 10**4), tmp_path / "in" / "c1.pt")
    with pytest.raises(StoreError, match=r"--most-bytes allows more"):
        bring(tmp_path, "files", tmp_path / "in", recipe="two")


def test_sub_folders_are_streams_or_ids_as_the_user_says(tmp_path, clips):
    for name in ("audio", "video"):
        (tmp_path / "in" / name).mkdir()
        for clip_id, tokens in clips.items():
            np.save(tmp_path / "in" / name / f"{clip_id}.npy", tokens)
    with pytest.raises(StoreError, match=r"has sub-folders, such as audio: -o folders=ids"):
        bring(tmp_path, "files", tmp_path / "in")
    folder, _ = bring(tmp_path, "files", tmp_path / "in", "folders=streams")
    assert_is(folder, clips, "video")
    folder, _ = bring(tmp_path, "files", tmp_path / "in", "folders=ids", recipe="ids")
    assert list(folder.ids) == [f"{name}/{c}" for name in ("audio", "video") for c in clips]


WRONG = {
    "width": (np.ones((2, 4), "f4"), r"c1.npy: expected \(T, 3\) float32 as in .*c0.npy, got"),
    "type": (np.ones((2, 3)), r"c1.npy: expected \(T, 3\) float32 .* got \(T, 3\) float64"),
    "depth": (np.ones((2, 2, 3), "f4"), r"c1.npy: expected tokens \(T, D\) or \(D,\), got \(2, 2"),
    "words": (np.array(["a"]), "c1.npy: expected numbers, got <U1"),
    "objects": (np.array([{}]), "c1.npy: not an .npy file of numbers: .*holds pickled objects"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_names_the_file(what, tmp_path, clips):
    array, message = WRONG[what]
    np.save(tmp_path / "in" / "c0.npy", clips["c0"])
    np.save(tmp_path / "in" / "c1.npy", array)
    with pytest.raises(StoreError, match=message):
        bring(tmp_path, "files", tmp_path / "in")
    assert not (tmp_path / "brought").exists()


def test_a_file_that_was_cut_off_a_link_and_two_endings_are_refused(tmp_path, clips):
    file = tmp_path / "in" / "c0.npy"
    np.save(file, clips["c2"])
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(StoreError, match=r"c0.npy: its header says 36 bytes.*there are 32"):
        bring(tmp_path, "files", tmp_path / "in")
    np.save(file, clips["c2"])
    (tmp_path / "in" / "c1.csv").write_text("a\n1\n")
    with pytest.raises(StoreError, match=r"files of one ending .*found 1 .npy and 1 .csv; choose"):
        bring(tmp_path, "files", tmp_path / "in")
    (tmp_path / "in" / "c2.npy").symlink_to("/etc/passwd")
    with pytest.raises(StoreError, match=r"c2.npy: refused: it is a link"):
        bring(tmp_path, "files", tmp_path / "in")


def test_a_name_that_is_no_text_is_refused(tmp_path, clips):
    np.save(os.fsdecode(os.fsencode(tmp_path / "in") + b"/a\xff.npy"), clips["c0"])
    with pytest.raises(StoreError, match=r"its id is no text in UTF-8; rename it"):
        bring(tmp_path, "files", tmp_path / "in")


HEAD = "frame, face_id, timestamp, confidence, success, gaze_0_x, AU01_r, AU01_c\n"
"""First line of OpenFace 2's RecorderCSV.cpp, with fewer columns."""


def openface(path, rows):
    lines = [f"{k}, {face}, 0.04, 0.98, {ok}, 0.5, {au}, 1.0" for k, (face, ok, au) in rows]
    path.write_text(HEAD + "\n".join(lines) + "\n")


def test_openface_frames_are_tokens_and_their_success_is_no_feature(tmp_path, clips):
    openface(tmp_path / "in" / "a.csv", [(1, (0, 1, 2.5)), (2, (0, 0, 0)), (3, (0, 1, 3))])
    openface(tmp_path / "in" / "b.csv", [(1, (0, 0, 0))])
    folder, report = bring(tmp_path, "openface", tmp_path / "in")
    assert folder.read("openface", ["a"]).values.tolist() == [
        [0.5, 2.5, 1],
        [0.5, 0, 1],
        [0.5, 3, 1],
    ]
    assert folder.failures == {"b": "OpenFace found no face in any frame"}
    assert folder.notes["a"] == {"face_share": pytest.approx(2 / 3)}
    assert "no features: frame, face_id, timestamp, confidence, success" in report.table()
    assert "frames without a face: 2, kept (-o failed=drop)" in report.table()
    options = ["failed=drop", "columns=AU*_r"]
    folder, _ = bring(tmp_path, "openface", tmp_path / "in", *options, recipe="au")
    assert folder.read("openface", ["a"]).values.tolist() == [[2.5], [3]]


def test_several_faces_are_not_mixed(tmp_path, clips):
    openface(tmp_path / "in" / "a.csv", [(1, (0, 1, 2.5)), (1, (1, 1, 7))])
    with pytest.raises(StoreError, match=r"several faces \(face_id 0, 1\); choose with -o face=N"):
        bring(tmp_path, "openface", tmp_path / "in")
    folder, _ = bring(tmp_path, "openface", tmp_path / "in", "face=1", "columns=AU*_r")
    assert folder.read("openface").values.tolist() == [[7]]


def test_one_csv_with_holes_fails_alone_and_labels_come_back(tmp_path, clips):
    for name, text in {
        "a": "x,y1,label,turn\n1,2,joy,0\n3,4,joy,1\n", "b": "x,y1,label\n1,,fear\n",
        "c": "x,y1,label\n1,2,fear\n1,nan,fear\n",
    }.items():  # fmt: skip
        (tmp_path / "in" / f"{name}.csv").write_text(text)
    folder, report = bring(tmp_path, "files", tmp_path / "in")
    assert list(folder.ids) == ["a"]
    labels = {"a": "joy", "b": "fear", "c": "fear"}  # those of clips that failed, too
    assert report.cells == {clip_id: {"label": label} for clip_id, label in labels.items()}
    assert "b.csv: column y1: empty" in folder.failures["b"]
    assert "c.csv: row 3, column y1" in folder.failures["c"]
    assert "differ between the rows of a clip, left out: turn" in report.table()


def test_openface_names_the_file_and_the_face(tmp_path, clips):
    openface(tmp_path / "in" / "a.csv", [(1, (0, 1, 2.5)), (1, (1, 1, 7))])
    openface(tmp_path / "in" / "b.csv", [(1, (0, 1, 2.5))])
    with pytest.raises(StoreError, match=r"a.csv: it holds several faces"):
        bring(tmp_path, "openface", tmp_path / "in")
    folder, _ = bring(tmp_path, "openface", tmp_path / "in", "face=1")
    assert folder.failures["b"] == "OpenFace found no face with face_id 1 in any frame"


def test_a_first_csv_with_an_empty_column_does_not_decide_for_all(tmp_path, clips):
    for name, cell in {"a": "", "b": "2", "c": "4"}.items():
        (tmp_path / "in" / f"{name}.csv").write_text(f"x,y1\n1,{cell}\n")
    folder, _ = bring(tmp_path, "files", tmp_path / "in")
    assert folder.read("features", ["b", "c"]).values.tolist() == [[1, 2], [1, 4]]
    assert folder.failures["a"].endswith("a.csv: column y1: empty")
    for name in "bc":
        (tmp_path / "in" / f"{name}.csv").unlink()
    folder, report = bring(tmp_path, "files", tmp_path / "in", recipe="alone")
    assert folder.read("features", ["a"]).values.tolist() == [[1]]
    assert "empty, left out: y1" in report.table()


def test_openface_files_without_rows_or_numbers_fail_alone(tmp_path, clips):
    (tmp_path / "in" / "a.csv").write_text(HEAD)
    (tmp_path / "in" / "b.csv").write_text(HEAD + "1, 0, 0.0, 0.0, 0, -nan(ind), 0, 0\n")
    openface(tmp_path / "in" / "c.csv", [(1, (0, 1, 2.5)), (2, (0, 0, "nan"))])
    openface(tmp_path / "in" / "d.csv", [(1, (0, 1, 2.5))])
    folder, _ = bring(tmp_path, "openface", tmp_path / "in")
    assert list(folder.ids) == ["d"]
    assert folder.failures["a"].endswith("a.csv: has no rows")
    assert folder.failures["b"].endswith("b.csv: column gaze_0_x: empty")
    assert "c.csv: row 3, column AU01_r: empty" in folder.failures["c"]
