import csv
import time
from collections import Counter
from pathlib import Path

import pytest

from emo.errors import ManifestError
from emo.manifest import read_manifest
from emo.manifest.folder import AUDIO, STILL, VIDEO, folder_rows, left_out
from emo.manifest.make import Cut, from_folder, join_tables, split_by

MELD = {
    "text": "Utterance",
    "dialogue": "Dialogue_ID",
    "turn": "Utterance_ID",
    "speaker": "Speaker",
    "label": "Emotion",
}


@pytest.fixture
def media(tmp_path):
    """A folder of empty files: only names count here."""
    names = (
        "joy/b.MP4 joy/a.mp4 joy/a.wav sad/c.flac sad/note.txt .hidden/x.mp4 ._a.mp4 d.mkv d.wav"
    )
    for name in names.split():
        (tmp_path / "media" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "media" / name).touch()
    return tmp_path / "media"


def test_a_folder_gives_one_clip_for_each_media_file(media):
    manifest = from_folder(media, out=media.parent / "m.csv")
    assert [(clip.video, clip.audio, clip.targets) for clip in manifest.clips] == [
        ("media/d.mkv", "media/d.wav", {}),
        ("media/joy/a.mp4", "media/joy/a.wav", {"label": "joy"}),
        ("media/joy/b.MP4", None, {"label": "joy"}),
        (None, "media/sad/c.flac", {"label": "sad"}),
    ]
    assert manifest.root == media.parent
    assert manifest == read_manifest(media.parent / "m.csv")


@pytest.mark.parametrize(
    ("column", "kinds"),
    [
        ("audio", AUDIO), ("video", VIDEO), ("video", STILL),
        ("audio", (".ac3", ".mp2", ".dts", ".tta", ".spx", ".ra", ".3ga", ".mpga", ".m4r")),
        ("video", (".vob", ".3g2", ".mxf", ".dv", ".f4v", ".jfif", ".avif", ".gif")),
    ],
)  # fmt: skip
def test_every_kind_of_media_file_is_a_clip(tmp_path, column, kinds):
    for number, kind in enumerate(kinds):
        (tmp_path / f"{number}{kind}").touch()
    manifest = from_folder(tmp_path, out=tmp_path / "m.csv")
    found = [getattr(clip, column) for clip in manifest.clips]
    assert sorted(found) == sorted(f"{number}{kind}" for number, kind in enumerate(kinds))
    assert left_out(tmp_path) == "other files: 1 .csv"


def test_files_that_are_left_out_are_counted_by_extension(emo, media):
    for name in ("joy/x.HEIC", "joy/y.heic", "joy/z.mid", "README", "b.txt"):
        (media / name).touch()
    _, out, _ = emo("manifest", "folder", media, "--out", media.parent / "m.csv")
    assert " ".join(out.split()).endswith(
        "left out: media of kinds to convert first: 2 .heic, 1 .mid; other files: 2 .txt, "
        "1 without extension"
    )


def test_media_elsewhere_are_relative_to_their_folder(media, tmp_path):
    (tmp_path / "here").mkdir()
    out = tmp_path / "here" / "m.csv"
    manifest = from_folder(media, out=out)
    assert manifest.root == media
    assert manifest.clips[0].video == "d.mkv"
    assert manifest == read_manifest(out, root=media)


def test_a_folder_can_be_cut_by_its_sub_folders(media):
    (media / "d.mkv").unlink()
    (media / "d.wav").unlink()
    cut = Cut("folder", test=("sad",))
    manifest = from_folder(media, out=media / "m.csv", cut=cut)
    assert [clip.split for clip in manifest.clips] == ["train", "train", "test"]


def test_a_folder_without_media_is_an_error(tmp_path):
    with pytest.raises(ManifestError, match=r"no media; expected files such as .mp4"):
        from_folder(tmp_path, out=tmp_path / "m.csv")
    with pytest.raises(ManifestError, match="no such folder"):
        from_folder(tmp_path / "none", out=tmp_path / "m.csv")
    assert not (tmp_path / "m.csv").exists()


