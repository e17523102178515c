"""Nothing is shown without the token, to another host, or from outside of the media's folder."""

import concurrent.futures
import contextlib
import socket

import pytest

from emo.report.view.server import MOST_CONNECTIONS, ViewServer
from tests.report.view.conftest import HOSTILE, NAMES, SECRET

ESCAPES = [
    "../secret.mp4",
    "..%2fsecret.mp4",
    "%2e%2e/secret.mp4",
    "%2e%2e%2fsecret.mp4",
    "..\\secret.mp4",
    "..%5csecret.mp4",
    "%252e%252e/secret.mp4",
    "..%c0%afsecret.mp4",
    "clip/../../secret.mp4",
    "clip/0/../../../secret.mp4",
    "clip/0/media/..",
    "./../secret.mp4",
    "//etc/passwd",
    "/etc/passwd",
    "clip/0/media%00",
    "clip/0/%6dedia",
    "clip/0/crops/../media",
    "clip/-1",
    "clip/99",
    "clip/00",
    "clip/0x1",
    "clip/\u0661".encode().decode("latin-1"),
    "clip/0/crops/9",
    "clip/0/crops/",
    "CLIPS",
    "clip/1e0",
    "clip/",
    "clips/",
    "index.html",
    "clip/3/media",
    "clip/0/media/",
    "clip/0/nothing",
]


@pytest.mark.parametrize("address", ESCAPES)
def test_other_addresses_lead_nowhere(client, address):
    assert client.get(address)[0] == 404


@pytest.mark.parametrize("change", ["", "x", "short", "case", "twice"])
def test_without_the_token_there_is_nothing(client, change):
    token = client.server.token
    other = {
        "": "", "x": "x", "short": token[:-1], "case": token.swapcase(), "twice": token * 2,
    }[change]  # fmt: skip
    for path in ("", "clip/0", "clip/0/media", "media.js"):
        status, headers, body = client.ask(f"/{other}/{path}")
        assert (status, headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
        assert body == client.get("nothing")[2]  # nobody learns which part was wrong
    assert client.ask("/")[0] == client.ask("*")[0] == client.ask(f"/{token}")[0] == 404
    assert client.ask(f"http://127.0.0.1/{token}/")[0] == 404


def test_only_names_of_this_machine_are_answered(client):
    port = client.server.server_port
    for own in (f"127.0.0.1:{port}", f"localhost:{port}", "LOCALHOST", "[::1]:9", "localhost:9000"):
        assert client.get("", hosts=[own])[0] == 200
    for other in (
        "evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "localhost.", "",
        "127.0.0.1@evil.example", "0.0.0.0", "127.0.0.2", "127.0.0.1:port", "evil#localhost",
    ):  # fmt: skip
        assert client.get("", hosts=[other])[0] == 403, other
    assert client.get("", hosts=[])[0] == 403
    assert client.get("", hosts=["localhost", "evil.example"])[0] == 403


def test_other_methods_are_refused(client):
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
        status, headers, body = client.ask(client.base, method=method)
        assert (status, body) == (501, b"Only GET and HEAD are answered.\n")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_what_is_no_request_is_refused_in_a_line(client):
    for sent in (b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", client.server.server_port), timeout=9) as one:
            one.sendall(sent)
            answer = b"".join(iter(lambda one=one: one.recv(4096), b""))
        assert b"<" not in answer
    assert client.get("")[0] == 200


def test_silent_connections_of_others_keep_nobody_out(client):
    address = ("127.0.0.1", client.server.server_port)
    with contextlib.ExitStack() as stack:
        for _ in range(MOST_CONNECTIONS + 6):
            stack.enter_context(socket.create_connection(address, timeout=9)).sendall(b"GET /")
        assert client.get("")[0] == 200
        assert client.get("clip/0")[0] == 200


def test_many_connections_wait_until_they_are_accepted():
    with ViewServer(lambda *_: None) as server, contextlib.ExitStack() as stack:  # serves nothing
        for _ in range(100):
            address = ("127.0.0.1", server.server_port)
            stack.enter_context(socket.create_connection(address, timeout=0.5))


def test_every_answer_keeps_others_out(client):
    for address in ("", "clip/0", "clip/0/media", "clip/0/frame", "clip/5/media", "nothing"):
        _, headers, _ = client.get(address)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"  # links elsewhere hold no token
        assert headers["Cache-Control"] == "no-store"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in headers
        assert "Python" not in headers["Server"]
        is_page = headers["Content-Type"].startswith("text/html")
        assert is_page or "default-src 'none'" in headers["Content-Security-Policy"]


def test_a_link_that_leaves_the_folder_is_a_line(client):
    number = NAMES.index("link")
    for what in ("/media", "/frame", "/spectrogram"):
        status, _, body = client.get(f"clip/{number}{what}")
        assert (status, SECRET in body.decode()) == (422, False)
        assert "a link that leads out of the folder of the media" in body.decode()
    assert "a link that leads out" in client.get(f"clip/{number}")[2].decode()


def test_hostile_names_run_nothing(client):
    number = NAMES.index(HOSTILE)
    for address in ("", f"clip/{number}", "clips?q=%3Cscript%3Ealert(1)%3C/script%3E", "clip/0"):
        page = client.get(address)[2].decode()
        assert "<script>document" not in page
        assert "<img src=x" not in page
        assert "<script>alert" not in page
        assert "<b>there" not in page
    assert "&lt;/script&gt;&lt;script&gt;" in client.get(f"clip/{number}")[2].decode()


def test_odd_values_behind_the_question_mark_are_no_error(client):
    for query in (
        "page=x",
        "page=-1",
        "page=99999999999",
        "page=\u0663",
        "q=%ff%00",
        "&&==",
        "q=" * 5,
    ):
        assert client.get(f"clips?{query}".encode().decode("latin-1"))[0] == 200
    assert client.get("clips?" + "a=1&" * 50)[0] == 200


def test_several_requests_at_once_are_answered(client):
    addresses = ["clip/1/media", "clip/0/media", "clip/1/frame", "", "clip/5/media"] * 6
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda each: client.get(each)[0], addresses))
    assert found == [200, 200, 200, 200, 422] * 6
