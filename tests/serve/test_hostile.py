"""Attacks on a service in a process of its own: no crash, limits hold, memory is bounded."""

import contextlib
import glob
import http.client
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from emo.predict.one_clip import predict_file
from tests.serve.conftest import write_wav
from tests.serve.test_connections import ask, post, told

pytestmark = pytest.mark.hostile
NAMES = (
    "../../../etc/passwd", "/etc/passwd.wav", "a\\..\\b.wav", "x.tar!y.wav", "a" * 5000,
    "https://example.org/a.wav", "a.wav\r\nX-More: 1", "é\u202e.wav", "a\0.wav", "",
)  # fmt: skip
CONNECTIONS = 10_000
MOST_GROWTH = 300 * 2**20
"""Bytes that the process may grow by under all attacks together."""


def resident_bytes(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def children(pid):
    for file in glob.glob(f"/proc/{pid}/task/*/children"):
        for child in Path(file).read_text().split():
            yield int(child)
            yield from children(child)


@pytest.fixture
def process(made):
    """A service as people start it: ``(Popen, port)``."""
    words = [sys.executable, "-m", "emo", "serve", str(made / "run"), "--port", "0"]
    words += ["--max-mib", "4", "--max-seconds", "60"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        yield started, int(started.stdout.readline().split(":")[2].split("/")[0])
        started.kill()


def lies_about_its_length(seconds=10 * 3600):
    """A wav of a few bytes that says it has hours."""
    size = 16000 * 2 * seconds
    return (
        b"RIFF" + struct.pack("<I", size + 36) + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
        + b"data" + struct.pack("<I", size) + bytes(1000)
    )  # fmt: skip


def test_the_hostile_set(process, made):
    started, port = process
    data = (made / "3.wav").read_bytes()
    expected = predict_file(made / "run", made / "3.wav", None).probabilities
    before = resident_bytes(started.pid)
    for junk in (bytes(2**20), os.urandom(2**20), lies_about_its_length(), b"\x89PNG" + bytes(99)):
        answer = told(port, post(b"%d" % len(junk), junk))
        assert int(answer[9:12]) in (200, 413, 422)
    assert b"413" in told(port, post(b"%d" % 10**12))[:20]
    chunked = b"Transfer-Encoding: chunked\r\n"
    endless = (
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: audio/wav\r\n"
        + chunked + b"\r\n" + (b"10000\r\n" + bytes(2**16) + b"\r\n") * 100
    )  # fmt: skip
    with contextlib.suppress(ConnectionError):  # it is closed while we send
        assert b"413" in told(port, endless)[:20]
    _slow(started.pid, port, data)
    answers = {}
    ask(port, data, answers)
    assert answers[0][0] == 200
    assert answers[0][1]["probabilities"] == expected
    grown = resident_bytes(started.pid) - before
    print(f"{grown / 2**20:.0f} MiB more after all attacks")
    assert grown < MOST_GROWTH
    assert started.poll() is None


def _slow(pid, port, data):
    """Ten thousand connections that send a byte now and then; meanwhile others are answered."""
    connections, most, answers = [], 0, {}
    for number in range(CONNECTIONS):
        try:
            one = socket.create_connection(("127.0.0.1", port), timeout=10)
            one.sendall(b"POST /predict HTTP/1.1\r\nHost: a")
            connections.append(one)
        except OSError:
            pass
        if number % 1000 == 500:
            ask(port, data, answers, number)
            open_now = len(os.listdir(f"/proc/{pid}/fd"))
            most = max(most, open_now)
    for one in connections:
        with contextlib.suppress(OSError):
            one.sendall(b"b")
    ask(port, data, answers, "last")
    for one in connections:
        one.close()
    print(f"{len(connections):,} slow connections; at most {most} files open there")
    assert [status for status, _ in answers.values()] == [200] * 11
    assert most < 700


def test_bytes_behind_a_clip_and_names_that_lead_elsewhere(process, made, tmp_path):
    _, port = process
    data = (made / "3.wav").read_bytes()
    for name in NAMES:
        head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        body = head.encode() + data + b"\r\n--b--\r\n"
        connection.request(
            "POST", "/predict", body, {"Content-Type": "multipart/form-data; boundary=b"}
        )
        answer = connection.getresponse()
        document = json.loads(answer.read())
        assert answer.status in (200, 400, 422)
        assert "passwd" not in str(document)
        connection.close()
    long = write_wav(tmp_path / "long.wav", seconds=61).read_bytes()
    assert b"at most 60 s are taken" in told(port, post(b"%d" % len(long), long))


def test_sigterm_loses_no_accepted_request(process, made):
    """Clients ask without a pause; the signal comes to the whole group, as from systemd."""
    started, port = process
    data = (made / "3.wav").read_bytes()
    counts = {"answered": 0, "refused": 0, "lost": 0}
    lock = threading.Lock()

    def client():
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", port), timeout=30)
            except OSError:
                return  # nobody listens any more: not accepted
            with contextlib.closing(connection):
                found = b""
                with contextlib.suppress(OSError):
                    connection.sendall(post(b"%d" % len(data), data))
                    while piece := connection.recv(2**16):
                        found += piece
            status = found[9:12]
            kind = {b"200": "answered", b"429": "refused"}.get(status, "lost")
            with lock:
                counts[kind] += 1

    threads = [threading.Thread(target=client) for _ in range(16)]
    for thread in threads:
        thread.start()
    time.sleep(3)
    for pid in children(started.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    started.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join(60)
    print(counts)
    assert started.wait(60) == 0
    assert started.stderr.read() == ""
    assert counts["answered"] > 50
    assert counts["lost"] == 0


def test_promtool_accepts_the_metrics(process, made):
    _, port = process
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not here: it comes with Prometheus")
    ask(port, (made / "3.wav").read_bytes(), {})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
