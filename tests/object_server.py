"""An S3 server for the tests: moto's, which counts requests and can be made slow, deaf or strict.

moto looks whether an object is there and stores it in two steps; PUTs go through it one after
another here, so that its answer to If-None-Match is as atomic as that of S3.
"""

import io
import logging
import re
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

FIRST_BYTES = 2**16


@dataclass(frozen=True)
class Request:
    method: str
    key: str
    bytes: int
    """Asked for by a GET with a range; else 0."""
    query: str = ""


class ObjectServer:
    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._app = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.requests: list[Request] = []
        self.is_deaf = False
        """Drops conditions, as servers do that do not know them."""
        self.refuses = ""
        """Methods that are answered by 403."""
        self.conflicts = 0
        """PUTs that are answered by 409, as S3 may when two meet."""
        self.pauses = ""
        """PUTs of keys with this in them stop after 64 kB until :attr:`goes_on`."""
        self.is_paused, self.goes_on = Event(), Event()
        self.slow, self.slow_seconds = "", 0.0
        """GETs of keys with this in them are answered so much later."""
        self.faults: list[str] = []
        """What the next GETs of a range get instead, one after the other: ``busy`` (503), ``half``
        (half of the body), ``slow`` (nothing for two seconds); with ``forever`` behind it: all."""

    def environment(self) -> dict[str, str]:
        """What a client must know."""
        return {
            "AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests", "AWS_REGION": "us-east-1",
        }  # fmt: skip

    def make_bucket(self, name: str) -> str:
        """The bucket's URL."""
        request = urllib.request.Request(f"{self.url}/{name}", method="PUT")
        request.add_header("Authorization", "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/x")
        urllib.request.urlopen(request).close()
        return f"s3://{name}"

    @contextmanager
    def heard(self) -> Iterator[list[Request]]:
        """The requests of the block, there when it is left."""
        first, found = len(self.requests), []
        yield found
        found += self.requests[first:]

    def stop(self) -> None:
        self.goes_on.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ, start):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.requests.append(
            Request(method, path.lstrip("/"), _ranged(environ), environ.get("QUERY_STRING", ""))
        )
        if method == "GET" and self.slow and self.slow in path:
            time.sleep(self.slow_seconds)
        if method in self.refuses.split():
            start("403 Forbidden", [("Content-Type", "text/xml")])
            return [b"<Error><Code>AccessDenied</Code></Error>"]
        if method == "PUT" and self.conflicts and environ.get("HTTP_IF_NONE_MATCH"):
            self.conflicts -= 1
            environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            start("409 Conflict", [("Content-Type", "text/xml")])
            return [b"<Error><Code>ConditionalRequestConflict</Code></Error>"]
        if method == "GET" and environ.get("HTTP_RANGE") and self.faults:
            return self._faulty(environ, start)
        if method != "PUT":
            return self._app(environ, start)
        if self.is_deaf:
            environ.pop("HTTP_IF_NONE_MATCH", None)
        size = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(min(size, FIRST_BYTES))
        if self.pauses and self.pauses in path:
            self.is_paused.set()
            self.goes_on.wait(30)
        body += environ["wsgi.input"].read(size - len(body))
        if len(body) < size:  # the client is gone; what it sent was never an object
            start("400 Bad Request", [])
            return []
        environ["wsgi.input"] = io.BytesIO(body)
        with self._lock:
            return list(self._app(environ, start))

    def _faulty(self, environ, start):
        with self._lock:
            fault, *rest = self.faults
            self.faults = self.faults if "forever" in fault else rest
        if "busy" in fault:
            start("503 Slow Down", [("Content-Type", "text/xml")])
            return [b"<Error><Code>SlowDown</Code></Error>"]
        if "slow" in fault:
            time.sleep(2)
            return self._app(environ, start)
        body = b"".join(self._app(environ, start))
        return [body[: len(body) // 2]]


def _ranged(environ) -> int:
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", environ.get("HTTP_RANGE") or "")
    return int(found[2]) - int(found[1]) + 1 if found else 0
