import gc
import threading
import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from emo.errors import MediaError
from emo.extract.decode.pictures.damage import Damage
from emo.extract.decode.pictures.nearest import nearest_frames
from emo.extract.decode.pictures.video import frame_seconds, read_pictures
from emo.extract.media import Uniform
from tests.make import make_clip, number_of


def read_frames(path, seconds):
    pairs = list(read_pictures(path, seconds))
    return [picture.rgb for _, picture in pairs], np.array([shown for shown, _ in pairs])


def numbers(path, seconds):
    images, _ = read_frames(path, seconds)
    return [number_of(image) for image in images]


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mkv", "ffv1"), ("a.avi", "mpeg4"), ("a.webm", "libvpx")],
)
def test_every_frame_is_found_by_its_time(tmp_path, name, codec):
    path = make_clip(tmp_path / name, codec=codec, audio=False)
    seconds = frame_seconds(path)
    np.testing.assert_allclose(seconds, np.arange(12) / 12, atol=1e-3)
    assert np.abs(np.subtract(numbers(path, seconds), range(12))).max() <= 1  # lossy grey levels
    assert np.abs(np.subtract(numbers(path, seconds[[2, 9]]), [2, 9])).max() <= 1


def test_frames_of_variable_rate_are_chosen_by_time_not_by_number(tmp_path):
    times = [0.0, 0.1, 0.5, 0.55, 1.2]
    path = make_clip(tmp_path / "a.mkv", codec="ffv1", times=times, audio=False)
    seconds = frame_seconds(path, start_seconds=0.3, end_seconds=1.2)
    np.testing.assert_allclose(seconds, [0.5, 0.55])
    assert numbers(path, seconds) == [2, 3]


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_seeking_to_a_stretch_gives_the_frames_of_reading_from_the_start(tmp_path, name):
    codec = "ffv1" if name == "a.mkv" else "libx264"
    path = make_clip(tmp_path / name, codec=codec, seconds=5, audio=False)
    whole = frame_seconds(path)
    wanted = (whole >= 3.25) & (whole < 4)
    stretch = frame_seconds(path, start_seconds=3.25, end_seconds=4)
    np.testing.assert_array_equal(stretch, whole[wanted])
    read, _ = read_frames(path, whole)
    for image, expected in zip(read_frames(path, stretch)[0], np.stack(read)[wanted], strict=True):
        np.testing.assert_array_equal(image, expected)


def test_rotation_in_the_metadata_is_applied(tmp_path):
    path = make_clip(tmp_path / "a.mp4", size=(96, 64), rotation=-90, audio=False)
    image = read_frames(path, frame_seconds(path)[:1])[0][0]
    assert image.shape == (96, 64, 3)
    # drawn at the top left; a clockwise quarter turn brings it to the top right
    assert image[:16, -12:].mean() < 20 < image[:16, :12].mean()


def test_frames_that_change_their_size_keep_the_first_size(tmp_path):
    small = make_clip(tmp_path / "small.m2v", codec="mpeg2video", fps=25, audio=False)
    large = make_clip(
        tmp_path / "large.m2v", codec="mpeg2video", size=(96, 64), fps=25, audio=False
    )
    path = tmp_path / "both.m2v"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    with av.open(str(path)) as container:
        assert {frame.width for frame in container.decode(video=0)} == {64, 96}
    images, _ = read_frames(path, frame_seconds(path))
    assert len(images) > 40
    assert {image.shape for image in images} == {(64, 64, 3)}


def test_packets_without_times_are_found_by_decoding(tmp_path):
    path = make_clip(tmp_path / "a.h264", audio=False)
    with av.open(str(path)) as container:
        assert next(container.demux(video=0)).pts is None
    seconds = frame_seconds(path)
    assert len(seconds) == 12
    assert np.abs(np.subtract(numbers(path, seconds), range(12))).max() <= 1
    assert number_of(read_frames(path, seconds[[7]])[0][0]) == pytest.approx(7, abs=1)


def test_cover_art_is_not_a_video(tmp_path):
    path = tmp_path / "a.mp3"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("libmp3lame", rate=16000)
        sound.layout = "mono"
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        container.mux(cover.encode(image.reformat(format="yuvj420p")))
        container.mux(cover.encode(None))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.int16), "s16", "mono")
        frame.sample_rate = 16000
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    with av.open(str(path)) as container:
        assert container.streams.video  # FFmpeg calls it one
    assert frame_seconds(path) == "the file has no video track"


