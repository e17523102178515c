"""A server of `emo view` on a manifest with clips that play, that do not, and hostile ones."""

import http.client
import os
import threading
from contextlib import contextmanager

import numpy as np
import pytest

from emo.report.view.server import ViewServer
from emo.report.view.view import ViewOptions, view_pages
from emo.store import PartWriter, Recipe, Store, StreamSpec
from tests.make import make_clip

HOSTILE = "</script><script>document.title='x'</script><img src=x onerror=alert(1)>"
NAMES = (
    "plays", "copied", "sound", "text", "stretch", "broken", "missing", "link", "channel", HOSTILE,
)  # fmt: skip
SECRET = "a file outside of the folder of the media"


class Client:
    """Sends requests as they are written, without normalizing a path."""

    def __init__(self, server):
        self.server, self.base = server, f"/{server.token}/"

    def ask(self, path, method="GET", hosts=None, **headers):
        """(status, headers, body) of a path as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=20)
        connection._encode_request = lambda text: text.encode("latin-1")  # else ASCII alone
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            own = [f"127.0.0.1:{self.server.server_port}"]
            for host in own if hosts is None else hosts:
                connection.putheader("Host", host)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, address, **headers):
        """(status, headers, body) of an address behind the token."""
        return self.ask(self.base + address, **headers)


@contextmanager
def served(pages):
    """A client of a server of ``pages``."""
    server = ViewServer(pages.answer)
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield Client(server)
        finally:
            server.shutdown()
            thread.join()


def make_media(folder):
    """A manifest in ``folder`` and its media in ``folder/media``; returns the manifest's path."""
    media = folder / "media"
    media.mkdir()
    make_clip(media / "plays.mp4", seconds=1)
    make_clip(media / "copied.avi", seconds=1, codec="mpeg4", audio_codec="pcm_s16le")
    make_clip(media / "sound.wav", seconds=0.5, video=False, audio_codec="pcm_s16le")
    make_clip(media / "stereo.mp4", seconds=0.5, channels=2)
    (media / "broken.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(500))
    (folder / "secret.mp4").write_text(SECRET)
    os.symlink("../secret.mp4", media / "link.mp4")
    lines = ["id;video;audio;audio_channel;text;label;start_seconds;end_seconds"]
    cells = {
        "plays": "plays.mp4;;;Hi <b>there</b> \u2028;joy;;",
        "copied": "copied.avi;;;;joy;;", "sound": ";sound.wav;;;joy;;", "text": ";;;words;joy;;",
        "stretch": "plays.mp4;;;;joy;0.25;0.75", "broken": "broken.mp4;;;;joy;;",
        "missing": "nothing.mp4;;;;joy;;", "link": "link.mp4;;;;joy;;",
        "channel": "stereo.mp4;;left;;joy;;", HOSTILE: f";;;{HOSTILE};{HOSTILE};;",
    }  # fmt: skip
    lines += [f"{name};{cells[name]}" for name in NAMES]
    manifest = folder / "clips.csv"
    manifest.write_text("\n".join(lines), encoding="utf-8")
    return manifest


def make_features(folder):
    """A store in which ``plays`` has face crops, ``broken`` failed, and the others are lacking."""
    spec = StreamSpec(4 * 6 * 3, "uint8", kind="image", shape=(4, 6, 3))
    recipe = Recipe("faces", {"face": spec, "voice": StreamSpec(2)})
    store = Store.create(folder)
    with PartWriter(store.add_recipe("faces", recipe).path, recipe) as part:
        part.add(
            "plays", {"face": np.full((3, 72), 200, np.uint8)}, absent={"voice": "no <i>sound"}
        )
        part.fail("broken", "the file is <b>cut</b>\nhere")
    return folder


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("view")
    manifest = make_media(folder)
    options = ViewOptions(root=folder / "media", features=(str(make_features(folder / "store")),))
    with served(view_pages([manifest], options)) as found:
        yield found
