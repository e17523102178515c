"""Files made for faults that reports showed (../shared/cases/media): the pictures of each."""

import numpy as np
import pytest

from emo.extract.decode.decode import load_media
from emo.extract.decode.one_pass import load_segments
from emo.extract.decode.source import ClipSource
from emo.extract.media import Needs, Uniform
from tests.ffmpeg import decoded

ALL = Needs(frames=Uniform(1000), keep_frames=True)


def media(path, start=None, end=None):
    source = ClipSource(video=path, start_seconds=start, end_seconds=end)
    return load_media(source, [ALL])[0]


def distinct(frames):
    return len({frame.tobytes() for frame in frames})


@pytest.mark.parametrize(
    ("name", "pictures", "different"),
    [
        ("concat.ts", 150, 150),
        ("concat.webm", 150, 150),
        ("xvid_b.avi", 73, 73),
        ("h264_b.avi", 75, 75),
        ("stillfirst_nodef.mkv", 75, 75),
        ("av_plain.mp4", 75, 75),
    ],
)
def test_every_picture_comes_once_and_in_order(cases, name, pictures, different):
    found = media(cases / name)
    assert (len(found.frames), distinct(found.frames)) == (pictures, different)
    assert (np.diff(found.frame_seconds) > 0).all()
    tracks = () if name != "stillfirst_nodef.mkv" else ("-map", "-0:V:0", "-map", "0:V:1")
    expected, _ = decoded(cases / name, (120, 160), *tracks)
    np.testing.assert_array_equal(found.frames, expected)


@pytest.mark.parametrize("name", ["concat.ts", "concat.webm", "h264_b.avi"])
def test_a_stretch_has_the_pictures_of_the_whole(cases, name):
    whole = media(cases / name)
    low, high = 2.05, 2.85 if name.endswith("avi") else 4.05
    inside = (whole.frame_seconds >= low) & (whole.frame_seconds < high)
    part = media(cases / name, low, high)
    np.testing.assert_array_equal(part.frame_seconds, whole.frame_seconds[inside])
    np.testing.assert_array_equal(part.frames, whole.frames[inside])
    stretches = [(0.0, 0.5), (0.4, 1.3), (low, high)]
    sources = [ClipSource(video=cases / name, start_seconds=a, end_seconds=b) for a, b in stretches]
    *_, (last,) = load_segments(sources, [ALL])
    np.testing.assert_array_equal(last.frames, part.frames)


@pytest.mark.parametrize(("name", "size"), [("hflip.mp4", (120, 160)), ("sar2.mp4", (120, 160))])
def test_pictures_are_shown_as_ffmpeg_shows_them(cases, name, size):
    found = media(cases / name)
    options = ("-vf", "scale=iw*sar:ih,setsar=1") if name == "sar2.mp4" else ()
    np.testing.assert_array_equal(found.frames, decoded(cases / name, size, *options)[0])


@pytest.mark.parametrize("name", ["one_h264.mkv", "one_h264.mp4"])
def test_one_flipped_bit_is_noted_for_each_picture_that_it_spoils(cases, name):
    found = media(cases / name)
    assert (len(found.frames), found.notes) == (75, {"damaged_frames": 25.0})
    np.testing.assert_array_equal(found.frames, decoded(cases / name, (120, 160))[0])


def test_between_two_slides_the_one_that_is_shown_is_taken(cases):
    for low, high, shown in [(0.0, 3.0, 0.0), (1.0, 3.5, 0.0), (5.0, 7.0, 4.0)]:
        found = media(cases / "slides.mp4", low, high)
        assert found.frame_seconds.tolist() == [shown]
    assert "the last is at 8.00 s" in media(cases / "slides.mp4", 9.0, 10.0).absent["video"]
