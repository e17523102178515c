"""Split, label and speaker are found in the names of folders and files, or a pattern says where."""

import itertools

import pytest

from emo.datasets.make import DatasetRequest, make_manifest
from emo.errors import ManifestError
from emo.manifest import read_manifest
from emo.manifest.make import from_folder
from emo.manifest.naming.named_folder import named_folder
from emo.manifest.naming.parts import parts_of
from emo.manifest.naming.readings import pattern_of, readings_of

EMOTIONS = ["happy", "sad", "anger"]
SPEAKERS = ["anna", "ben", "cleo"]
TAKES = ["1", "2"]


def grid(form, **values):
    return [form.format(*each) for each in itertools.product(*values.values())]


def readings(files):
    paths = parts_of(files)
    return [pattern_of(paths, reading) for reading in readings_of(paths)]


def touch(folder, files):
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    return folder


SPLITS = ["train", "val", "test"]
KINDS = {
    "{split}/{label}/{speaker}_{take}": ("{}/{}/{}_{}.mp4", SPLITS, EMOTIONS, SPEAKERS, TAKES),
    "{label}/{split}/{speaker}-{take}": (
        "{}/{}/{}-{}.wav", EMOTIONS, ["Dev", "train"], SPEAKERS, TAKES,
    ),
    "{split}/{speaker}/{label}_{take}": (
        "{}/{}/{}_{}.wav", ["validation", "test"], SPEAKERS, ["ANG", "HAP", "neu"], TAKES,
    ),
    "{speaker}/{label}/{take}": ("{}/{}/{}.wav", SPEAKERS, ["生气", "高兴", "x"], TAKES),
    "{label}/{speaker}/{take}": ("{}/{}/{}.wav", EMOTIONS, ["actor_01", "actor_02"], TAKES),
    "{split}_{label}_{speaker}_{take}": (
        "{}_{}_{}_{}.flac", ["train", "test"], EMOTIONS, SPEAKERS, TAKES,
    ),
    "{label}/{_}/{speaker}_{take}": (
        "{}/{}/{}_{}.wav", EMOTIONS, ["audio", "video"], SPEAKERS, TAKES,
    ),
    "{label}/{take}": ("{}/{}.wav", ["cats", "dogs"], ["1", "2", "3"]),
    "{label}/{speaker}_{take}": ("data/v1/{}/{}_{}.wav", EMOTIONS, ["1001", "1002"], TAKES),
    "{label}/{speaker} {take}": ("{}/{} {}.wav", EMOTIONS, SPEAKERS, TAKES),
    "{label}/{_}_{speaker}_{take}": ("{}/{}_{}_{}.wav", EMOTIONS, ["f", "m"], SPEAKERS, TAKES),
    "{label}/{_}_{_}": ("{}/{}_{}.wav", ["cats", "dogs"], ["1", "2"], ["x"]),
    "{label}/{_}": ("{}/{}.wav", ["cats", "dogs"], ["1a", "2b"]),
    "{_}_{take}": ("{}_{}.wav", SPEAKERS, TAKES),
    "{_}-{_}-{take}": ("{}-{}-{}.wav", ["03", "04"], ["01", "02"], TAKES),
}  # fmt: skip


@pytest.mark.parametrize("expected", KINDS)
def test_what_names_tell_is_found(expected):
    form, *values = KINDS[expected]
    assert readings(grid(form, **dict(zip("abcd", values, strict=False)))) == [expected]


def test_a_speaker_recurs_under_several_labels_or_is_none():
    nested = [f"{a}/{b}_{k}.wav" for a, b in [("happy", "anna"), ("sad", "ben")] for k in TAKES]
    assert readings(nested) == ["{label}/{_}_{take}"]
    third = [f"sad/cleo_{take}.wav" for take in TAKES]
    assert readings([*nested, *third]) == ["{label}/{_}_{take}"]
    assert readings([*nested, "sad/anna_1.wav"]) == ["{label}/{speaker}_{take}"]


def test_a_stray_file_changes_nothing():
    files = grid("{}/{}_{}.wav", a=EMOTIONS, b=SPEAKERS, c=["1", "2", "3", "4"])
    assert readings([*files, "read_me.mp4"]) == ["{label}/{speaker}_{take}"]


