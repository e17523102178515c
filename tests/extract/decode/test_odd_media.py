"""Media files and names made to trip the planner: a reason each, and never a traceback."""

import struct
import wave

import pytest

from emo.errors import MediaError
from emo.extract.decode.container import open_media
from emo.extract.decode.decode import load_media, probe_seconds
from emo.extract.decode.source import ClipSource, source_hash
from emo.extract.media import Needs
from emo.manifest import Clip

SOUND = [Needs(audio=True)]


def write_wave(path, seconds=0.1, title=None):
    """Silence, with a title in its INFO tags."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(2 * round(seconds * 16000)))
    if title is not None:
        title += b"\0" * (len(title) % 2)
        tags = b"INFOINAM" + struct.pack("<I", len(title)) + title
        head, data = path.read_bytes()[12:36], path.read_bytes()[36:]
        body = b"WAVE" + head + b"LIST" + struct.pack("<I", len(tags)) + tags + data
        path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


@pytest.mark.parametrize("title", ["Müller".encode("latin-1"), b"\xff\xfe\x80", "Müller".encode()])
def test_tags_in_any_encoding_do_not_matter(tmp_path, title):
    path = write_wave(tmp_path / "a.wav", title=title)
    assert probe_seconds(ClipSource(audio=path)) == pytest.approx(0.1)
    assert load_media(ClipSource(audio=path), SOUND)[0].samples.shape == (1, 1600)


@pytest.mark.parametrize("size", [0, 7, 2**31, 2**63 - 100, 2**63, 2**64 - 1])
def test_a_box_of_any_declared_size_is_a_reason(tmp_path, size):
    path = tmp_path / "a.mp4"
    path.write_bytes(struct.pack(">I4sQ", 1, b"abcd", size) + bytes(100))
    assert probe_seconds(ClipSource(video=path)) is None
    with pytest.raises(MediaError, match=r"a\.mp4: not a media file"):
        load_media(ClipSource(video=path), SOUND)


@pytest.mark.parametrize("name", ["x" * 300 + ".mp4", "a\0b.mp4"])
def test_a_name_that_no_file_can_have_is_a_reason(tmp_path, name):
    path = tmp_path / name
    assert probe_seconds(ClipSource(video=path)) is None
    with pytest.raises(MediaError, match=r"no such file|cannot be opened"):
        load_media(ClipSource(video=path), SOUND)
    assert source_hash(Clip("a", video=name), tmp_path)


def test_a_name_is_never_an_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_wave(tmp_path / "a.wav")
    for name in ("concat:a.wav", "subfile,,start,0,end,99999,,:a.wav", "cache:a.wav"):
        with pytest.raises(MediaError, match="no such file"), open_media(type(tmp_path)(name)):
            pass


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 ", "JPEG 2000"),
        (b"\xff\x4f\xff\x51\0\x2f", "JPEG 2000"),
        (b"\0\0\0\x18ftypheic\0\0\0\0heicmif1", "HEIF"),
    ],
)
def test_a_picture_that_is_not_read_is_not_called_a_cut_film(tmp_path, head, kind):
    path = tmp_path / "a.jp2"
    path.write_bytes(head + bytes(200))
    with pytest.raises(MediaError, match=f"a {kind} picture, which is not read"), open_media(path):
        pass
