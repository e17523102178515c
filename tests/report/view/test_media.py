"""The media of each clip: its own file, a copy, pictures; what fails is a line."""

import io
import threading

import av
import numpy as np
import PIL.Image
import pytest

from emo.errors import OptionError
from emo.extract.decode.playback.plays import browser_type
from emo.report.view.kept import BusyError, KeptBytes
from emo.report.view.server import ViewServer
from emo.report.view.view import ViewOptions, view_pages
from tests.make import make_clip
from tests.report.view.conftest import NAMES, make_media, served


def page(client, name):
    return client.get(f"clip/{NAMES.index(name)}")[2].decode()


def media(client, name, what="media"):
    return client.get(f"clip/{NAMES.index(name)}/{what}")


def decoded(body):
    """Tracks of a file: (kind, codec, seconds)."""
    with av.open(io.BytesIO(body)) as found:
        return [(each.type, each.codec_context.codec.canonical_name) for each in found.streams]


def test_a_file_that_browsers_play_is_served_itself(client, tmp_path):
    status, headers, body = media(client, "plays")
    assert (status, headers["Content-Type"]) == (200, "video/mp4")
    assert decoded(body) == [("video", "h264"), ("audio", "aac")]
    assert media(client, "sound")[1]["Content-Type"] == "audio/wav"
    assert "copy" not in page(client, "plays")


def test_another_file_is_served_as_a_copy(client):
    status, headers, body = media(client, "copied")
    assert (status, headers["Content-Type"]) == (200, "video/mp4")
    assert decoded(body) == [("video", "h264"), ("audio", "aac")]
    assert "a small copy" in page(client, "copied")


def test_a_stretch_is_played_from_its_start_to_its_end(client):
    number = NAMES.index("stretch")
    assert f'src="../clip/{number}/media#t=0.250,0.750"' in page(client, "stretch")


def test_the_chosen_channel_is_heard(client):
    _, _, body = media(client, "channel")
    with av.open(io.BytesIO(body)) as found:
        samples = np.concatenate([each.to_ndarray() for each in found.decode(audio=0)], axis=1)
    assert len(samples) == 1
    assert (
        0.4 < np.abs(samples[:, 5000:-5000]).max() < 0.6
    )  # left has .5, right .25, their mean .37


def test_pictures_of_a_clip(client):
    for name, what, kind in (
        ("plays", "frame", "JPEG"), ("copied", "frame", "JPEG"), ("sound", "spectrogram", "PNG"),
    ):  # fmt: skip
        image = PIL.Image.open(io.BytesIO(media(client, name, what)[2]))
        assert image.format == kind
    assert image.size == (51, 80)  # 0.5 s in steps of 10 ms, 80 bands
    pixels = np.asarray(image)
    assert pixels[60:].mean() < pixels[:20].mean()  # 220 Hz is low, and dark


def test_what_stores_hold_is_shown(client):
    text = page(client, "plays")
    assert "face: 3" in text
    assert "voice: no &lt;i&gt;sound." in text
    crops = PIL.Image.open(io.BytesIO(media(client, "plays", "crops/0")[2]))
    assert (crops.size, crops.getpixel((0, 0))) == ((18, 4), (200, 200, 200))
    text = page(client, "broken")
    assert "✗ failed" in text
    assert "the file is &lt;b&gt;cut&lt;/b&gt;\\nhere" in text
    assert "✗ not there" in page(client, "sound")
    assert media(client, "sound", "crops/0")[0] == 422
    table = client.get("")[2].decode()
    assert table.count('<span class="tag">faces</span>') == 1
    assert table.count("✗ none") == len(NAMES) - 1


def test_what_cannot_be_shown_is_a_line(client):
    for name, reason in (
        ("broken", "the file is cut"), ("missing", "no such file"), ("link", "a link"),
    ):  # fmt: skip
        for what in ("media", "frame", "spectrogram"):
            status, headers, body = media(client, name, what)
            assert (status, headers["Content-Type"]) == (422, "text/plain; charset=utf-8")
            assert reason in body.decode()
            assert body.count(b"\n") == 1
            assert b"/tmp" not in body
        assert reason in page(client, name)
        assert "<video" not in page(client, name)
    assert media(client, "sound", "frame")[0] == 422
    assert media(client, "text")[0] == 404
    assert '<blockquote dir="auto">words' in page(client, "text")


