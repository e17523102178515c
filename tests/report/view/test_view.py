"""The command: it prints the address alone, ends quietly, and serves the page of runs."""

import re
import stat
import webbrowser
from contextlib import ExitStack
from pathlib import Path

import pytest

from emo.errors import OptionError
from emo.report.view.server import ViewServer, serve_until_interrupted
from emo.report.view.view import ViewOptions, open_browser, view_pages
from tests.report.view.conftest import served

GOLDEN = Path(__file__).parents[2] / "golden_runs_v1"


def test_the_command_prints_its_address_and_ends_quietly(emo, tmp_path, monkeypatch):
    def interrupted(self):
        with pytest.raises(OptionError, match="in use"):  # it listens
            ViewServer(lambda *_: None, port=self.server_port)
        raise KeyboardInterrupt

    monkeypatch.setattr(ViewServer, "serve_forever", interrupted)
    (tmp_path / "manifest.csv").write_text("id,text\na,words\n")
    code, out, err = emo("view")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{43}/\n\^C ends\n", out)


def test_the_browser_gets_a_private_file_and_no_token(monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    with ViewServer(lambda *_: None) as server:
        with ExitStack() as stack:
            open_browser(server, stack)
            file = Path(opened[0].removeprefix("file://"))
            assert server.token not in opened[0]
            assert server.url in file.read_text()
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        assert not file.exists()


def test_each_server_has_another_token():
    with ViewServer(lambda *_: None) as one, ViewServer(lambda *_: None) as other:
        assert one.token != other.token
        assert one.server_address[0] == "127.0.0.1"


def test_an_interrupt_closes_the_server(monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(ViewServer, "serve_forever", interrupted)
    serve_until_interrupted(server := ViewServer(lambda *_: None))
    assert server.socket.fileno() == -1


def test_a_run_is_shown_with_links_to_its_clips():
    options = ViewOptions(GOLDEN / "manifest.csv", features=(str(GOLDEN / "features"),))
    with served(view_pages([GOLDEN / "cross"], options)) as client:
        page = client.get("")[2].decode()
        assert '"link":"clip/{number}"' in page
        assert "media-src &#39;self&#39;" in page
        assert '<script src="media.js">' in page
        assert "Results of the runs" in client.get("clips")[2].decode()
        clip = client.get("clip/0")[2].decode()
        assert "<blockquote" in clip or "row of the manifest" in clip.lower()
        assert "✓ tokens" in clip


def test_what_cannot_be_read_is_said(emo, tmp_path):
    for words, reason in (
        (("nothing.csv",), "no such file"),
        ((GOLDEN / "cross", GOLDEN / "manifest.csv"), "one manifest"),
        ((GOLDEN / "cross", "--features", "nowhere"), "nowhere"),
        ((tmp_path,), "no run"),
    ):
        code, out, err = emo("view", *words)
        assert (code, out, reason in err) == (1, "", True)


@pytest.mark.parametrize("words", [("--port", "x"), ("--nothing",)])
def test_wrong_usage(emo, words):
    assert emo("view", *words)[0] == 2
