"""Pictures that are found by seeks have the bits of a whole decode; where not, none is sought."""

import av
import numpy as np
import pytest

from emo.datasets.check import check
from emo.extract.decode.container import discard_others, open_media, origin_seconds
from emo.extract.decode.decode import load_media
from emo.extract.decode.pictures import video
from emo.extract.decode.pictures.frame_list import list_frames
from emo.extract.decode.pictures.video import shown_frames
from emo.extract.decode.seeking.frame_numbers import FrameNumbers
from emo.extract.decode.seeking.listing import why_unsought
from emo.extract.decode.seeking.seek import Seeker
from emo.extract.decode.seeking.starts import STARTS
from emo.extract.decode.seeking.unsure import Unsure
from emo.extract.decode.sound.audio import read_audio
from emo.extract.decode.source import ClipSource
from emo.extract.media import Needs, Uniform
from tests.ffmpeg import ffmpeg, write_film

X264 = ("-c:v", "libx264", "-preset", "veryfast", "-sc_threshold", "0")
FILMS = {
    "h264.mp4": (*X264, "-g", "12", "-bf", "2"),
    "open.mkv": (*X264, "-g", "10", "-x264-params", "open-gop=1:bframes=2:b-adapt=0"),
    "mpeg2.ts": ("-c:v", "mpeg2video", "-g", "8", "-bf", "2"),
    "mpeg4.mkv": ("-c:v", "mpeg4", "-g", "9", "-bf", "2"),
    "vp8.webm": ("-c:v", "libvpx", "-g", "10", "-deadline", "realtime", "-cpu-used", "8"),
    "h264.flv": (*X264, "-g", "12", "-bf", "2"),
    "mjpeg.avi": ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p"),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    return {name: write_film(folder / name, *words) for name, words in FILMS.items()}


def pixels(frame):
    return frame.to_ndarray().tobytes()


def whole(path):
    """Time in milliseconds -> bytes of the picture, of a decode from the first packet on."""
    found = list_frames(path)
    with av.open(str(path)) as container:
        container.streams.video[0].thread_count = 1
        pictures = [pixels(frame) for frame in container.decode(video=0)]
    assert len(pictures) == len(found.seconds)
    return dict(zip(np.round(found.seconds * 1000).tolist(), pictures, strict=True))


def sought(path, wanted, found):
    """The pictures by seeks alone."""
    with open_media(path) as container:
        stream = container.streams[found.track]
        discard_others(container, stream)
        seeker = Seeker(container, stream, found.table)
        indices = found.indices(wanted, origin_seconds(container), stream.time_base)
        return [pixels(frame) for frame in seeker.pictures(indices)]


def shown(path, start, end):
    """Pictures of a stretch as they are decoded for a clip, by their times in milliseconds."""
    found = list_frames(path, start_seconds=start, end_seconds=end)
    wanted = found.within(start, end)
    frames = shown_frames(path, wanted, found)
    return {round(seconds * 1000): pixels(stored.frame) for seconds, stored in frames}


@pytest.fixture
def ways(monkeypatch):
    """Names of the ways of decoding that were tried."""
    tried = []

    def watch(name, real):
        monkeypatch.setattr(video, name, lambda *words: (tried.append(name), real(*words))[1])

    for name in ("_sought", "_from_first", "_from_keyframe"):
        watch(name, getattr(video, name))
    return tried


@pytest.mark.parametrize("name", FILMS)
def test_every_picture_found_alone_has_the_bits_of_a_whole_decode(films, name):
    path = films[name]
    found, expected = list_frames(path), whole(films[name])
    assert why_unsought(found.table) is None
    for index in range(0, len(found.seconds), 3):
        wanted = found.seconds[index : index + 1]
        assert sought(path, wanted, found) == [expected[round(wanted[0] * 1000)]]
    wanted = found.seconds[[2, 3, 17, 30, 38]]
    assert sought(path, wanted, found) == [expected[t] for t in np.round(wanted * 1000)]


def test_few_packets_are_decoded(films, monkeypatch):
    path = films["h264.mp4"]
    fed = []
    real = FrameNumbers.expect_next
    monkeypatch.setattr(
        FrameNumbers, "expect_next", lambda self, data: (fed.append(1), real(self, data))
    )
    found = list_frames(path)
    sought(path, found.seconds[[37]], found)
    assert len(fed) <= 4  # of 40
    assert found.table.starts.tolist() == [0, 12, 24, 36]


def test_a_false_table_of_keyframes_is_not_believed(films, tmp_path, ways):
    path = tmp_path / "a.mkv"
    with av.open(str(films["h264.mp4"])) as source, av.open(str(path), "w") as copy:
        track = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.is_keyframe, packet.stream = True, track
                copy.mux(packet)
    expected = whole(path)
    assert list_frames(path).table.starts.tolist() == [0, 12, 24, 36]
    part = shown(path, 1.55, 1.9)
    assert part.items() <= expected.items()
    assert len(part) == 7
    assert ways[0] == "_sought"


def test_intra_refresh_without_keyframes_is_decoded_from_the_first_packet(tmp_path, ways):
    path = write_film(
        tmp_path / "a.mp4", *X264, "-g", "40", "-bf", "0", "-x264-params", "intra-refresh=1",
        seconds=4, size="128x96",
    )  # fmt: skip
    part = shown(path, 3.1, 3.6)
    assert part.items() <= whole(path).items()
    assert len(part) == 10
    assert ways == ["_sought", "_from_first"]
    assert len(list_frames(path).table.starts) == 1


def test_interlaced_mpeg4_and_open_ends_are_decoded_as_a_whole(tmp_path, ways):
    path = write_film(
        tmp_path / "a.mp4", "-c:v", "mpeg4", "-g", "10", "-bf", "2", "-flags", "+ildct+ilme"
    )
    part = shown(path, 1.25, 1.6)
    assert part.items() <= whole(path).items()
    assert ways == ["_sought", "_from_first"]


def test_a_lost_first_packet_is_no_obstacle(films, tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(films["h264.mp4"])) as source, av.open(str(path), "w") as copy:
        track = copy.add_stream_from_template(source.streams.video[0])
        for index, packet in enumerate(each for each in source.demux(video=0) if each.size):
            if index:
                packet.stream = track
                copy.mux(packet)
    assert len(shown(path, 1.3, 1.6)) == 6


def test_a_reference_picture_that_is_missing_shows(films):
    with av.open(str(films["h264.mp4"])) as container:
        stream = container.streams.video[0]
        packets = [bytes(each) for each in container.demux(stream) if each.size]
        numbers = FrameNumbers(stream.codec_context.extradata)
        again = FrameNumbers(stream.codec_context.extradata)
    for packet in packets[:12]:
        numbers.expect_next(packet)
    again.expect_next(packets[0])
    with pytest.raises(Unsure, match="reference picture"):
        again.expect_next(packets[4])


@pytest.mark.parametrize(
    ("codec", "packet", "is_start"),
    [
        ("h264", b"\0\0\1\x67sps\0\0\1\x68pps\0\0\1\x65slice", True),
        ("h264", b"\0\0\1\x41slice", False),
        ("hevc", b"\0\0\1\x26\1slice", True),  # an IDR picture
        ("hevc", b"\0\0\1\x02\1slice", False),
        ("mpeg2video", b"\0\0\1\xb3sequence\0\0\1\0\0\x08..", True),
        ("mpeg2video", b"\0\0\1\0\0\x08....", False),  # no sequence header
        ("mpeg4", b"\0\0\1\xb6\x10....", True),
        ("mpeg4", b"\0\0\1\xb6\x50....", False),
        ("vp8", b"\x10\0\0\x9d\x01\x2a....", True),
        ("vp8", b"\x11\0\0\x9d\x01\x2a....", False),
        ("vp9", b"\x82\x49\x83\x42......", True),
        ("vp9", b"\x86\x49\x83\x42......", False),
        ("av1", b"\x0a\x02\0\0\x32\x01\x10", True),
        ("av1", b"\x32\x01\x10", False),  # no sequence header
        ("theora", b"\x00", True),
        ("theora", b"\x40", False),
    ],
)
def test_starts_are_told_by_the_bits(codec, packet, is_start):
    assert STARTS[codec](packet, None).is_true is is_start


def test_damage_between_the_selected_pictures_is_seen_by_check_alone(films, tmp_path, ways):
    path = tmp_path / "a.mp4"
    content = bytearray(films["h264.mp4"].read_bytes())
    with av.open(str(films["h264.mp4"])) as container:
        packets = [(each.pos, each.size) for each in container.demux(video=0) if each.size]
    for position, size in packets[14:16]:
        content[position + 5 : position + size] = b"\xff" * (size - 5)
    path.write_bytes(content)
    (tmp_path / "m.csv").write_text("id,video\na,a.mp4\n")
    need = Needs(frames=Uniform(2), keep_frames=True)
    (media,) = load_media(ClipSource(video=path), [need])
    assert media.notes == {}
    assert ways == ["_sought"]
    (strict,) = load_media(ClipSource(video=path, decodes_all=True), [need])
    assert strict.notes["damaged_frames"] > 5
    np.testing.assert_array_equal(media.frames, strict.frames)
    findings = {each.name: each for each in check(tmp_path / "m.csv").findings}
    assert "clips with damaged media" in findings


def test_a_picture_in_a_damaged_group_is_that_of_a_whole_decode(films, tmp_path, ways):
    path = tmp_path / "a.mp4"
    content = bytearray(films["h264.mp4"].read_bytes())
    with av.open(str(films["h264.mp4"])) as container:
        packets = [(each.pos, each.size) for each in container.demux(video=0) if each.size]
    position, size = packets[26]
    content[position + 5 : position + size] = b"\x5a" * (size - 5)
    path.write_bytes(content)
    part = shown(path, 1.3, 1.79)
    assert part.items() <= whole(path).items()
    assert ways == ["_sought", "_from_first"]


def test_a_stretch_of_an_mp3_has_the_samples_of_a_whole_decode(tmp_path):
    path = tmp_path / "a.mp3"
    ffmpeg("-f", "lavfi", "-i", "aevalsrc=0.4*sin(900*t*t):s=22050:d=9", "-q:a", "4", path)
    samples, rate = read_audio(path, channel="mix", start_seconds=None, end_seconds=None)
    for start, end in ((1.234, 2.5), (4.0, 6.1), (7.77, None)):
        part, _ = read_audio(path, channel="mix", start_seconds=start, end_seconds=end)
        stop = None if end is None else round(end * rate)
        np.testing.assert_array_equal(part, samples[:, round(start * rate) : stop])