def test_reasons_a_person_understands(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no media here\n" * 50)
    whole = make_clip(tmp_path / "whole.mp4", audio=False).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: whole.index(b"moov") - 4])
    expected = {
        "absent.mp4": "no such file",
        "empty.mp4": r"empty \(0 bytes\)",
        "text.mp4": "not a media file",
        "cut.mp4": r"index \(moov\) is missing",
        ".": "is a folder",
    }
    for name, words in expected.items():
        with pytest.raises(MediaError, match=words):
            frame_seconds(tmp_path / name)


def test_damage_in_the_middle_names_the_second_unless_the_wanted_frames_came_before(tmp_path):
    path = make_clip(tmp_path / "a.mp4", seconds=4, size=(128, 128), audio=False)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [(p.pts, p.pos, p.size) for p in container.demux(video=0) if p.size]
    for _, position, size in packets[24:]:
        content[position : position + size] = b"\xff" * size
    path.write_bytes(content)
    seconds = frame_seconds(path)
    with pytest.raises(MediaError, match=r"decoding broke at [12]\.\d\d s"):
        read_frames(path, seconds)
    assert numbers(path, seconds[[0, 5]]) == pytest.approx([0, 5], abs=1)


def test_an_mp4_that_is_cut_behind_its_index_is_a_failure(tmp_path):
    path = make_clip(tmp_path / "a.mp4", seconds=6, audio=False, options={"movflags": "faststart"})
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"mdat") + 900])
    with pytest.raises(MediaError, match="the file is cut"):
        frame_seconds(path)


@pytest.mark.parametrize(
    "playlist",
    [
        "ffconcat version 1.0\nfile secret.ts\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n",
    ],
)
def test_a_playlist_cannot_open_other_files(tmp_path, playlist):
    make_clip(tmp_path / "secret.ts", codec="mpeg2video", fps=25, audio=False)
    path = tmp_path / "clip.mp4"
    path.write_text(playlist)
    with pytest.raises(MediaError, match="not a media file"):
        frame_seconds(path)


def test_a_stretch_behind_the_end_is_an_absence_that_names_the_end(tmp_path):
    path = make_clip(tmp_path / "a.mp4", audio=False)
    assert "the last is at 0.92 s" in frame_seconds(path, start_seconds=5, end_seconds=6)


def test_memory_holds_only_the_wanted_frames(tmp_path):
    size = (320, 240)
    path = make_clip(tmp_path / "a.mkv", codec="mpeg4", seconds=8, fps=25, size=size, audio=False)
    seconds = frame_seconds(path)
    tracemalloc.start()
    images, _ = read_frames(path, seconds[Uniform(4).indices(seconds)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(images) == 4
    assert peak < 8 * images[0].nbytes  # of 200


def test_clips_decode_in_parallel_threads_to_the_same_bytes(tmp_path):
    path = make_clip(tmp_path / "a.mp4", seconds=2, audio=False)
    seconds = frame_seconds(path)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(np.stack(read_frames(path, seconds)[0])))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({result.tobytes() for result in results}) == 1


def test_decoded_frames_are_freed_without_the_garbage_collector(tmp_path):
    """PyAV's side data and its frame refer to each other: such frames would stay in memory."""
    path = make_clip(tmp_path / "a.mp4", size=(96, 64), rotation=-90, audio=False)
    gc.collect()
    gc.disable()
    try:
        seconds = frame_seconds(path)
        assert len(read_frames(path, seconds)[0]) == 12
        kept = [each for each in gc.get_objects() if type(each) is av.VideoFrame]
    finally:
        gc.enable()
    assert sum(frame.width * frame.height for frame in kept) <= 4  # of 12 x 6144 pixels


def nearest(times, wanted, error=None):
    """The times of the frames that are chosen, of a decoder that gives frames at some times."""

    def decoded():
        yield from ((time, None) for time in times)
        if error is not None:
            raise MediaError(error)

    found = nearest_frames(decoded(), np.array(wanted), Damage(), Path("a.mpg"))
    return [seconds for seconds, _ in found]


def test_a_frame_that_comes_out_late_after_damage_is_still_found():
    late = [0.0, 0.04, 0.12, 0.16, 0.08, 0.24]  # as of an MPEG-2 program stream with lost bytes
    assert nearest(late, [0.04, 0.08, 0.12, 0.16, 0.24]) == [0.04, 0.08, 0.12, 0.16, 0.24]
    assert nearest(late, [0.08]) == [0.08]
    assert nearest(late, [0.19]) == [0.16]  # lost: the nearest, not the late one before it
    assert nearest([0.0, 0.12], [0.08], error="broke") == [0.12]
    with pytest.raises(MediaError, match="broke"):
        nearest([0.0, 0.12], [0.08, 0.4], error="broke")
