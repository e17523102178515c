"""What every data set must do; a new file in emo/datasets/library/ is tested by itself."""

import dataclasses
from pathlib import Path

import pytest

from emo import plugins
from emo.datasets.counts import BY_SPLIT
from emo.datasets.dataset import Dataset
from emo.datasets.make import DatasetRequest, make_manifest
from emo.errors import DatasetError
from emo.manifest import read_manifest
from emo.manifest.cells import SPLITS
from tests.datasets.conftest import media  # noqa: F401 - a fixture
from tests.datasets.trees import TREES

NAMES = plugins.available(plugins.DATASETS)


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def kind(name):
    return plugins.load(plugins.DATASETS, name, Dataset)


@pytest.fixture
def made(name, tmp_path, media):  # noqa: F811
    """The small download, its report and its manifest beside it."""
    assert name in TREES, f"write a small download of {name} in tests/datasets/trees.py"
    (tmp_path / "down").mkdir()
    tree = TREES[name](tmp_path / "down", media)
    request = DatasetRequest(is_partial="--partial" in tree.words)
    return tree, make_manifest(name, tmp_path / "down", out=tmp_path / "m.csv", request=request)


def test_the_card_says_where_to_get_it_and_what_is_wrong_with_it(kind):
    for field in dataclasses.fields(kind.card):
        assert getattr(kind.card, field.name), field.name
    assert all(isinstance(fault, str) and len(fault) > 10 for fault in kind.card.faults)


def test_every_option_has_a_default_and_help(kind):
    assert all(field.metadata.get("help") for field in dataclasses.fields(kind.Options))
    kind.Options()


def test_what_the_authors_state_is_consistent(kind, name):
    stated = kind.stated(kind.Options())
    assert stated or name == "folder"
    clips = sum(stated.get("clips", {}).values())
    assert clips > 0 or name == "folder"
    for what, numbers in stated.items():
        assert all(isinstance(n, int) and n > 0 for n in numbers.values())
        if what in BY_SPLIT:
            assert numbers.keys() <= {*SPLITS, "all"}
        else:
            assert sum(numbers.values()) == clips, f"the classes of {what} are not all clips"


def test_an_empty_folder_is_an_error_that_names_what_was_looked_for(kind, name, tmp_path):
    with pytest.raises(DatasetError) as caught:
        make_manifest(name, tmp_path, out=tmp_path / "m.csv")
    assert kind.card.layout in str(caught.value)
    assert kind.card.where in str(caught.value)


def test_a_folder_that_is_not_there_is_named(name, tmp_path):
    with pytest.raises(DatasetError, match="gone: no such folder"):
        make_manifest(name, tmp_path / "gone", out=tmp_path / "m.csv")


def test_every_clip_of_a_small_download_is_in_the_manifest(made, tmp_path):
    tree, report = made
    clips = read_manifest(tmp_path / "m.csv").clips
    assert len(clips) == tree.clips == report.clips
    assert len({clip.id for clip in clips}) == len(clips)
    assert {clip.split for clip in clips} <= set(SPLITS)


def test_paths_are_of_files_below_the_root(made, tmp_path):
    tree, _ = made
    manifest = read_manifest(tmp_path / "m.csv")
    paths = [path for clip in manifest.clips for path in (clip.video, clip.audio) if path]
    assert bool(paths) == tree.has_media
    assert all((tmp_path / path).is_file() and path.startswith("down/") for path in paths)


def first_file(tmp_path):
    """A media file that the manifest names, its path below the download, and the clips it costs.

    A clip that has another file is kept with that.
    """
    clips = read_manifest(tmp_path / "m.csv").clips
    clip, path = next((clip, p) for clip in clips for p in (clip.video, clip.audio) if p)
    (tmp_path / "m.csv").unlink()
    return tmp_path / path, path.removeprefix("down/"), 0 if clip.video and clip.audio else 1


def again(name, tmp_path, **request):
    return make_manifest(
        name, tmp_path / "down", out=tmp_path / "m.csv", request=DatasetRequest(**request)
    )


def test_a_broken_clip_is_listed_and_left_out_of_a_partial_manifest(name, made, tmp_path):
    if not made[0].has_media:
        pytest.skip("texts alone have no clips that could be broken")
    file, path, lost = first_file(tmp_path)
    file.write_bytes(b"\0" * 500)
    report = again(name, tmp_path)
    assert [line for line in report.missing if line.startswith(f"{path} (")]
    assert report.root is None
    assert not (tmp_path / "m.csv").exists()
    assert again(name, tmp_path, is_partial=True).clips == made[0].clips - lost
    assert path not in (tmp_path / "m.csv").read_text()


def test_a_missing_clip_is_listed_and_left_out_of_a_partial_manifest(name, made, tmp_path):
    if name == "folder":
        pytest.skip("nothing is stated of a folder, so nothing can be missing")
    if not made[0].has_media:
        pytest.skip("texts alone have no clips; see the next test")
    file, path, lost = first_file(tmp_path)
    file.unlink()
    report = again(name, tmp_path)
    named = file.name if name != "emodb" else "529 of 535 recordings"  # names that follow no rule
    assert [line for line in report.missing if named in line], path
    assert report.root is None
    assert again(name, tmp_path, is_partial=True).clips == made[0].clips - lost


@pytest.mark.parametrize("name", ["dailydialog", "goemotions"])
def test_a_missing_table_of_texts_is_listed(name, made, tmp_path):
    assert not made[0].has_media
    table = max((tmp_path / "down").rglob("*t*rain*.t*"))
    table.unlink()
    report = again(name, tmp_path)
    assert [line for line in report.missing if table.name in line]
    assert report.root is None


def test_a_stray_is_named_and_not_a_clip(name, made, media, tmp_path):  # noqa: F811
    if name == "folder":
        pytest.skip("every file of a folder is a clip")
    (tmp_path / "m.csv").unlink()
    media.put(tmp_path / "down" / "zz_stray.mp4")
    report = again(name, tmp_path, is_partial=True)
    assert report.clips == made[0].clips
    assert "zz_stray.mp4" in "".join(report.notes)


def test_turns_of_a_dialogue_are_unique_and_dialogues_keep_to_one_split(made, tmp_path):
    clips = [clip for clip in read_manifest(tmp_path / "m.csv").clips if clip.dialogue]
    assert len({(clip.dialogue, clip.turn) for clip in clips}) == len(clips)
    assert len({(clip.dialogue, clip.split) for clip in clips}) == len({c.dialogue for c in clips})


def test_labels_are_there_and_the_report_counts_them(kind, made, tmp_path):
    tree, report = made
    clips = read_manifest(tmp_path / "m.csv").clips
    labelled = [clip for clip in clips if {"label", "emotion"} & clip.targets.keys()]
    if kind.has_labels:
        assert len(labelled) >= tree.clips - 1  # a test split may hide its labels
    assert any(row["what"] == "clips" for row in report.comparison)
    assert f"{tree.clips:,} clips -> " in report.text()


def test_the_page_of_data_sets_has_its_clips_and_licence(kind, name):
    page = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text()
    (line,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
    clips = sum(kind.stated(kind.Options()).get("clips", {}).values())
    assert f"| {clips:,} |" in line or (name == "folder" and "| – |" in line)
    assert line.endswith(f"| {kind.card.licence} |")
