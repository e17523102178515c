"""Pictures and sound that FFmpeg leaves out of damaged files are noted; of whole ones nothing."""

import itertools

import numpy as np
import pytest

from emo.extract.decode.decode import load_media
from emo.extract.decode.pictures.frame_list import list_frames
from emo.extract.decode.sound.audio import read_sound
from emo.extract.decode.sound.ogg_pages import read_pages
from emo.extract.decode.source import ClipSource
from emo.extract.decode.structure.flv_tags import damaged_tags
from emo.extract.decode.structure.matroska import damaged_spans
from emo.extract.decode.structure.transport import lost_positions
from emo.extract.media import Needs, Uniform
from tests.ffmpeg import ffmpeg, write_film

ALL = Needs(frames=Uniform(1000), keep_frames=True)
SOUND = Needs(audio=True)
FAST = ("-g", "10")
KINDS = {
    "mkv": ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-c:a", "ac3", *FAST),
    "webm": ("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus", *FAST),
    "ts": ("-c:v", "mpeg2video", "-bf", "2", "-c:a", "mp2", *FAST),
    "ogv": ("-c:v", "libtheora", "-c:a", "libvorbis", *FAST),
    "flv": ("-c:v", "flv", "-c:a", "mp3", "-ar", "44100", *FAST),
}
CLUSTERS = ("-cluster_time_limit", "500")


def write(folder, ending):
    rate = 25 if ending == "ts" else 20  # MPEG-2 has no 20
    extra = CLUSTERS if ending in ("mkv", "webm") else ()
    return write_film(
        folder / f"a.{ending}", *KINDS[ending], *extra, seconds=4, sound=True, rate=rate
    )


@pytest.fixture(scope="module", params=KINDS)
def film(request, tmp_path_factory):
    """A film of 4 s in each container, its pictures and its sound."""
    path = write(tmp_path_factory.mktemp("film"), request.param)
    pictures, sound = load_media(ClipSource(video=path), [ALL, SOUND])
    assert pictures.notes == sound.notes == {}
    return path, pictures, sound


def damaged(path, folder, share, count=400):
    """Overwrite bytes in the middle; of a transport stream, leave packets out."""
    content = bytearray(path.read_bytes())
    at = int(share * len(content))
    if path.suffix == ".ts":
        at -= at % 188
        del content[at : at + 60 * 188]
    else:
        content[at : at + count] = np.random.default_rng(int(1000 * share)).bytes(count)
    copy = folder / path.name
    copy.write_bytes(content)
    return copy


@pytest.mark.parametrize("share", [0.35, 0.45, 0.55, 0.65])
def test_what_is_lost_in_the_middle_is_noted(film, tmp_path, share):
    path, whole, whole_sound = film
    found, sound = load_media(ClipSource(video=damaged(path, tmp_path, share)), [ALL, SOUND])
    by_time = dict(zip(np.round(whole.frame_seconds, 2), whole.frames, strict=True))
    same = sum(
        time in by_time and np.array_equal(by_time[time], frame)
        for time, frame in zip(np.round(found.frame_seconds, 2), found.frames, strict=True)
    )
    wrong = len(whole.frames) - same
    # a flagged picture counts with those up to the next keyframe, few of which look wrong
    assert wrong - 3 <= found.notes.get("damaged_frames", 0) <= wrong + 10
    assert ("damaged_frames" in found.notes) == (wrong > 0)
    length = min(whole_sound.samples.shape[1], sound.samples.shape[1])
    is_silent = np.abs(sound.samples[0, :length]) < 1e-6
    is_lost = is_silent & (np.abs(whole_sound.samples[0, :length]) > 0.01)
    seconds = is_lost.sum() / sound.sample_rate
    assert sound.notes.get("seconds_lacking", 0) >= 0.9 * seconds - 0.01


