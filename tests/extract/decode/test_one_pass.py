"""Clips of one file in one pass: each gets the bits that it gets alone."""

import re
from dataclasses import replace

import numpy as np
import pytest

from emo.errors import MediaError
from emo.extract.decode import one_pass as segments
from emo.extract.decode.decode import load_media
from emo.extract.decode.one_pass import continues, load_segments
from emo.extract.decode.source import ClipSource
from emo.extract.job.request import requests_from_words
from emo.extract.media import Linspace, Needs, Rate, Uniform, Windows
from emo.extract.run import ExtractOptions, extract
from emo.manifest import Clip, Manifest
from emo.store import Store
from tests.make import make_clip

NEEDS = (
    Needs(Uniform(4), keep_frames=True, audio=True),
    Needs(Rate(3, 2.0), keep_frames=True, squash=32),
    Needs(Windows(Linspace(2), 1.0, 0.5), keep_frames=True, text=True),
    Needs(audio=True),
)
STRETCHES = [  # overlapping, nested, apart, one beyond the end, one open
    (0.0, 2.0), (1.5, 3.25), (1.75, 2.0), (3.25, 6.0), (9.1, 9.9), (9.9, 14.0), (12.0, 20.0),
    (21.0, 22.0), (21.5, None),
]  # fmt: skip


@pytest.fixture(scope="module", params=["mp4", "webm", "avi", "mkv", "ts", "mpg"])
def film(request, tmp_path_factory):
    codecs = {
        "mp4": ("libx264", "aac"), "webm": ("libvpx", "libopus"), "avi": ("mpeg4", "mp3"),
        "mkv": ("libx264", "flac"), "ts": ("libx264", "mp2"), "mpg": ("mpeg2video", "mp2"),
    }  # fmt: skip
    video, audio = codecs[request.param]
    random = np.random.default_rng(0)
    samples = (0.3 * random.standard_normal((2, 20 * 44100))).clip(-1, 1).astype(np.float32)
    path = tmp_path_factory.mktemp("film") / f"film.{request.param}"
    return make_clip(
        path, seconds=20, channels=2, samples=samples, codec=video, audio_codec=audio,
        sample_rate=48000 if audio == "libopus" else 44100,
    )  # fmt: skip


def sources(film, stretches=STRETCHES):
    return [
        ClipSource(video=film, text="x", start_seconds=low, end_seconds=high)
        for low, high in stretches
    ]


def same(ours, theirs):
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.absent == other.absent
        assert one.sample_rate == other.sample_rate
        for name in ("frames", "frame_seconds", "samples"):
            mine, alone = getattr(one, name), getattr(other, name)
            assert (mine is None) == (alone is None), name
            if mine is not None:
                np.testing.assert_array_equal(mine, alone, err_msg=name)


def test_each_clip_gets_what_it_gets_alone(film):
    every = sources(film)
    found = list(load_segments(every, NEEDS))
    for source, ours in zip(every, found, strict=True):
        same(ours, load_media(source, NEEDS))


def test_the_file_is_opened_and_decoded_once(tmp_path, monkeypatch):
    film = make_clip(tmp_path / "film.mp4", seconds=20)
    every = sources(film, [(k * 0.5, (k + 1) * 0.5) for k in range(40)])
    alone = []
    monkeypatch.setattr(segments, "load_each", lambda *_, **__: alone.append(1))
    decoded = []
    real = segments.shown_frames

    def counted(path, wanted, *more, **options):
        decoded.append(len(wanted))
        return real(path, wanted, *more, **options)

    monkeypatch.setattr(segments, "shown_frames", counted)
    assert len(list(load_segments(every, NEEDS))) == 40
    assert alone == []
    assert len(decoded) == 1


