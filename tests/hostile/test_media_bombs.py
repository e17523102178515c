"""Small files that would fill the memory when they are decoded: the clip fails, the job goes on."""

import functools
import io
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
import zlib

import av
import numpy as np
import pytest

from emo.errors import MediaError
from emo.extract.backbones.arrays import Arrays, ArraysOptions
from emo.extract.backbones.classic import prosody
from emo.extract.decode.array_file import read_array
from emo.extract.decode.decode import load_media
from emo.extract.decode.source import ClipSource
from emo.extract.decode.stretches import stretches_of
from emo.extract.media import FaceRule, Media, Needs, Uniform
from emo.store.store import Store

SIDE = 16_000
PICTURES = Needs(frames=Uniform(8), keep_frames=True)
SOUND = Needs(audio=True)


def gif(path, side=SIDE):
    """A picture of one colour: LZW codes that clear the table and end at once."""
    screen = struct.pack("<HHBBB", side, side, 0x80, 0, 0)
    image = b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x44\x01\x00"
    path.write_bytes(b"GIF89a" + screen + b"\0\0\0\xff\xff\xff" + image + b";")


@functools.cache
def png(side=SIDE):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    squeezed = zlib.compressobj(1)
    row = b"\0" * (side + 1)
    data = b"".join(squeezed.compress(row) for _ in range(side)) + squeezed.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def png_in_mov(path):
    """A film that says 64 x 64, and whose first picture is larger by far."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("png", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "gray"
        for packet in stream.encode(
            av.VideoFrame.from_ndarray(np.zeros((64, 64), np.uint8), "gray")
        ):
            out.mux(packet)
        packet = av.Packet(png())
        packet.stream, packet.pts, packet.dts, packet.time_base = stream, 1, 1, stream.time_base
        out.mux(packet)


def flac(path, hours):
    """Hours of silence in eight channels."""
    rate = 192_000
    with av.open(str(path), "w") as out:
        stream = out.add_stream("flac", rate=rate, layout="7.1")
        silence = np.zeros((1, 8 * 65_535), np.int16)
        for number in range(int(hours * 3600 * rate / 65_535)):
            frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="7.1")
            frame.sample_rate, frame.pts = rate, number * 65_535
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


@pytest.fixture(scope="module")
def bombs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bombs")
    gif(folder / "bomb.gif")
    (folder / "bomb.png").write_bytes(png())
    png_in_mov(folder / "bomb.mov")
    flac(folder / "bomb.flac", 0.006)
    return folder


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bomb.gif", r"refuses the picture \(damaged, or of more than 178,956,970 pixels\)"),
        ("bomb.png", "has 16000 x 16000 pixels; at most 178,956,970 are read"),
    ],
)
def test_a_picture_is_refused_before_it_is_decoded(bombs, name, words):
    with pytest.raises(MediaError, match=words):
        load_media(ClipSource(video=bombs / name), [PICTURES])


def test_a_picture_larger_than_its_film_says_is_not_decoded(bombs):
    (media,) = load_media(ClipSource(video=bombs / "bomb.mov"), [PICTURES])
    assert media.frames.shape[1:] == (64, 64, 3)
    assert media.notes["damaged_frames"] >= 1


def test_sound_that_would_be_too_long_is_refused_while_it_is_decoded(bombs):
    source = ClipSource(audio=bombs / "bomb.flac", most_bytes=100 << 20)
    with pytest.raises(
        MediaError, match=r"take more than 0\.0977 GiB at once; cut it into stretches"
    ):
        load_media(source, [SOUND])
    part = ClipSource(
        audio=bombs / "bomb.flac", start_seconds=20, end_seconds=21, most_bytes=100 << 20
    )
    (media,) = load_media(part, [SOUND])
    assert media.samples.shape == (8, 192_000)


def wav(path, rate, seconds):
    """Silence, 16 bits, one channel."""
    data = bytes(2 * rate * seconds)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    body = b"WAVE" + form + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


@pytest.mark.parametrize(("rate", "seconds"), [(1, 100_000), (8, 100_000)])
def test_sound_of_a_low_rate_is_counted_as_it_is_resampled(tmp_path, rate, seconds):
    wav(tmp_path / "low.wav", rate, seconds)
    words = rf"take more than 2 GiB at once \(its sound has {rate} Hz, and counts as 16000 Hz\)"
    for end in (None, 90_000.0):
        started = time.monotonic()
        with pytest.raises(MediaError, match=words):
            load_media(ClipSource(audio=tmp_path / "low.wav", end_seconds=end), [SOUND])
        assert time.monotonic() - started < 1
    part = ClipSource(audio=tmp_path / "low.wav", start_seconds=20, end_seconds=40)
    assert load_media(part, [SOUND])[0].samples.shape == (1, 20 * rate)


@pytest.mark.parametrize("codec", ["pcm_s16le", "flac"])
def test_an_hour_of_the_telephone_is_read(tmp_path, codec):
    """At 16,000 Hz its samples take 230 MB; here are the first 10 minutes, with a sixth of that."""
    path = tmp_path / ("call.wav" if codec == "pcm_s16le" else "call.flac")
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=8000, layout="mono")
        for second in range(600):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), "s16", "mono")
            frame.sample_rate, frame.pts = 8000, 8000 * second
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    (media,) = load_media(ClipSource(audio=path, most_bytes=40_000_000), [SOUND])
    assert media.samples.shape == (1, 8000 * 600)
    with pytest.raises(MediaError, match="has 8000 Hz"):
        load_media(ClipSource(audio=path, most_bytes=30_000_000), [SOUND])


def test_prosody_takes_memory_for_some_rows_at_a_time():
    """All rows at once took 1 GB for these five minutes."""
    speech = np.sin(np.arange(300 * 16_000, dtype=np.float32) / 17)
    tracemalloc.start()
    try:
        assert prosody(speech, 16_000, mels=8, hop_seconds=0.02).shape == (15_001, 29)
        assert tracemalloc.get_traced_memory()[1] < 300 << 20
    finally:
        tracemalloc.stop()


def test_a_length_of_thousands_of_years_is_not_cut_into_stretches(tmp_path, monkeypatch):
    monkeypatch.setattr("emo.extract.decode.stretches.probe_seconds", lambda source: 9e12)
    source = ClipSource(audio=tmp_path / "a.mkv")
    assert stretches_of(source, 240.0) == [source]


def film(path, side, count):
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=count)
        stream.width = stream.height = side
        for number in range(count):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(
                np.full((side, side, 3), number, np.uint8), "rgb24")))  # fmt: skip
        out.mux(stream.encode(None))


def test_frames_that_are_kept_are_counted_once(tmp_path):
    film(tmp_path / "a.mp4", 256, 8)
    kept = 8 * 256 * 256 * 3
    faces = Needs(frames=Uniform(8), faces=FaceRule(mode="centre", size=32, margin=0))
    needs = [faces, faces, PICTURES]
    source = ClipSource(video=tmp_path / "a.mp4", most_bytes=2 * kept)  # the frames and one stack
    assert load_media(source, needs)[2].frames.shape == (8, 256, 256, 3)
    for most in (kept // 2, 2 * kept - 1):
        source = ClipSource(video=tmp_path / "a.mp4", most_bytes=most)
        with pytest.raises(MediaError, match=r"a\.mp4: the decoded pictures and sound"):
            load_media(source, needs)


@pytest.mark.parametrize("kind", ["header.npy", "header.npz", "zip.npz", "large.npy"])
def test_arrays_are_refused_by_their_headers(tmp_path, kind):
    array = io.BytesIO()
    np.lib.format.write_array_header_2_0(
        array, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**3)}
    )
    path = tmp_path / f"a.{kind[-3:]}"
    if kind == "header.npy":
        path.write_bytes(array.getvalue() + bytes(8))
    elif kind == "large.npy":
        np.save(path, np.zeros((1000, 1000)))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            size = 8 if kind == "header.npz" else 1 << 23
            archive.writestr("x.npy", array.getvalue() + bytes(size))
    need = Needs(array="features")
    found = read_array({"features": path.name}, tmp_path, need, most_bytes=1 << 22)
    assert isinstance(found, str)
    assert path.name in found
    good = tmp_path / "good.npz"
    np.savez(good, x=np.ones((2, 3), np.float32))
    assert read_array({"features": "good.npz"}, tmp_path, need).shape == (2, 3)


@pytest.mark.parametrize("kind", ["npy", "npz"])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_an_array_takes_the_memory_of_its_cells_as_float32(tmp_path, kind, dtype):
    array = np.zeros((1000, 4000), dtype)
    path = tmp_path / f"a.{kind}"
    np.save(path, array) if kind == "npy" else np.savez_compressed(path, x=array)
    own, as_floats = array.nbytes, 4 * array.size
    most = own if dtype is np.float32 else own + as_floats
    need, backbone = Needs(array="features"), Arrays(ArraysOptions("features", dim=4000))
    assert isinstance(read_array({"features": path.name}, tmp_path, need, most - 1), str)
    tracemalloc.start()
    try:
        found = read_array({"features": path.name}, tmp_path, need, most)
        assert backbone.prepare(Media(array=found)).inputs["features"].shape == (1000, 4000)
        assert tracemalloc.get_traced_memory()[1] < most + (2 << 20)
    finally:
        tracemalloc.stop()


def long_silence(path, hours, rate=16_000):
    """Hours of silence in one channel: 10 h are a file of 1 MB, and 2.3 GB of samples."""
    silence = np.zeros((1, 65_535), np.int16)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("flac", rate=rate, layout="mono")
        stream.codec_context.options = {"frame_size": "65535"}
        for number in range(int(hours * 3600 * rate / 65_535)):
            frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate, number * 65_535
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


@pytest.mark.hostile
def test_a_picture_and_hours_of_silence_take_less_than_a_gigabyte(emo, tmp_path):
    """At the default --clip-memory of 2 GiB the silence took 3.0 GB before it was refused."""
    gif(tmp_path / "bomb.gif")
    long_silence(tmp_path / "bomb.flac", 10)
    (tmp_path / "m.csv").write_text("id,video,audio\na,bomb.gif,\nb,,bomb.flac\n")
    code = (
        "import resource; from emo.cli import app;"
        "app(['extract', 'm.csv', '--backbone', 'classic'], standalone_mode=False);"
        "print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip
    assert int(done.stdout.split("peak")[1]) < 1_000_000, done.stdout  # kB
    failures = Store(tmp_path / "features").recipes["classic"].failures
    assert "refuses the picture" in failures["a"]
    assert "--clip-memory" in failures["b"]


@pytest.mark.hostile
def test_the_job_goes_on_within_bounded_memory(emo, bombs, tmp_path):
    """All bombs and a good clip in one job; memory over 2 GiB is refused by the system, too."""
    film(bombs / "good.mp4", 64, 10)
    names = ["bomb.gif", "bomb.png", "bomb.mov", "good.mp4"]
    table = tmp_path / "m.csv"
    table.write_text("id,video\n" + "".join(f"{name},{name}\n" for name in names))
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_DATA, (2 << 30,) * 2);"
        "from emo.cli import main; sys.argv[0] = 'emo'; main()"
    )
    words = ["extract", table, "--root", bombs, "--backbone", "classic", "--out", tmp_path / "f"]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words), "--workers", "1"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    code, out, _ = emo("store", "failures", tmp_path / "f")
    assert (code, "bomb.gif" in out, "bomb.png" in out, "good.mp4" in out) == (0, True, True, False)
