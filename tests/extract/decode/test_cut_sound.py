"""Cut sound files other than mp4: what is there is used, what is lacking is noted."""

import numpy as np
import pytest

from emo.errors import MediaError
from emo.extract.decode.container import open_media
from emo.extract.decode.decode import load_media
from emo.extract.decode.faults import join_notes
from emo.extract.decode.sound.audio import read_sound
from emo.extract.decode.source import ClipSource
from emo.extract.media import Needs
from tests.make import make_clip, tone

SECONDS = 6
COUNTED = {  # file -> codec; the header tells how long the sound is
    "a.wav": "pcm_s16le", "b.wav": "adpcm_ms", "a.w64": "pcm_s16le", "a.aiff": "pcm_s16be",
    "a.au": "pcm_s16be", "a.caf": "pcm_s16le", "a.flac": "flac", "a.tta": "tta", "a.mp3": "mp3",
    "a.mka": "flac",
}  # fmt: skip
FILMS = {"a.mkv": ("libx264", "aac"), "a.webm": ("libvpx", "libopus"), "a.flv": ("flv", "aac"),
         "a.avi": ("mpeg4", "mp3")}  # fmt: skip
UNCOUNTED = {"a.opus": "libopus", "a.aac": "aac", "a.oga": "flac"}


def read(path, start=None, end=None):
    return read_sound(path, channel="mix", track=None, start_seconds=start, end_seconds=end)


def make(path):
    rate = {".webm": 48000, ".opus": 48000}.get(path.suffix, 16000)
    name = path.name
    if name in FILMS:
        video, audio = FILMS[name]
        return make_clip(
            path, seconds=SECONDS, codec=video, audio_codec=audio, sample_rate=rate,
            samples=tone(SECONDS, rate, 1),
        )  # fmt: skip
    return make_clip(
        path, video=False, samples=tone(SECONDS, rate, 1), sample_rate=rate,
        audio_codec=COUNTED.get(name) or UNCOUNTED[name],
    )  # fmt: skip


@pytest.fixture
def cut(tmp_path):
    """Make a file, check that it is without faults, and cut it."""

    def cut(name, share=0.6):
        path = make(tmp_path / name)
        whole = read(path)
        assert whole.faults.notes == {}, name
        content = path.read_bytes()
        path.write_bytes(content[: round(share * len(content))])
        return path, whole

    return cut


@pytest.mark.parametrize("name", [*COUNTED, *FILMS])
def test_what_a_cut_file_lacks_is_noted_in_seconds(cut, name):
    path, whole = cut(name)
    sound = read(path)
    total, there = whole.samples.shape[1], sound.samples.shape[1]
    assert 0.3 * total < there < 0.75 * total
    lacking = (total - there) / sound.sample_rate
    assert sound.faults.notes == {"seconds_lacking": pytest.approx(lacking, abs=0.15)}
    (reason,) = sound.faults.reasons
    assert (
        f"{name}: the file is cut: the audio ends at {there / sound.sample_rate:.2f} s of" in reason
    )
    assert read(path, 0.5, 1.5).faults.notes == {}  # this stretch lacks nothing
    partly = read(path, there / sound.sample_rate - 0.5, there / sound.sample_rate + 0.5)
    assert partly.faults.notes["seconds_lacking"] == pytest.approx(0.5, abs=0.05)
    beyond = read(path, 5.0, 5.5)
    assert beyond.samples is None
    assert "no audio between 5.00 s and the end: the file is cut; it ends at" in beyond.absent
    assert beyond.faults.notes["seconds_lacking"] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("name", UNCOUNTED)
def test_a_cut_file_that_does_not_tell_its_length_is_noted_as_cut(cut, name):
    path, _ = cut(name)
    sound = read(path)
    assert sound.faults.notes["end_missing"] == 1.0
    assert sound.faults.notes.get("seconds_lacking", 0) < 0.2  # of the last packet
    (reason,) = sound.faults.reasons
    assert reason.startswith(f"{name}: the file is cut: the audio ends at ")


def test_a_wav_that_was_written_to_a_pipe_is_not_cut(tmp_path):
    path = make(tmp_path / "a.wav")
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    for size in (0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000):
        content[at : at + 4] = size.to_bytes(4, "little")
        path.write_bytes(content)
        assert read(path).faults.notes == {}
        assert read(path).samples.shape == (1, SECONDS * 16000)


def test_what_follows_the_sound_of_an_mp3_is_no_sound(tmp_path):
    path = make(tmp_path / "a.mp3")
    content = path.read_bytes()
    for after in (bytes(5000), b"TAG" + b"x" * 125, b"LYRICSBEGIN" + b"la la " * 300):
        path.write_bytes(content + after)
        assert read(path).faults.notes == {}


def test_a_film_that_ffmpeg_cannot_read_on_in_is_noted(tmp_path):
    path = make(tmp_path / "a.mkv")
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    content[half : half + 4000] = np.random.default_rng(0).bytes(4000)
    path.write_bytes(content)
    sound = read(path)
    lacking = SECONDS - np.abs(sound.samples[0]).argmax() / sound.sample_rate
    assert lacking > 0
    assert sound.faults.notes["seconds_lacking"] > 0.2


def test_media_carry_notes_for_backbones_that_read_sound_only(cut):
    path, _ = cut("a.mkv")
    heard, told = load_media(
        ClipSource(video=path, text="Hi"), [Needs(audio=True), Needs(text=True)]
    )
    assert heard.notes["seconds_lacking"] > 1
    assert len(heard.faults) == 1
    assert (told.notes, told.faults) == ({}, ())


def test_notes_of_stretches_are_added_and_shares_averaged():
    pieces = [
        {"seconds_lacking": 1.5, "face_share": 1.0, "end_missing": 1.0, "damaged_frames": 2.0},
        {"seconds_lacking": 0.5, "face_share": 0.0, "end_missing": 1.0},
    ]
    assert join_notes(pieces) == {
        "seconds_lacking": 2.0, "face_share": 0.5, "end_missing": 1.0, "damaged_frames": 2.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.wav", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n",
         "a Git LFS pointer: git lfs pull"),
        ("a.caf", b"caff\0\1\0\0desc", "cut or damaged: it begins like CAF"),
        ("a.mp4", b"hello " * 99, "not a media file: no known container starts like this"),
    ],
)  # fmt: skip
def test_why_a_file_cannot_be_opened(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MediaError, match=words):
        read(path)


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.01, "its index .moov. is incomplete"),
     (0.6, r"decoding broke at \d\.\d\d s, within a fragment; nothing says how long")],
)  # fmt: skip
def test_a_cut_fragmented_mp4_does_not_name_the_length_of_a_fragment(tmp_path, share, words):
    flags = {"movflags": "frag_keyframe+empty_moov"}
    path = make_clip(tmp_path / "a.mp4", seconds=SECONDS, fps=2, options=flags)
    content = path.read_bytes()
    path.write_bytes(content[: max(800, round(share * len(content)))])
    with pytest.raises(MediaError, match=words):
        read(path)
    if share < 0.1:
        with pytest.raises(MediaError, match=words), open_media(path):
            pass