def test_clips_after_a_break_fail_alone_and_those_before_are_kept(tmp_path):
    film = make_clip(tmp_path / "film.mpg", seconds=20, codec="mpeg2video", audio_codec="mp2")
    whole = film.read_bytes()
    film.write_bytes(whole[: int(0.6 * len(whole))])
    every = sources(film, [(k * 2.0, k * 2.0 + 1) for k in range(10)])
    outcomes = []
    for source, ours in zip(every, load_segments(every, NEEDS), strict=True):
        failure = next((media for media in ours if isinstance(media, Exception)), None)
        if failure is not None:
            with pytest.raises(MediaError, match=re.escape(str(failure))):
                load_media(source, NEEDS)
            outcomes.append("failed")
            continue
        same(ours, load_media(source, NEEDS))
        outcomes.append("has frames" if ours[0].frames is not None else "absent")
    assert outcomes[:4] == ["has frames"] * 4
    assert "has frames" not in outcomes[7:]


def test_what_continues_what(film):
    first = ClipSource(video=film, start_seconds=1.0, end_seconds=3.0)
    assert continues(first, replace(first, start_seconds=3.0, end_seconds=4.0))
    assert continues(first, replace(first, start_seconds=2.0, end_seconds=None))
    assert continues(replace(first, start_seconds=None), replace(first, start_seconds=0.0))
    for other in (
        replace(first, start_seconds=0.5),  # back in time
        replace(first, start_seconds=14.0, end_seconds=15.0),  # far ahead
        replace(first, video=film.with_name("other.mp4"), start_seconds=3.0),
        replace(first, audio_channel="left", start_seconds=3.0),
        replace(first, start_seconds=None, end_seconds=None),
    ):
        assert not continues(first, other)
    assert not continues(replace(first, end_seconds=None), replace(first, start_seconds=3.0))


def test_an_audio_file_that_cannot_be_sought_is_read_once(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    samples = (0.3 * random.standard_normal((1, 20 * 44100))).clip(-1, 1).astype(np.float32)
    speech = make_clip(
        tmp_path / "speech.mp3", seconds=20, video=False, samples=samples, sample_rate=44100,
        audio_codec="mp3",
    )  # fmt: skip
    every = [
        ClipSource(audio=speech, start_seconds=low, end_seconds=high) for low, high in STRETCHES[:7]
    ]
    alone = [load_media(source, NEEDS[3:]) for source in every]
    monkeypatch.setattr(segments, "sound_of", None)
    for ours, theirs in zip(load_segments(every, NEEDS[3:]), alone, strict=True):
        same(ours, theirs)


def test_a_store_of_segments_is_that_of_the_clips_alone(tmp_path, monkeypatch):
    film = make_clip(tmp_path / "film.mp4", seconds=20)
    other = make_clip(tmp_path / "other.mp4", seconds=2)
    clips = [
        Clip(f"s{k}", video=film.name, start_seconds=k * 0.8, end_seconds=(k + 1) * 0.8)
        for k in range(24)
    ]
    clips.insert(7, Clip("between", video=other.name))
    manifest = Manifest(tmp_path / "m.csv", tmp_path, tuple(clips), "")
    groups = []
    real = segments.load_segments
    monkeypatch.setattr(
        "emo.extract.worker.decoding.prepare.load_segments",
        lambda sources, *more, **named: (
            groups.append(len(sources)) or real(sources, *more, **named)
        ),
    )
    requests = requests_from_words(["classic", "logmel"], [])
    together = ExtractOptions(part_clips=40, batch_clips=8)
    assert (
        extract(manifest, tmp_path / "together", requests, together, progress=False).exit_code == 0
    )
    # "between" waits until the film is done; of two threads either may begin first
    assert sorted(groups) == [1, 8, 8, 8]
    assert groups.index(1) >= 2
    alone = ExtractOptions(part_clips=1)
    assert extract(manifest, tmp_path / "alone", requests, alone, progress=False).exit_code == 0
    ours, theirs = Store(tmp_path / "together"), Store(tmp_path / "alone")
    ids = [clip.id for clip in clips]
    for stream in ("classic/audio", "classic/face", "logmel/audio"):
        mine, wanted = ours.read(stream, ids), theirs.read(stream, ids)
        np.testing.assert_array_equal(mine.offsets, wanted.offsets)
        np.testing.assert_array_equal(mine.values, wanted.values)
