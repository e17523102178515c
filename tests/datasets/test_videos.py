"""Data sets of captions and questions about videos."""

import json
import os
import pickle

import pytest

from emo.datasets.make import DatasetRequest, make_manifest
from emo.errors import DatasetError
from emo.machine.untrusted.plain_pickle import PlainPickleError, read_plain_pickle
from emo.manifest.questions import question_word
from tests.datasets.trees import TREES, rows_of


@pytest.fixture
def make(tmp_path, media):
    """Write a small download, and read it with options: (rows of the manifest, report)."""

    def run(name, change=lambda folder: None, **options):
        folder = tmp_path / "down"
        if not folder.exists():
            folder.mkdir()
            TREES[name](folder, media)
        change(folder)
        out = tmp_path / f"{len(os.listdir(tmp_path))}.csv"
        report = make_manifest(name, folder, out=out, request=DatasetRequest(options))
        return (rows_of(out) if out.exists() else None), report

    return run


def test_msrvtt_has_the_splits_of_both_protocols(make):
    rows, _ = make("msrvtt")
    assert [(row["id"], row["split"]) for row in rows] == [
        ("video0", "train"), ("video1", "train"), ("video2", "train"), ("video3", "test"),
    ]  # fmt: skip
    assert rows[3]["video"].endswith("TrainValVideo/video3.mp4")
    rows, _ = make("msrvtt", splits="full")
    assert [row["split"] for row in rows] == ["train", "train", "val", "test"]


def test_msrvtt_captions_name_their_video(make):
    rows, report = make("msrvtt", rows="captions")
    assert len(rows) == 3 * 3 + 1
    assert rows[-1] == {"id": "ret0", "text": "one, two", "clip": "video3", "split": "test"}
    assert rows[0] == {"id": "video0_0", "text": "video0 0", "clip": "video0", "split": "train"}
    assert "they are rows of -o rows=videos: 4" in report.text()
    rows, _ = make("msrvtt", rows="captions", splits="full")
    assert len(rows) == 12


def test_msrvtt_without_the_lists_of_1ka_names_the_other_splits(make):
    with pytest.raises(DatasetError, match=r"no MSRVTT_JSFUSION_test.csv.* -o splits=full"):
        make("msrvtt", lambda folder: (folder / "MSRVTT_JSFUSION_test.csv").unlink())


@pytest.mark.parametrize(("name", "video"), [("msrvttqa", "video2"), ("msvdqa", "vid2")])
def test_questions_have_their_video_answer_and_first_word(make, name, video):
    rows, report = make(name, rows="questions")
    assert rows[6] == {
        "id": "q20", "text": "what is it", "clip": video, "split": "test", "answer": "dog",
        "question_word": "what",
    }  # fmt: skip
    assert [row["question_word"] for row in rows[6:]] == ["what", "who", "other"]
    assert "other 1; 3 in all (" in report.text()
    rows, _ = make(name)
    assert {row["id"] for row in rows} == {
        row["id"].rstrip("012") + k for row in rows for k in "012"
    }


def test_lines_of_alpro_are_read_too(make):
    def as_lines(folder):
        for split in ("train", "val", "test"):
            found = json.loads((folder / f"{split}_qa.json").read_text())
            lines = [
                json.dumps({"question": each["question"], "answer": each["answer"],
                            "video_id": f"video{each['video_id']}", "answer_type": "what"})
                for each in found
            ]  # fmt: skip
            (folder / f"{split}_qa.json").unlink()
            (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")

    rows, _ = make("msrvttqa", as_lines, rows="questions")
    assert [(row["id"], row["clip"]) for row in rows[:2]] == [
        ("train0", "video0"), ("train1", "video0"),
    ]  # fmt: skip


def test_msvdqa_finds_videos_by_msvds_names(make):
    def rename(folder):
        (folder / "video" / "vid1.avi").rename(folder / "video" / "mv89_33_46.avi")
        (folder / "youtube_mapping.txt").write_text("mv89_33_46 vid1\n")

    rows, _ = make("msvdqa", rename)
    assert rows[1]["video"].endswith("mv89_33_46.avi")


def test_a_file_that_is_not_as_published_is_named(make):
    with pytest.raises(DatasetError, match=r"val_qa.json: expected the published file"):
        make("msrvttqa", lambda folder: (folder / "val_qa.json").write_text('[{"question": 3}]'))


def test_msvd_reads_its_pickle_only_when_it_may(make):
    with pytest.raises(DatasetError, match=r"a pickle can run code\. --allow-pickle"):
        make("msvd", rows="captions")
    rows, _ = make("msvd", rows="captions", allow_pickle="yes")
    assert rows[1] == {
        "id": "aa_1_2_1", "text": "it runs aa_1_2", "clip": "aa_1_2", "split": "train",
    }  # fmt: skip
    assert len(rows) == 8


class Evil:
    def __reduce__(self):
        return os.system, ("touch /nowhere/evil",)


def test_a_pickle_that_names_a_function_is_refused(make):
    def poison(folder):
        (folder / "raw-captions.pkl").write_bytes(pickle.dumps({"aa_1_2": Evil()}))

    with pytest.raises(DatasetError, match=r"refused: it names \w+.system"):
        make("msvd", poison, rows="captions", allow_pickle="yes")
    with pytest.raises(PlainPickleError, match="numbered"):
        read_plain_pickle(b"\x80\x02]r\xff\xff\xff\x7f.")
    with pytest.raises(PlainPickleError, match="no pickle of plain values"):
        read_plain_pickle(b"hello")


def test_didemo_joins_descriptions_and_finds_any_extension(make):
    rows, _ = make("didemo")
    assert len(rows) == 3
    assert rows[1]["text"] == "one moves. two moves."
    assert rows[1]["video"].endswith("1@N0_val.avi")
    assert (rows[1]["id"], rows[1]["clip"]) == ("1@N0_val.mov", "1@N0_val.mov")
    assert (rows[1]["start_seconds"], rows[1]["end_seconds"]) == ("0", "30")


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("What is it?", "what"),
        ("who", "who"),
        ("how many", "how"),
        ("is it", "other"),
        ("", "other"),
    ],
)
def test_the_first_word_of_a_question(question, word):
    assert question_word(question) == word
