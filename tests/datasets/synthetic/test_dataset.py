import hashlib
import json
import shutil

import av
import numpy as np
import pytest

from emo.datasets.synthetic import dataset as written
from emo.datasets.synthetic.dataset import (
    VERSION,
    is_complete,
    render_clip,
    write_dataset,
)
from emo.datasets.synthetic.plan import plan_clips
from emo.errors import EmoError
from emo.manifest import read_manifest


@pytest.fixture(scope="module")
def dataset(demo_clips, tmp_path_factory):
    """The manifest of a copy in which a test may write; one process made the clips."""
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(demo_clips, folder, dirs_exist_ok=True)
    return folder / "manifest.csv"


def digests(manifest):
    files = sorted((manifest.parent / "clips").iterdir())
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_one_process_writes_the_same_bytes_as_two(dataset, tmp_path, monkeypatch):
    some = plan_clips(0, 1)[::2] + plan_clips(0, 1)[1:8:2]  # two processes from 16 clips on
    monkeypatch.setattr(written, "plan_clips", lambda seed, count: some)
    two = write_dataset(tmp_path, clips_per_class_and_speaker=1, workers=2, progress=False)
    found, expected = digests(two), digests(dataset)
    assert found == {f"{clip.id}.mp4": expected[f"{clip.id}.mp4"] for clip in some}


def test_the_manifest_reads_back_with_six_speakers_and_four_labels(dataset):
    manifest = read_manifest(dataset)
    assert len(manifest.clips) == 24
    pairs = {(clip.speaker, clip.targets["label"]) for clip in manifest.clips}
    assert len(pairs) == 24
    assert {clip.split for clip in manifest.clips} == {"train", "val", "test"}
    assert all(manifest.media_path(clip.video).is_file() for clip in manifest.clips)
    assert "synthetic" in manifest.clips[0].id
    assert "synthetic" in (dataset.parent / "README.md").read_text()


def test_clips_last_two_to_three_seconds_at_twelve_frames_a_second(dataset):
    for file in (dataset.parent / "clips").iterdir():
        with av.open(str(file)) as container:
            video, audio = container.streams.video[0], container.streams.audio[0]
            assert (video.width, video.height, video.average_rate) == (256, 256, 12)
            frames = sum(1 for _ in container.decode(video))
            assert audio.rate == 16000
        assert 24 <= frames <= 36


def test_a_second_call_keeps_the_clips(dataset):
    files = sorted((dataset.parent / "clips").iterdir())
    before, text = [file.stat().st_mtime_ns for file in files], dataset.read_text()
    assert write_dataset(dataset.parent, clips_per_class_and_speaker=1) == dataset
    assert [file.stat().st_mtime_ns for file in files] == before
    assert dataset.read_text() == text


def test_clips_of_another_seed_or_with_one_missing_are_not_complete(tmp_path):
    clips, marker = plan_clips(0, 1), {"version": VERSION, "seed": 0, "clips": 24}
    (tmp_path / "clips").mkdir()
    for clip in clips:
        (tmp_path / "clips" / f"{clip.id}.mp4").touch()
    assert not is_complete(tmp_path, clips, marker)
    (tmp_path / "synthetic.json").write_text(json.dumps(marker))
    assert is_complete(tmp_path, clips, marker)
    assert not is_complete(tmp_path, clips, {**marker, "seed": 1})
    (tmp_path / "clips" / f"{clips[7].id}.mp4").unlink()
    assert not is_complete(tmp_path, clips, marker)


def test_a_folder_with_other_clips_is_left_alone(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "holiday.mp4").touch()
    with pytest.raises(EmoError, match=r"not synthetic clips \(holiday.mp4"):
        write_dataset(tmp_path, clips_per_class_and_speaker=1)
    assert (tmp_path / "clips" / "holiday.mp4").exists()


def test_shuffled_labels_stand_beside_the_same_clips(dataset):
    shuffled = write_dataset(dataset.parent, clips_per_class_and_speaker=1, shuffle_labels=True)
    before, after = read_manifest(dataset).clips, read_manifest(shuffled).clips
    assert [clip.video for clip in before] == [clip.video for clip in after]
    assert [clip.text for clip in before] == [clip.text for clip in after]
    assert [clip.targets["label"] for clip in before] != [clip.targets["label"] for clip in after]


def test_another_seed_makes_other_clips():
    clip = plan_clips(0, 1)[0]
    (_, one, words), (_, two, other_words) = render_clip(clip, 0), render_clip(clip, 1)
    assert words != other_words
    assert len(one.samples) != len(two.samples) or not np.array_equal(one.samples, two.samples)
