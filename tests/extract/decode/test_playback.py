"""Files that browsers play are known, and of others a small copy holds what emo decodes."""

import io

import av
import numpy as np
import pytest

from emo.errors import MediaError
from emo.extract.decode.playback import encode
from emo.extract.decode.playback.encode import encode_clip
from emo.extract.decode.playback.plays import browser_type
from emo.extract.decode.source import ClipSource
from tests.make import make_clip, number_of, picture

WEBM = {"codec": "libvpx", "audio_codec": "libopus", "sample_rate": 48000}


def read(copy):
    """Times and pictures of a copy, its samples (channels, S) and their rate."""
    with av.open(io.BytesIO(copy.data)) as found:
        frames = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in found.decode(video=0)]
    with av.open(io.BytesIO(copy.data)) as found:
        blocks = list(found.decode(audio=0)) if found.streams.audio else []
    samples = np.concatenate([each.to_ndarray() for each in blocks], axis=1) if blocks else None
    return frames, samples, blocks[0].sample_rate if blocks else None


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("a.mp4", {}, "video/mp4"),
        ("a.mov", {}, "video/mp4"),
        ("a.mp4", {"audio": False}, "video/mp4"),
        ("a.mp4", {"audio_codec": "libmp3lame"}, "video/mp4"),
        ("a.webm", WEBM, "video/webm"),
        ("a.mkv", {}, None),
        ("a.avi", {"codec": "mpeg4", "audio_codec": "pcm_s16le"}, None),
        ("a.mp4", {"codec": "mpeg4"}, None),
        ("a.mp4", {"codec": "libx265"}, None),
        ("a.flv", {"codec": "flv", "audio_codec": "libmp3lame", "sample_rate": 44100}, None),
        ("a.wav", {"video": False, "audio_codec": "pcm_s16le"}, "audio/wav"),
        ("a.wav", {"video": False, "audio_codec": "pcm_f32le"}, None),
        ("a.mp3", {"video": False, "audio_codec": "libmp3lame"}, "audio/mpeg"),
        ("a.flac", {"video": False, "audio_codec": "flac"}, "audio/flac"),
        ("a.ogg", {"video": False, "audio_codec": "libopus", "sample_rate": 48000}, "audio/ogg"),
        ("a.m4a", {"video": False}, "audio/mp4"),
    ],
)
def test_what_browsers_play(tmp_path, name, options, expected):
    assert browser_type(make_clip(tmp_path / name, seconds=0.5, **options)) == expected


def test_a_file_that_begins_late_or_has_two_tracks_is_not_played_as_it_is(tmp_path):
    late = make_clip(tmp_path / "late.mp4", times=[2.0, 2.1, 2.2], audio=False)
    assert browser_type(late) is None
    make_clip(tmp_path / "a.mp4", seconds=0.5)
    with av.open(str(tmp_path / "two.mp4"), "w") as two, av.open(str(tmp_path / "a.mp4")) as one:
        track = one.streams.audio[0]
        copies = [two.add_stream_from_template(track) for _ in range(2)]
        for packet in one.demux(track):
            if packet.dts is not None:
                for copy in copies:
                    packet.stream = copy
                    two.mux(packet)
    assert browser_type(tmp_path / "two.mp4") is None


def test_a_copy_shows_and_sounds_at_the_times_of_the_clip(tmp_path):
    samples = np.zeros((1, 16000 * 2), np.float32)
    samples[0, 16000 + 4000 :] = 0.5 * np.sin(np.arange(12000) * 2 * np.pi * 440 / 16000)
    path = make_clip(
        tmp_path / "a.avi", seconds=2, codec="mpeg4", audio_codec="pcm_s16le", samples=samples
    )
    copy = encode_clip(ClipSource(video=path, start_seconds=0.5, end_seconds=1.5))
    assert copy.media_type == "video/mp4"
    frames, sound, rate = read(copy)
    assert [round(time * 12) for time, _ in frames] == [*range(12)]
    numbers = np.array([number_of(image) for _, image in frames])
    assert np.abs(numbers - np.arange(6, 18)).max() <= 1  # H.264 changes grey by a level
    begins = np.flatnonzero(np.abs(sound[0]) > 0.1)[0] / rate
    assert begins == pytest.approx(0.75, abs=0.05)  # 1.25 s less the start; AAC adds 23 ms
    assert len(sound[0]) / rate == pytest.approx(1.0, abs=0.05)


def test_a_copy_is_upright_and_small(tmp_path):
    frames = [picture(k, (640, 480)) for k in range(3)]
    path = make_clip(tmp_path / "a.mp4", frames=frames, audio=False, rotation=90)
    shown, sound, _ = read(encode_clip(ClipSource(video=path)))
    assert shown[0][1].shape == (240, 180, 3)
    assert sound is None
    corner = np.argmin([shown[0][1][y, x, 0] for y, x in ((5, 5), (5, -5), (-5, 5), (-5, -5))])
    assert corner == 2  # a quarter to the left brings the upper left corner to the lower left


def test_a_copy_has_the_channel_or_the_mean_of_many(tmp_path):
    path = make_clip(tmp_path / "a.mp4", seconds=0.5, channels=2)
    assert len(read(encode_clip(ClipSource(video=path)))[1]) == 2
    assert len(read(encode_clip(ClipSource(video=path, audio_channel="right")))[1]) == 1
    many = make_clip(tmp_path / "b.mp4", seconds=0.5, channels=6, sample_rate=48000)
    assert len(read(encode_clip(ClipSource(video=many)))[1]) == 1


def test_a_long_clip_is_cut_and_a_fast_one_thinned(tmp_path, monkeypatch):
    path = make_clip(tmp_path / "a.mp4", seconds=1, fps=60)
    assert len(read(encode_clip(ClipSource(video=path)))[0]) in (30, 31)
    monkeypatch.setattr(encode, "MOST_COPIED_SECONDS", 0.5)
    frames, sound, rate = read(encode_clip(ClipSource(video=path)))
    assert frames[-1][0] < 0.5
    assert len(sound[0]) / rate < 0.6


def test_sound_alone_and_nothing_at_all(tmp_path):
    path = make_clip(tmp_path / "a.wav", seconds=0.5, video=False, audio_codec="pcm_f32le")
    copy = encode_clip(ClipSource(audio=path))
    assert copy.media_type == "audio/mp4"
    with av.open(io.BytesIO(copy.data)) as found:
        assert [each.type for each in found.streams] == ["audio"]
    with pytest.raises(MediaError, match="nothing to play: the clip has no video file"):
        encode_clip(ClipSource(text="words"))
    (tmp_path / "b.mp4").write_bytes(b"no media")
    with pytest.raises(MediaError, match=r"b\.mp4: not a media file"):
        encode_clip(ClipSource(video=tmp_path / "b.mp4"))


def test_a_build_without_x264_writes_vp8(tmp_path, monkeypatch):
    path = make_clip(tmp_path / "a.mp4", seconds=0.5)
    found = av.codec.codecs_available - {"libx264"}
    monkeypatch.setattr(av.codec, "codecs_available", found)
    copy = encode_clip(ClipSource(video=path))
    assert copy.media_type == "video/webm"
    frames, sound, _ = read(copy)
    assert (len(frames), sound is not None) == (6, True)
