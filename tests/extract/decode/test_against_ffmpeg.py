"""Pictures of damaged and odd files are those of FFmpeg's own tool: 13 containers, five faults."""

import numpy as np
import pytest

from emo.extract.decode.pictures.damage import Damage
from emo.extract.decode.pictures.frame_list import list_frames
from emo.extract.decode.pictures.video import read_pictures
from tests.ffmpeg import decoded, ffmpeg, write_film

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-b_strategy", "0", "-g", "10")
MPEG2 = ("-c:v", "mpeg2video", "-g", "10", "-bf", "2")
CONTAINERS = {
    "mp4": H264,
    "mov": ("-c:v", "mpeg4", "-g", "10"),
    "3gp": ("-c:v", "mpeg4", "-g", "10"),
    "mkv": H264,
    "webm": ("-c:v", "libvpx", "-g", "10", "-deadline", "realtime", "-cpu-used", "8"),
    "avi": ("-c:v", "mpeg4", "-g", "10"),
    "flv": H264,
    "ts": H264,
    "m2ts": MPEG2,
    "mpg": MPEG2,
    "vob": MPEG2,
    "ogv": ("-c:v", "libtheora", "-g", "10", "-q:v", "9"),
    "wmv": ("-c:v", "wmv2", "-g", "10"),
}
JOINABLE = ("mkv", "webm", "avi", "ts", "m2ts", "mpg", "vob", "ogv")
"""Containers that FFmpeg reads on in, when one file is appended to another."""
MIRRORED = {
    "flipped left to right": ("-display_hflip",),
    "flipped top to bottom": ("-display_vflip",),
    "quarter turn": ("-display_rotation", "90"),
    "half turn": ("-display_rotation", "180"),
    "three quarters": ("-display_rotation", "270"),
    "quarter turn, flipped": ("-display_rotation", "90", "-display_hflip"),
    "three quarters, flipped": ("-display_rotation", "270", "-display_hflip"),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """One film in each container, with sound where a fault moves it."""
    folder = tmp_path_factory.mktemp("films")
    return {name: write_film(folder / f"a.{name}", *how) for name, how in CONTAINERS.items()}


def ours(path):
    """Every picture that comes out, once: times, pictures, the number of damaged ones."""
    listed, damage = list_frames(path), Damage()
    shown = {}
    for seconds, picture in read_pictures(path, listed.seconds, listed, damage):
        shown.setdefault(seconds, picture.rgb)
    times = np.array(list(shown))
    assert (np.diff(times) > 0).all()
    return times, np.stack(list(shown.values())), len(damage.seconds)


def assert_like_ffmpeg(path, *options):
    times, pictures, damaged = ours(path)
    expected, corrupt = decoded(path, pictures.shape[1:3], *options)
    assert len(pictures) == len(expected)
    differences = np.abs(pictures.astype(int) - expected).mean((1, 2, 3))
    assert differences.max() <= 0.6
    assert bool(damaged) >= bool(corrupt)
    return times, damaged


@pytest.mark.parametrize("container", CONTAINERS)
def test_whole_files(films, container):
    times, damaged = assert_like_ffmpeg(films[container])
    assert len(times) == 40
    assert damaged == 0
    assert list_frames(films[container]).lacking_seconds(None, None) == 0


@pytest.mark.parametrize("container", [c for c in CONTAINERS if c not in ("mp4", "mov", "3gp")])
def test_cut_files(films, tmp_path, container):
    """The three left out have their index at the end and cannot be opened: a failure."""
    path = tmp_path / f"cut.{container}"
    whole = films[container].read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10 + 1])
    times, _ = assert_like_ffmpeg(path)
    assert 10 < len(times) < 40
    lacking = list_frames(path).lacking_seconds(None, None)
    is_length_known = container in ("mkv", "webm", "avi", "flv", "wmv")
    assert lacking == pytest.approx((40 - len(times)) / 20 if is_length_known else 0.05, abs=0.11)
    assert lacking > 0


