"""Files by https: only of allowed hosts, never of the own network, and tried again."""

import contextlib
import io
import time

import pytest

from emo.store.backend import https
from emo.store.backend.https import HttpsError, allow_hosts, download, is_public
from tests.https_server import HttpsServer

NAMES = ["media.example", "mirror.example", "inside.example"]


@pytest.fixture(scope="module")
def _server(tmp_path_factory):
    pytest.importorskip("cryptography")
    server = HttpsServer(tmp_path_factory.mktemp("tls"), NAMES)
    yield server
    server.stop()


@pytest.fixture
def server(_server, monkeypatch):
    own = {"inside.example": "10.0.0.7", "169.254.169.254": "169.254.169.254"}
    _server.pretend(monkeypatch, own)
    monkeypatch.setattr(https, "PAUSE_SECONDS", 0.001)
    _server.files = {"/a.bin": b"x" * 100_000}
    _server.answers, _server.requests = {}, []
    allow_hosts(["media.example"])
    return _server


def read(path="/a.bin", host="media.example", most=10**6):
    out = io.BytesIO()
    download(f"https://{host}{path}", out, most)
    return out.getvalue()


def refused(*args, **more):
    with pytest.raises(HttpsError) as found:
        read(*args, **more)
    return str(found.value)


@pytest.mark.parametrize("answers", [[], [503, 429], ["half", 500, "half"]])
def test_a_file_is_read_whole_after_faults_that_pass(server, answers):
    server.answers["/a.bin"] = [*answers]
    assert read() == b"x" * 100_000
    assert len(server.requests) == len(answers) + 1


@pytest.mark.parametrize(
    ("answer", "reason"), [(503, "503"), ("half", "after 50,000 of 100,000 bytes")]
)
def test_faults_that_stay_end_after_five_tries(server, answer, reason):
    server.answers["/a.bin"] = ["always", answer]
    assert f"{reason}" in (said := refused())
    assert "tried 5 times" in said
    assert len(server.requests) == 5


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_not_tried_again(server, status):
    server.answers["/a.bin"] = ["always", status]
    assert str(status) in refused()
    assert len(server.requests) == 1


def test_the_time_for_a_file_ends_its_tries(server):
    with pytest.raises(HttpsError, match=r"a\.bin: not read within 1e-09 s \(--timeout\)"):
        download("https://media.example/a.bin", io.BytesIO(), 10**6, most_seconds=1e-9)
    assert server.requests == []


@pytest.mark.parametrize(
    "begin",
    [b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nX-A: ",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
     b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"],
)  # fmt: skip
def test_a_server_that_drips_byte_by_byte_is_given_up_in_time(server, begin, monkeypatch):
    def drip(handler):
        with contextlib.suppress(OSError):
            handler.wfile.write(begin)
            for _ in range(100):
                handler.wfile.write(b"a")
                time.sleep(0.02)

    monkeypatch.setattr(server, "answer", drip)
    began = time.monotonic()
    with pytest.raises(HttpsError, match=r"not read within 0\.3 s"):
        download("https://media.example/a.bin", io.BytesIO(), 10**6, most_seconds=0.3)
    assert time.monotonic() - began < 1.5


def test_hosts_must_be_allowed(server):
    assert "add --allow-host mirror.example" in refused(host="mirror.example")
    assert server.requests == []


def test_a_redirect_is_followed_to_an_allowed_host_alone(server):
    server.answers["/a.bin"] = ["https://mirror.example/b.bin?sig=secret-word"]
    server.files["/b.bin"] = b"b"
    said = refused()
    assert "it redirects to mirror.example, which is not allowed" in said
    assert "secret-word" not in said
    allow_hosts(["mirror.example"])
    server.answers["/a.bin"] = ["https://mirror.example/b.bin?sig=secret-word"]
    assert read() == b"b"
    assert server.requests[-1] == ("mirror.example", "/b.bin?sig=secret-word")


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("https://inside.example/latest", "10.0.0.7 of a private"),
        ("https://169.254.169.254/latest/meta-data", "169.254.169.254"),
        ("http://media.example/a.bin", "only https://"),
        ("file:///etc/passwd", "only https://"),
        ("https://user:word@media.example/", "without a user name"),
        ("https://media.example:99999/", "not a URL"),
        ("https://[bad", "not a URL"),
    ],
)
def test_a_redirect_to_the_own_network_is_refused(server, location, reason):
    """The server of this test fails on any connection to another address than the public one."""
    allow_hosts(["inside.example", "169.254.169.254"])
    server.answers["/a.bin"] = [location]
    said = refused()
    assert reason in said
    assert "word" not in said
    assert len(server.requests) == 1


def test_endless_redirects_end(server):
    server.answers["/a.bin"] = ["always", "/a.bin"]
    assert "more than 5 redirects" in refused()


def test_large_files_are_refused(server):
    assert "(--max-bytes)" in refused(most=99_999)
    assert "at most 1,000 are read" in refused(most=1000)


def test_a_wrong_certificate_is_refused(server, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "no valid certificate" in refused()
    assert server.requests == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "fe80::1%eth0", "fc00::1", "::",
        "::ffff:127.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "fd00:ec2::254",
        "fec0::1", "168.63.129.16", "::ffff:168.63.129.16", "64:ff9b::a83f:8110", "5f00::1",
        "64:ff9b:1::a00:1", "100.100.100.200", "192.0.0.192", "169.254.170.2", "::10.0.0.1",
    ],
)  # fmt: skip
def test_private_addresses(address):
    assert not is_public(address)


def test_public_addresses():
    assert is_public("93.184.216.34")
    assert is_public("2606:2800:220:1:248:1893:25c8:1946")
