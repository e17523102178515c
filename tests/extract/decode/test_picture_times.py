"""Pictures whose times in the file are not their own: B-frames with the times of their packets."""

import numpy as np
import pytest

from emo.extract.decode.decode import load_media
from emo.extract.decode.source import ClipSource
from emo.extract.media import Needs, Uniform
from tests.ffmpeg import decoded, write_film

ALL = Needs(frames=Uniform(1000), keep_frames=True)
SIZE = (48, 64)


def media(path, start=None, end=None):
    source = ClipSource(video=path, start_seconds=start, end_seconds=end)
    return load_media(source, [ALL])[0]


@pytest.mark.parametrize("container", ["mkv", "nut", "avi"])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_xvid_comes_in_the_order_of_the_decoder(tmp_path, container, b_frames):
    """FFmpeg's muxers give Xvid's B-frames the times of their packets."""
    path = write_film(tmp_path / f"a.{container}", "-c:v", "libxvid", "-bf", b_frames, seconds=1)
    found = media(path)
    np.testing.assert_array_equal(found.frames, decoded(path, SIZE)[0])
    assert (np.diff(found.frame_seconds) > 0).all()
    assert found.notes == {}
    inside = (found.frame_seconds >= 0.3) & (found.frame_seconds < 0.8)
    np.testing.assert_array_equal(media(path, 0.3, 0.8).frames, found.frames[inside])


RAW = {
    "m1v": ("mpeg1video",),
    "m2v": ("mpeg2video", "-bf", "2"),
    "h264": ("libx264", "-bf", "2", "-preset", "ultrafast"),
    "gif": ("gif",),
}
"""Raw streams without an index: ending -> codec and options."""


@pytest.mark.parametrize("ending", RAW)
def test_stretches_of_joined_raw_streams_have_the_pictures_of_the_whole(tmp_path, ending):
    kind = () if ending == "gif" else ("-g", "9")
    path = write_film(tmp_path / f"a.{ending}", "-c:v", *RAW[ending], *kind, seconds=1.2)
    single = len(media(path).frames)
    path.write_bytes(path.read_bytes() * 2)
    whole = media(path)
    assert len(whole.frames) == 2 * single
    for low, high in [(0.3, 0.7), (1.3, 1.5), (1.5, 2.0), (2.1, None)]:
        part = media(path, low, high)
        inside = (whole.frame_seconds >= low - 1e-9) & (
            whole.frame_seconds < (high or np.inf) - 1e-9
        )
        np.testing.assert_array_equal(part.frames, whole.frames[inside])


def test_what_a_raw_stream_does_not_hold_is_told_with_its_true_end(tmp_path):
    path = write_film(tmp_path / "a.m2v", "-c:v", "mpeg2video", seconds=2.4, rate=25)
    last = media(path).frame_seconds[-1]
    told = media(path, 2.6).absent["video"]
    assert told == f"no frame between 2.60 s and the end: the last is at {last:.2f} s"


def test_bytes_that_are_no_time_are_not_taken_for_one(tmp_path):
    """FFmpeg reads the header of a second IVF file as a packet of the first."""
    path = write_film(tmp_path / "a.ivf", "-c:v", "libvpx", "-deadline", "realtime", seconds=0.5)
    whole = media(path)
    path.write_bytes(path.read_bytes() * 2)
    found = media(path)
    np.testing.assert_array_equal(found.frames, whole.frames)
    np.testing.assert_allclose(found.frame_seconds, whole.frame_seconds)
    assert found.notes == {"seconds_lacking": 0.5}


UNREAD = {
    "webm": (3, ("libvpx", "-deadline", "realtime"), "libopus"),
    "mkv": (4, ("libx264", "-preset", "ultrafast"), "aac"),
    "mp4": (2, ("mpeg4",), "aac"),
    "flv": (2, ("flv",), "mp3"),
    "wmv": (2, ("wmv2",), "wmav2"),
}
"""Ending -> how many files are joined, and the codecs; FFmpeg reads one or two of them."""


@pytest.mark.parametrize("ending", UNREAD)
def test_recordings_that_are_not_read_are_noted(tmp_path, ending):
    count, video, audio = UNREAD[ending]
    path = tmp_path / f"a.{ending}"
    rate = ("-ar", "44100") if ending == "flv" else ()
    write_film(path, "-c:v", *video, "-c:a", audio, *rate, seconds=1, sound=True)
    one, needs = path.read_bytes(), [ALL, Needs(audio=True)]
    assert all(not each.notes for each in load_media(ClipSource(video=path), needs))
    path.write_bytes(one * 2)
    lacks = [bool(each.notes) for each in load_media(ClipSource(video=path), needs)]
    if ending in ("webm", "mkv"):
        assert not lacks[0]
    path.write_bytes(one * count)
    pictures, sound = load_media(ClipSource(video=path), needs)
    unread = count - (2 if ending in ("webm", "mkv") else 1)
    assert pictures.notes["seconds_lacking"] == pytest.approx(unread, abs=0.15)
    assert "joined from several" in pictures.faults[0]
    assert sound.notes["seconds_lacking"] >= 0.9 * unread


def test_the_joint_of_two_theora_films_is_no_damage(tmp_path):
    path = write_film(tmp_path / "a.ogv", "-c:v", "libtheora", seconds=0.5)
    other = write_film(tmp_path / "b.ogv", "-c:v", "libtheora", "-vf", "hflip", seconds=0.5)
    path.write_bytes(path.read_bytes() + other.read_bytes())
    found = media(path)
    assert (len(found.frames), found.notes) == (20, {})