@pytest.mark.parametrize("place", [0.35, 0.7])
@pytest.mark.parametrize("container", CONTAINERS)
def test_files_with_a_flipped_bit(films, tmp_path, container, place):
    path = tmp_path / f"flipped.{container}"
    content = bytearray(films[container].read_bytes())
    content[int(len(content) * place)] ^= 0x10
    path.write_bytes(content)
    times, _ = assert_like_ffmpeg(path)
    assert len(times) > 30


@pytest.mark.parametrize("container", JOINABLE)
def test_joined_files_whose_clock_starts_again(films, tmp_path, container):
    path = tmp_path / f"joined.{container}"
    path.write_bytes(films[container].read_bytes() * 2)
    times, _ = assert_like_ffmpeg(path)
    assert len(times) == 80
    np.testing.assert_allclose(np.diff(times), 0.05, atol=0.002)


@pytest.mark.parametrize(
    ("container", "aspect"),
    [(name, "2/1") for name in CONTAINERS if name not in ("wmv", "mpg", "vob", "m2ts")]
    + [(name, "16/15") for name in ("mpg", "vob", "m2ts")]
    + [("mp4", "8/9"), ("mkv", "1/2")],
)
def test_pixels_that_are_not_square(tmp_path, container, aspect):
    size = "80x64" if "15" in aspect else "64x48"
    path = write_film(
        tmp_path / f"wide.{container}", "-vf", f"setsar={aspect}", *CONTAINERS[container],
        seconds=0.5, size=size,
    )  # fmt: skip
    times, pictures, _ = ours(path)
    assert pictures.shape[1:3] != tuple(int(side) for side in size.split("x")[::-1])
    assert_like_ffmpeg(path, "-vf", "scale=iw*sar:ih,setsar=1")
    assert len(times) == 10


@pytest.mark.parametrize("fault", MIRRORED)
@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_every_display_matrix(films, tmp_path, container, fault):
    path = tmp_path / f"turned.{container}"
    ffmpeg(*MIRRORED[fault], "-i", films[container], "-c", "copy", path)
    assert_like_ffmpeg(path)
    assert not np.array_equal(ours(path)[1], ours(films[container])[1])


def test_a_turned_picture_with_wide_pixels(tmp_path):
    wide = write_film(tmp_path / "wide.mp4", "-vf", "setsar=2/1", *H264, seconds=0.5)
    path = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", "90", "-i", wide, "-c", "copy", path)
    _, pictures, _ = ours(path)
    assert pictures.shape[1:3] == (64, 24)  # 128 x 48 turned, its height kept
    assert_like_ffmpeg(path, "-vf", "scale=iw*sar:ih,setsar=1")


@pytest.mark.parametrize("codec", ["mpeg4", "libx264", "libxvid"])
def test_avi_with_b_frames(tmp_path, codec):
    path = write_film(tmp_path / "b.avi", "-c:v", codec, "-bf", "2", "-g", "12")
    times, _ = assert_like_ffmpeg(path)
    assert len(times) >= 38  # libxvid drops the last ones
    np.testing.assert_allclose(np.diff(times), 0.05, atol=0.051)  # packed ones leave gaps
    moved = tmp_path / "b.mp4"
    ffmpeg("-i", path, "-c", "copy", moved)
    assert_like_ffmpeg(moved)


def test_packets_without_times_in_a_program_stream(tmp_path):
    path = write_film(tmp_path / "h.mpg", *H264, "-f", "mpeg")
    times, _ = assert_like_ffmpeg(path)
    np.testing.assert_allclose(np.diff(times), 0.05, atol=0.005)


@pytest.mark.parametrize("container", ["mkv", "ts", "flv", "mp4"])
def test_pictures_that_start_late_keep_their_times(tmp_path, container):
    path = tmp_path / f"late.{container}"
    ffmpeg(
        "-f", "lavfi", "-i", "sine=f=440:d=3", "-itsoffset", "1", "-f", "lavfi", "-i",
        "testsrc2=s=64x48:r=20:d=2", *H264, "-c:a", "aac", "-pix_fmt", "yuv420p", path,
    )  # fmt: skip
    times, _ = assert_like_ffmpeg(path)
    assert times[0] == pytest.approx(1.0, abs=0.12)  # less by what the AAC encoder adds in front