def test_a_name_that_no_table_can_hold_is_named(media):
    (media / "a\nb.mp4").touch()
    with pytest.raises(ManifestError, match=r"rename 'a\\nb.mp4'"):
        from_folder(media, out=media / "m.csv")


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def parts(tmp_path):
    return {
        "train": write(tmp_path / "one" / "a.csv", "path,label,age", "clips/x.mp4, joy ,30"),
        "dev": write(tmp_path / "two" / "b.tsv", "path\tlabel", "y.mp4\tsad"),
    }


def test_join_keeps_every_column_and_finds_the_media_again(parts, tmp_path):
    manifest = join_tables(parts, out=tmp_path / "m.jsonl", columns={"video": "path"})
    first, second = manifest.clips
    assert (first.video, first.split) == ("one/clips/x.mp4", "train")
    assert first.targets == {"label": "joy", "age": "30"}
    assert (second.video, second.split, second.targets) == ("two/y.mp4", "val", {"label": "sad"})


def test_join_writes_elsewhere_with_a_common_root(parts, tmp_path):
    (tmp_path / "three").mkdir()
    manifest = join_tables(parts, out=tmp_path / "three" / "m.csv", columns={"video": "path"})
    assert manifest.root == tmp_path
    assert manifest.clips[1].video == "two/y.mp4"


def test_join_refuses_an_unknown_split_and_a_part_with_splits(parts, tmp_path):
    with pytest.raises(ManifestError, match=r"--split tets=.*expected one of train, val"):
        join_tables({"tets": parts["dev"]}, out=tmp_path / "m.csv", columns={"video": "path"})
    own = write(tmp_path / "c.csv", "text,split", "a,test")
    with pytest.raises(ManifestError, match="has splits of its own"):
        join_tables({"train": own}, out=tmp_path / "m.csv")


def test_a_row_that_cannot_be_used_names_its_part(tmp_path):
    a = write(tmp_path / "a.csv", "id,text", "1,yes")
    b = write(tmp_path / "b.csv", "id,text", "1,no")
    with pytest.raises(ManifestError, match=r"a.csv row 2 and .*b.csv row 2 have the same id '1'"):
        join_tables({"train": a, "test": b}, out=tmp_path / "m.csv")
    c = write(tmp_path / "c.csv", "id,text", "1,")
    with pytest.raises(ManifestError, match=r"c.csv: row 2: no video, no audio and no text"):
        join_tables({"train": a, "test": c}, out=tmp_path / "m.csv")
    assert not (tmp_path / "m.csv").exists()


@pytest.fixture
def speakers(tmp_path):
    lines = [f"t{k},{name},0,{k}" for k, name in enumerate(["anna", "ben", "cleo", "anna"])]
    return write(tmp_path / "s.csv", "text,speaker,dialogue,turn", *lines)


def test_a_cut_keeps_the_ids_so_that_one_store_serves_all(speakers, tmp_path):
    before = read_manifest(speakers)
    for name in ("anna", "ben", "cleo"):
        cut = Cut("speaker", test=(name,))
        manifest = split_by(speakers, cut, out=tmp_path / f"{name}.csv")
        assert [clip.id for clip in manifest.clips] == [clip.id for clip in before.clips]
        assert {clip.speaker for clip in manifest.clips if clip.split == "test"} == {name}
        assert name not in {clip.speaker for clip in manifest.clips if clip.split == "train"}


def test_a_new_cut_does_not_merge_dialogues_of_one_number(tmp_path):
    rows = "a,train,0,0,x", "b,test,0,0,y", "c,test,1,0,y", "d,train,2,0,z"
    path = write(tmp_path / "m.csv", "text,split,dialogue,turn,speaker", *rows)
    manifest = split_by(path, Cut("speaker", val=("z",)), out=tmp_path / "n.csv")
    assert [clip.split for clip in manifest.clips] == ["train", "train", "train", "val"]
    assert [clip.dialogue for clip in manifest.clips] == ["train/0", "test/0", "1", "2"]


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (Cut("speeker", test=("ben",)), "'speeker'; did you mean 'speaker'"),
        (Cut("speaker", test=("bem",)), "'bem'; did you mean 'ben'"),
        (Cut("speaker", val=("ben",), test=("ben",)), "'ben' cannot be in val and in test"),
        (Cut("speaker"), "name at least one --val or --test"),
        (Cut("speaker", test=("anna", "ben", "cleo")), "nothing is left for train"),
    ],
)
def test_a_cut_that_cannot_be_made_says_why(speakers, tmp_path, cut, message):
    with pytest.raises(ManifestError, match=message):
        split_by(speakers, cut, out=tmp_path / "m.csv")