@pytest.mark.parametrize("kind", ["bit", "header"])
def test_a_lost_page_of_theora(tmp_path, kind):
    path = write(tmp_path, "ogv")
    content = bytearray(path.read_bytes())
    head = content.index(b"OggS")
    serial = content[head + 14 : head + 18]  # Theora's head comes first
    places = [at for at in read_pages(path) if content[at + 14 : at + 18] == serial]
    at = places[len(places) // 2]
    content[at + 60] ^= 4
    if kind == "header":
        content[at : at + 20] = bytes(20)
    path.write_bytes(content)
    assert 2 <= load_media(ClipSource(video=path), [ALL])[0].notes["damaged_frames"] <= 25


@pytest.mark.parametrize("ending", ["opus", "ogv", "ogg", "oga"])
@pytest.mark.parametrize("kind", ["bit", "header"])
def test_a_damaged_first_page_of_sound_is_no_late_sound(tmp_path, ending, kind):
    codec = {"opus": "libopus", "oga": "flac"}.get(ending, "libvorbis")
    pictures = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=20:d=3", "-c:v", "libtheora")
    path = tmp_path / f"a.{ending}"
    ffmpeg("-f", "lavfi", "-i", "anoisesrc=d=3:r=48000:a=0.3:seed=1",
           *(pictures if ending == "ogv" else ()), "-c:a", codec, path)  # fmt: skip
    whole = read(path)
    content = bytearray(path.read_bytes())
    pages = read_pages(path)
    last = max(pages)  # its serial is the sound's
    own = pages[last].serial if ending != "ogv" else sound_serial(content)
    first = next(at for at, page in pages.items() if page.serial == own and page.granule)
    content[first + 60] ^= 4
    if kind == "header":
        content[first : first + 20] = bytes(20)
    path.write_bytes(content)
    found = read(path)
    assert found.faults.notes["seconds_lacking"] == pytest.approx(found.start_seconds, abs=0.05)
    assert found.start_seconds > 0.3
    assert "damaged" in found.faults.reasons[0]
    later = slice(2 * 48000, round(2.9 * 48000))  # where no page was lost
    np.testing.assert_allclose(found.samples[0, later], whole.samples[0, later], atol=0.05)


def sound_serial(content):
    at = content.rindex(b"OggS", 0, content.index(b"\x01vorbis"))
    return int.from_bytes(content[at + 14 : at + 18], "little")


def read(path):
    return read_sound(path, channel="mix", track=None, start_seconds=None, end_seconds=None)


def test_recordings_of_a_broadcast_begin_at_any_page(tmp_path):
    path = tmp_path / "a.opus"
    ffmpeg("-f", "lavfi", "-i", "sine=d=5", "-c:a", "libopus", path)
    content, places = path.read_bytes(), list(read_pages(path))
    path.write_bytes(content[: places[2]] + content[places[4] :])
    assert not any(page.is_after_loss for page in read_pages(path).values())
    assert read(path).faults.notes == {}


def test_a_variable_frame_rate_is_no_damage(tmp_path):
    """Pictures at uneven times in each container, in some with silence that Opus leaves out."""
    chosen = "select='not(between(n,20,31))*(mod(n,7))'"
    for ending in ("mkv", "webm", "ogv", "ts", "flv"):
        options = [*KINDS[ending], "-vf", chosen, "-fps_mode", "vfr"]
        options += ["-enc_time_base:v", "1/25"] if ending == "ts" else []
        path = write_film(tmp_path / f"a.{ending}", *options, seconds=3, sound=True, rate=25)
        listed = list_frames(path)
        steps = np.diff(listed.seconds)
        assert ending == "ogv" or steps.max() > 4 * np.median(steps)
        pictures, sound = load_media(ClipSource(video=path), [ALL, SOUND])
        assert pictures.notes == sound.notes == {}, ending


def test_places_of_damage(tmp_path):
    path = write(tmp_path, "mkv")
    assert damaged_spans(path) == []
    content = path.read_bytes()
    cluster = content.index(b"\x1f\x43\xb6\x75", len(content) // 2)
    path.write_bytes(content[: cluster - 60] + bytes(50) + content[cluster - 10 :])
    ((low, high),) = damaged_spans(path)
    assert 0.5 < low <= high < 3.5
    tags = write(tmp_path, "flv")
    assert damaged_tags(tags) == []
    content = bytearray(tags.read_bytes())
    half = len(content) // 2
    content[half : half + 4000] = bytes(4000)
    tags.write_bytes(content)
    ((low, high),) = damaged_tags(tags)
    assert 0.5 < low < high < 3.5
    stream = write(tmp_path, "ts")
    assert lost_positions(stream) == []
    content = stream.read_bytes()
    stream.write_bytes(content[: 188 * 200] + content[188 * 220 :])
    assert all(low < 188 * 200 <= high for low, high in lost_positions(stream))
    assert list(itertools.islice(lost_positions(stream), 1))


@pytest.mark.parametrize("codec", ["mpeg4", "mjpeg"])
def test_pictures_after_a_lost_chunk_of_an_avi_keep_their_times(tmp_path, codec):
    path = write_film(tmp_path / "a.avi", "-c:v", codec, "-g", "5", seconds=2)
    (whole,) = load_media(ClipSource(video=path), [ALL])
    assert whole.notes == {}
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    content[half : half + 40] = np.random.default_rng(0).bytes(40)
    at = content.index(b"00dc", half)
    content[at : at + 8] = b"\x11" * 8
    path.write_bytes(content)
    for start in (None, 1.2):
        (found,) = load_media(ClipSource(video=path, start_seconds=start), [ALL])
        assert found.frame_seconds[-1] == whole.frame_seconds[-1]
        np.testing.assert_array_equal(found.frames[-4:], whole.frames[-4:])
        assert set(found.frame_seconds) < set(whole.frame_seconds)
        if start is None:
            missing = len(whole.frames) - len(found.frames)
            assert found.notes["damaged_frames"] >= missing > 0


def test_pictures_that_an_avi_repeats_are_not_lost(tmp_path):
    """FFmpeg writes an empty chunk where a picture is shown on."""
    chosen = ("-vf", "select='not(between(n,20,31))*(mod(n,7))'", "-fps_mode", "vfr")
    path = write_film(tmp_path / "a.avi", "-c:v", "mjpeg", *chosen, seconds=2)
    (found,) = load_media(ClipSource(video=path), [ALL])
    assert np.diff(found.frame_seconds).max() > 0.2
    assert found.notes == {}