def test_the_table_is_searched_in_all_columns(client):
    found = client.get("clips?q=STRETCH")[2].decode()
    assert found.count('<th scope="row">') == 1
    assert "1 of 10" in found


def test_a_table_has_pages(tmp_path):
    rows = "\n".join(f"c{k},words {k},joy" for k in range(120))
    (tmp_path / "m.csv").write_text(f"id,text,label\n{rows}\n,,\nbad,,joy\n")
    with served(view_pages([tmp_path / "m.csv"], ViewOptions())) as client:
        first = client.get("")[2].decode()
        assert first.count('<th scope="row">') == 50
        assert "page 1 of 3" in first
        assert "no video, no audio and no text" in first  # the row that cannot be used
        assert client.get("clips?q=&page=3")[2].decode().count('<th scope="row">') == 20
        assert client.get("clips?page=999")[0] == 200


def test_a_changed_file_is_read_again(tmp_path):
    manifest = make_media(tmp_path)
    with served(view_pages([manifest], ViewOptions(root=tmp_path / "media"))) as client:
        before = media(client, "copied")[2]
        make_clip(tmp_path / "media" / "copied.avi", seconds=0.5, codec="mpeg4")
        assert len(media(client, "copied")[2]) < len(before)
        (tmp_path / "media" / "copied.avi").write_bytes(b"RIFF")
        assert media(client, "copied")[0] == 422


def test_copies_are_made_once_and_few_at_a_time():
    kept, running, most, made = KeptBytes(at_once=2), [], [], []
    free = threading.Event()

    def make(key):
        running.append(key)
        most.append(len(running))
        free.wait(5)
        running.remove(key)
        made.append(key)
        return bytes([key])

    threads = [
        threading.Thread(target=lambda key=key: kept.get(key, lambda: make(key)))
        for key in (1, 2, 3, 1, 2, 3)
    ]
    for thread in threads:
        thread.start()
    threading.Timer(0.2, free.set).start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [1, 2, 3]
    assert max(most) == 2


def test_a_queue_that_is_too_long_is_said_to_be_so():
    kept, begun, free = (
        KeptBytes(at_once=1, wait_seconds=0.05),
        threading.Event(),
        threading.Event(),
    )

    def slow():
        begun.set()
        free.wait(5)
        return b""

    thread = threading.Thread(target=lambda: kept.get("a", slow))
    thread.start()
    begun.wait(5)
    with pytest.raises(BusyError, match="load this one again"):
        kept.get("b", bytes)
    free.set()
    thread.join()
    assert kept.get("b", lambda: b"1") == b"1"


def test_ports_that_cannot_be_had_are_said(client):
    for port in (client.server.server_port, 99999, -1):
        with pytest.raises(OptionError, match=f"--port {port}: "):
            ViewServer(lambda *_: None, port=port)


def test_an_error_of_a_library_is_a_line(client, monkeypatch):
    def fails(source):
        raise RuntimeError("odd\nend of /home/ann/data/x.avi")

    monkeypatch.setattr("emo.extract.decode.playback.encode.encode_clip", fails)
    monkeypatch.setattr(KeptBytes, "get", lambda self, key, make: make())
    status, _, body = media(client, "copied")
    assert (status, body) == (422, b"it cannot be decoded: RuntimeError: odd\\nend of x.avi\n")


def test_a_file_that_is_cut_is_no_file_that_plays(tmp_path):
    make_clip(tmp_path / "a.mp4", seconds=1, audio=False)
    options = {"movflags": "faststart"}  # the index comes first, so that the rest may be cut
    with (
        av.open(tmp_path / "a.mp4") as made,
        av.open(tmp_path / "b.mp4", "w", options=options) as first,
    ):
        track = first.add_stream_from_template(made.streams.video[0])
        for packet in made.demux(video=0):
            if packet.dts is not None:
                packet.stream = track
                first.mux(packet)
    assert browser_type(tmp_path / "b.mp4") == "video/mp4"
    data = (tmp_path / "b.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 3 // 4])
    assert browser_type(tmp_path / "cut.mp4") is None
