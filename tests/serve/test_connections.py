"""Connections: slow ones, lying ones, too many; an end that loses no request."""

import contextlib
import http.client
import json
import socket
import sys
import threading
import time

import pytest

from emo.predict.one_clip import predict_file
from emo.predict.serve import server
from tests.serve.conftest import LIMITS


def ask(port, data, answers, name=0):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/predict", data, {"Content-Type": "audio/wav"})
    answer = connection.getresponse()
    answers[name] = (answer.status, json.loads(answer.read()))
    connection.close()


def told(port, data):
    """What the service sends for bytes, until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data)
        found = b""
        while piece := connection.recv(2**16):
            found += piece
    return found


def post(length, body=b"", more=b""):
    return (
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: audio/wav\r\n"
        + b"Content-Length: %s\r\nConnection: close\r\n%s\r\n%s" % (length, more, body)
    )


def test_lengths_that_lie_and_bytes_that_are_no_request(served, made):
    service, port, _ = served
    data = (made / "3.wav").read_bytes()
    assert b"413" in told(port, post(b"9999999999999999999"))[:20]
    assert b"400" in told(port, post(b"-1"))[:20]
    assert b"400" in told(port, post(b"5", more=b"Content-Length: 6\r\n"))[:20]
    late = told(port, post(b"%d" % (len(data) + 5), data))
    assert b"408" in late[:20]
    assert b"The body did not arrive within 1 s." in late
    assert b"422" in told(port, post(b"20", data))[:20]  # the rest is not read
    for junk in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 2**15):
        assert b'{"error": "The bytes are not a request of HTTP."}' in told(port, junk)
    answers = {}
    ask(port, data, answers)
    assert answers[0][0] == 200
    assert service.slots.taken == 0


def test_slow_connections_take_no_place_from_others(served, made):
    """More than may be open: the ones that waited longest are closed, and those after a second."""
    _, port, _ = served
    head = b"POST /predict HTTP/1.1\r\nHost: loc"
    slow = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(40)]
    for connection in slow:
        connection.sendall(head)
    answers = {}
    ask(port, (made / "3.wav").read_bytes(), answers)
    assert answers[0][0] == 200
    began = time.monotonic()
    for connection in slow:
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        connection.close()
    assert time.monotonic() - began < 4 * LIMITS.header_seconds


def test_the_end_loses_no_accepted_request(served, made):
    service, port, drain = served
    data = (made / "5.wav").read_bytes()
    answers, expected = {}, predict_file(made / "run", made / "5.wav", None).probabilities
    threads = [
        threading.Thread(target=ask, args=(port, data, answers, number))
        for number in range(LIMITS.queue)
    ]
    idle = socket.create_connection(("127.0.0.1", port), timeout=10)  # asks after the signal
    late = socket.create_connection(("127.0.0.1", port), timeout=10)
    for thread in threads:
        thread.start()
    while not service.slots.taken:
        time.sleep(0.001)
    ender = threading.Thread(target=drain)
    ender.start()
    while not service.is_draining:
        time.sleep(0.001)
    idle.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"503" in idle.recv(2**16)[:20]
    time.sleep(1.5 * server.DRAIN_SECONDS)  # nobody is accepted any more
    late.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"503" in late.recv(2**16)[:20]
    for thread in [*threads, ender]:
        thread.join()
    assert [status for status, _ in answers.values()] == [200] * LIMITS.queue
    assert all(found["probabilities"] == expected for _, found in answers.values())
    idle.close()
    late.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere new connections are not held back")
def test_new_connections_wait_at_the_end_and_begun_ones_are_taken():
    with contextlib.closing(server.listening_socket("127.0.0.1", 0)) as listener:
        listener.listen()
        address = listener.getsockname()
        with socket.create_connection(address, timeout=1) as begun:
            server.refuse_new(listener)
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.3)
            taken, _ = listener.accept()
            begun.sendall(b"late")
            assert taken.recv(4) == b"late"
            taken.close()