def test_a_cut_needs_a_value_in_every_row(tmp_path):
    path = write(tmp_path / "m.csv", "text,speaker", "a,x", "b,")
    with pytest.raises(ManifestError, match=r"m.csv row 3 has no speaker"):
        split_by(path, Cut("speaker", test=("x",)), out=tmp_path / "n.csv")


def test_meld_is_joined_from_its_three_files(real_data, tmp_path):
    folder: Path = real_data / "text" / "MELD"
    parts = {split: folder / f"{split}_sent_emo.csv" for split in ("train", "dev", "test")}
    manifest = join_tables(parts, out=tmp_path / "meld.csv", columns=MELD)
    clips = manifest.clips
    assert Counter(clip.split for clip in clips) == {"train": 9989, "val": 1109, "test": 2610}
    dialogues = {(clip.split, clip.dialogue) for clip in clips}
    assert Counter(split for split, _ in dialogues) == {"train": 1038, "val": 114, "test": 280}
    assert len({clip.dialogue for clip in clips}) == 1432
    with (folder / "test_sent_emo.csv").open(encoding="utf-8") as file:
        utterances = [row["Utterance"].strip() for row in csv.DictReader(file)]
    assert [clip.text for clip in clips if clip.split == "test"] == utterances


def test_nemo_is_cut_into_its_six_rotations(real_data, tmp_path):
    labels = real_data / "speech" / "labels.csv"
    for name in ("EB0", "KS0"):
        cut = Cut("speaker", test=(name,))
        manifest = split_by(labels, cut, out=tmp_path / f"{name}.csv", root=real_data)
        assert manifest.root == real_data
        assert len(manifest.clips) == 210
        assert sum(clip.split == "test" for clip in manifest.clips) == 36
        assert manifest.media_path(manifest.clips[0].audio).is_file()


def test_paths_of_arrays_follow_the_manifest_and_may_not_leave_its_root(tmp_path):
    (tmp_path / "sub").mkdir()
    part = tmp_path / "sub" / "a.csv"
    part.write_text("id,text,vectors,label\n1,yes,v/1.npz,joy\n2,no,,sad\n")
    made = join_tables({"train": part}, out=tmp_path / "m.csv")
    assert [clip.targets.get("vectors") for clip in made.clips] == ["sub/v/1.npz", None]
    part.write_text("id,text,vectors\n1,yes,../../secret.npy\n")
    with pytest.raises(ManifestError, match="leaves the folder of the media"):
        join_tables({"train": part}, out=tmp_path / "n.csv")


def test_thousands_of_sounds_beside_videos_take_no_time(monkeypatch):
    def seconds(count):
        files = [f"d/{k:06d}{kind}" for k in range(count) for kind in (".mp4", ".wav")]
        monkeypatch.setattr("emo.manifest.folder._files", lambda _: iter(files))
        began = time.process_time()
        assert len(folder_rows(Path(".")).origins) == count
        return time.process_time() - began

    seconds(100)
    assert seconds(8000) < 1  # looked for in a list, they took 8 s


def test_one_person_spelt_in_two_ways_is_not_cut_in_two(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("text,speaker\na,Ann\nb,ann\nc,ben\n")
    with pytest.raises(ManifestError, match="'Ann' would be test, 'ann' would be train, but they"):
        split_by(path, Cut("speaker", test=("Ann",)), out=tmp_path / "new.csv")
    made = split_by(path, Cut("speaker", test=("Ann", "ann")), out=tmp_path / "new.csv")
    assert [clip.split for clip in made.clips] == ["test", "test", "train"]