def test_two_readings_that_both_fit_are_refused_and_either_is_taken_by_a_pattern(tmp_path, emo):
    clips = touch(tmp_path / "d", grid("{}/{}_{}.wav", a=["cats", "dogs"], b=SPEAKERS, c=TAKES))
    code, out, err = emo("manifest", "folder", clips, "--out", "m.csv")
    assert (code, out) == (1, "")
    line = " ".join(err.split())
    first, second = "{label}/{speaker}_{take}", "{speaker}/{label}_{take}"
    assert f"--pattern '{first}' (label cats, dogs; speaker anna, ben, cleo), or" in line
    assert f"--pattern '{second}' (label anna, ben, cleo; speaker cats, dogs)" in line
    assert not (tmp_path / "m.csv").exists()
    for number, pattern in enumerate([first, f"{second}.wav"]):
        out = tmp_path / f"{number}.csv"
        assert emo("manifest", "folder", clips, "--out", out, "--pattern", pattern)[0] == 0
    clip = read_manifest(tmp_path / "1.csv").clips[0]
    assert (clip.speaker, clip.targets) == ("cats", {"label": "anna", "take": "1"})


def test_what_was_found_is_printed_and_written(tmp_path, emo):
    files = grid("{}/{}/{}_{}.mp4", a=["train", "dev", "test"], b=EMOTIONS, c=SPEAKERS, d=TAKES)
    touch(tmp_path / "d", [*files, "extra/happy/anna_9.mp4"])
    _, out, _ = emo("manifest", "folder", "d", "--out", "m.csv")
    rows = [line.split(maxsplit=4) for line in out.splitlines()]
    assert ["speaker", "name", "part", "1", "3     55  anna 19, ben 18, cleo 18"] in rows
    assert "as a pattern: {split}/{label}/{speaker}_{take}" in out
    assert "1 file without split: extra/happy/anna_9.mp4" in out
    clips = read_manifest(tmp_path / "m.csv").clips
    assert [clip.split for clip in clips].count("val") == 18
    assert (clips[0].split, clips[0].speaker) == ("val", "anna")
    assert clips[0].targets == {"label": "anger"}


def test_a_pattern_says_what_it_drops(tmp_path):
    clips = touch(tmp_path, grid("{}/{}/{}_{}.mp4", a=SPLITS, b=EMOTIONS, c=SPEAKERS, d=TAKES))
    named = named_folder(clips, "{speaker}_{_}")
    assert named.notes == [
        "the pattern names no {split}; it was taken from folder 1",
        "the pattern leaves out folder 2, which looks like a label: anger, happy, sad",
    ]
    assert {*named.rows.columns["split"]} == {*SPLITS}
    assert "_" not in named.rows.columns
    named = named_folder(clips, "{label}/{split}/{speaker}_{_}")
    assert "{label} is the name of a split in 54 files, which stay without label" in named.notes[0]
    assert "{split} is no split in 54 files" in named.notes[1]
    assert named.rows.columns.keys() == {"video", "speaker"}
    named = named_folder(clips, "train/{label}/anna_{take}.mp4")
    assert (len(named.rows.origins), len(named.unfit)) == (6, 48)
    for pattern, message in [
        ("{label}x.mp4", "fits none of 54 files, such as"),
        ("label", "expected one or more different columns"),
        ("{label}_{label}", "expected one or more different columns"),
    ]:
        with pytest.raises(ManifestError, match=message):
            named_folder(clips, pattern)


def test_folders_that_are_no_column_stay_one(tmp_path):
    touch(tmp_path, ["happy/day1/a.mp4", "sad/day1/b.mp4", "sad/day2/c.mp4", "d.mp4"])
    columns = named_folder(tmp_path).rows.columns
    assert columns["label"] == ["", "happy", "sad", "sad"]
    assert columns["folder"] == ["", "happy/day1", "sad/day1", "sad/day2"]


def test_emo_dataset_folder_writes_what_emo_manifest_folder_writes(tmp_path):
    touch(tmp_path / "d", grid("{}/{}_{}.mp4", a=EMOTIONS, b=SPEAKERS, c=TAKES))
    from_folder(tmp_path / "d", out=tmp_path / "m.csv")
    report = make_manifest(
        "folder", tmp_path / "d", out=tmp_path / "n.csv", request=DatasetRequest(is_opened=False)
    )
    assert (tmp_path / "m.csv").read_text() == (tmp_path / "n.csv").read_text()
    assert "as a pattern: {label}/{speaker}_{take}" in report.text()
