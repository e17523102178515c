"""A backbone fails for what it reads and for nothing else, and a later run knows what is done."""

import pytest

from emo.extract.job.request import requests_from_words
from emo.extract.run import ExtractOptions, extract
from emo.manifest import Clip, Manifest
from emo.store import Store
from tests.make import make_clip

TEXT, SOUND, PICTURES = "tests.make_backbone:Letters", "logmel", "faces"
CENTRE = ["faces.faces=centre", "faces.frames=2"]


@pytest.fixture
def manifest(tmp_path):
    make_clip(tmp_path / "good.mp4", seconds=1)
    (tmp_path / "junk.wav").write_bytes(b"hello " * 99)
    clips = (
        Clip("good", video="good.mp4", text="ab"),
        Clip("gone", video="nowhere.mp4", text="cd"),
        Clip("deaf", video="good.mp4", audio="junk.wav", text="ef"),
        Clip("mute", video="good.mp4", audio="nowhere.wav", text="gh"),
        *(  # clips of one file are decoded in one pass
            Clip(f"part{k}", video="good.mp4", audio="junk.wav", text="ij", start_seconds=k / 4,
                 end_seconds=(k + 1) / 4)
            for k in range(4)
        ),
    )  # fmt: skip
    return Manifest(tmp_path / "m.csv", tmp_path, clips, "")


def run(manifest, words, pairs=()):
    requests = requests_from_words(words, pairs)
    return extract(manifest, manifest.root / "store", requests, ExtractOptions(), progress=False)


def test_texts_and_pictures_are_done_beside_broken_sound_and_missing_files(manifest):
    report = run(manifest, [TEXT, SOUND, PICTURES], CENTRE)
    store = Store(manifest.root / "store")
    every = {clip.id for clip in manifest.clips}
    assert report.exit_code == 3
    assert report.failures.get("letters", {}) == {}
    assert set(report.failures["faces"]) == {"gone"}
    assert set(report.failures["logmel"]) == every - {"good"}
    assert "no such file" in report.failures["logmel"]["mute"]
    assert "junk.wav: not a media file" in report.failures["logmel"]["part2"]
    assert set(store.recipes["letters"].ids) == every
    assert set(store.recipes["faces"].ids) == every - {"gone"}
    assert not run(manifest, [TEXT]).plan.parts  # nothing is left to do


def test_texts_alone_are_done_before_the_files_are_there(manifest):
    assert run(manifest, [TEXT]).exit_code == 0
    report = run(manifest, [TEXT, SOUND])
    assert report.failures.get("letters", {}) == {}
    assert len(report.failures["logmel"]) == len(manifest.clips) - 1


def test_notes_about_the_media_are_stored_beside_the_tokens(manifest):
    content = make_clip(
        manifest.root / "cut.flac", video=False, seconds=4, audio_codec="flac"
    ).read_bytes()
    (manifest.root / "cut.flac").write_bytes(content[: len(content) // 2])
    clips = (Clip("cut", audio="cut.flac", text="ab"),)
    run(Manifest(manifest.path, manifest.root, clips, ""), [TEXT, SOUND])
    recipes = Store(manifest.root / "store").recipes
    assert 1 < recipes["logmel"].notes["cut"]["seconds_lacking"] < 3
    assert "seconds_lacking" not in recipes["letters"].notes.get("cut", {})
