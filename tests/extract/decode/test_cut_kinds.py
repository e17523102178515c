"""Cut files whose containers say little of their end: an incomplete last frame is a cut."""

import pytest

from emo.extract.decode.decode import load_media
from emo.extract.decode.source import ClipSource
from emo.extract.media import Needs, Uniform
from tests.ffmpeg import ffmpeg, write_film

ALL = Needs(frames=Uniform(1000), keep_frames=True)
SOUND = Needs(audio=True)
RAW_SOUND = {
    "ac3": ("-c:a", "ac3"),
    "eac3": ("-c:a", "eac3"),
    "mp2": ("-c:a", "mp2"),
    "dts": ("-c:a", "dca", "-strict", "-2"),
}
FILMS = {
    "dv": ("-c:v", "dvvideo", "-c:a", "pcm_s16le", "-ar", "48000", "-ac", "2"),
    "mxf": ("-c:v", "mpeg2video", "-c:a", "pcm_s16le", "-ar", "48000"),
    "nut": ("-c:v", "mpeg4", "-c:a", "aac"),
    "wmv": ("-c:v", "wmv2", "-c:a", "wmav2"),
    "ts": ("-c:v", "mpeg2video", "-c:a", "mp2"),
}


def cut(path, share):
    content = path.read_bytes()
    short = path.with_name(f"cut{path.suffix}")
    short.write_bytes(content[: int(share * len(content))])
    return short


@pytest.mark.parametrize("ending", RAW_SOUND)
@pytest.mark.parametrize("rate", [44100, 48000])
def test_raw_sound_that_ends_within_a_frame_is_cut(tmp_path, ending, rate):
    path = tmp_path / f"a.{ending}"
    options = ("-ar", str(rate), "-ac", "2", *RAW_SOUND[ending])
    ffmpeg("-f", "lavfi", "-i", "anoisesrc=d=2:a=0.2", *options, path)
    (whole,) = load_media(ClipSource(audio=path), [SOUND])
    assert whole.notes == {}
    for share in (0.301, 0.62, 0.98):
        (found,) = load_media(ClipSource(audio=cut(path, share)), [SOUND])
        assert found.notes.get("end_missing") == 1
    joined = path.with_name(f"joined{path.suffix}")
    joined.write_bytes(path.read_bytes() * 2)
    assert load_media(ClipSource(audio=joined), [SOUND])[0].notes == {}


@pytest.mark.parametrize("ending", FILMS)
def test_films_that_are_cut_say_so_for_pictures_and_sound(tmp_path, ending):
    size = "720x576" if ending == "dv" else "64x48"
    path = write_film(
        tmp_path / f"a.{ending}", *FILMS[ending], size=size, rate=25, seconds=1.2, sound=True
    )
    assert [media.notes for media in load_media(ClipSource(video=path), [ALL, SOUND])] == [{}, {}]
    for share in (0.51, 0.86):
        pictures, sound = load_media(ClipSource(video=cut(path, share)), [ALL, SOUND])
        lacking = pictures.notes["seconds_lacking"]
        assert sound.notes.keys() & {"seconds_lacking", "end_missing"}
        if ending in ("mxf", "wmv"):  # their headers say how long they were
            last = float(pictures.frame_seconds[-1])
            assert lacking == pytest.approx(1.2 - last, abs=0.1)
            assert sound.notes["seconds_lacking"] == pytest.approx(lacking, abs=0.2)
