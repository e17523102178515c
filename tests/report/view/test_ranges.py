"""Players seek by ranges: of files and of copies, also malformed ones."""

import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emo.report.view.ranges import byte_range
from tests.report.view.conftest import NAMES

ADDRESSES = [f"clip/{NAMES.index(name)}/media" for name in ("plays", "copied")]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_range_is_that_part_of_the_file(client, address):
    whole = client.get(address)[2]
    size = len(whole)
    for asked, low, high in (
        ("bytes=0-", 0, size), ("bytes=0-0", 0, 1), ("bytes=5-9", 5, 10), 
        ("bytes=-7", size - 7, size),
        (f"bytes=9-{size * 9}", 9, size), (f"bytes=-{size * 9}", 0, size), (" bytes=1-2 ", 1, 3),
    ):  # fmt: skip
        status, headers, body = client.get(address, Range=asked)
        assert (status, body) == (206, whole[low:high]), asked
        assert headers["Content-Range"] == f"bytes {low}-{high - 1}/{size}"
        assert headers["Content-Length"] == str(high - low)


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_is_no_range_gives_the_whole_file(client, address):
    status, headers, whole = client.get(address)
    assert (status, headers["Accept-Ranges"]) == (200, "bytes")
    for asked in (
        "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=1-2,4-5", "lines=1-2",
        "bytes=--5", "bytes=+1-2", "bytes=1 - 2", "bytes=0x1-2", "bytes=\u0661-\u0662",
        f"bytes={'9' * 99}-",
    ):  # fmt: skip
        value = asked.encode().decode("latin-1")
        assert client.get(address, Range=value)[::2] == (200, whole), asked
    assert client.get(address, Range="bytes=1-2", If_Range='"old"')[::2] == (200, whole)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_range_beyond_the_end_is_said_to_be_so(client, address):
    size = len(client.get(address)[2])
    for asked in (f"bytes={size}-", f"bytes={size}-{size + 9}", "bytes=-0"):
        status, headers, body = client.get(address, Range=asked)
        assert (status, headers["Content-Range"], body) == (416, f"bytes */{size}", b"")


@pytest.mark.parametrize("address", ["", "clip/0", "media.js", "nothing", *ADDRESSES])
def test_head_tells_what_get_would_send(client, address):
    status, headers, body = client.get(address)
    found = client.ask(client.base + address, method="HEAD", Range="bytes=0-1")
    assert (found[0], found[2]) == (status, b"")
    for name in ("Content-Type", "Content-Length", "Content-Security-Policy"):
        assert found[1][name] == headers[name]
    assert headers["Content-Length"] == str(len(body))


@settings(max_examples=50)
@given(st.text("0123456789-, =", max_size=9), st.integers(0, 99))
def test_any_header_gives_a_part_of_the_file(words, size):
    found = byte_range(f"bytes={words}", size)
    if isinstance(found, tuple):
        assert 0 <= found[0] < found[1] <= size


@pytest.mark.parametrize("address", ["", "nothing", *ADDRESSES])
def test_head_sends_no_body(client, address):
    """http.client would leave a body unread."""
    with socket.create_connection(("127.0.0.1", client.server.server_port), timeout=20) as wire:
        lines = f"HEAD {client.base}{address} HTTP/1.1\r\nHost: localhost\r\nConnection: close"
        wire.sendall(f"{lines}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: wire.recv(2**16), b""))
    assert answer.startswith(b"HTTP/1.1 ")
    assert answer.endswith(b"\r\n\r\n")
    assert answer.count(b"\r\n\r\n") == 1
