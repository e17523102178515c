"""Serve pages and files on this machine alone: read only, behind a random token."""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from typing import Any, BinaryIO
from urllib.parse import parse_qsl

from emo.errors import EmoError, OptionError, line_of, system_reason
from emo.report.names import without_folders
from emo.report.view.access import address_behind, is_own_host, new_token
from emo.report.view.kept import BusyError
from emo.report.view.ranges import byte_range

HOST = "127.0.0.1"
MOST_CONNECTIONS = 64
"""Connections that are served at once; a browser has six."""
_WAIT_SECONDS = 0.2
"""How long a further connection waits for one of them to end; then the oldest one that has not
shown the token is closed, so that other users of the machine cannot take all of them."""
_PIECE_BYTES = 2**16
_HEADERS = {
    "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-store",
}  # fmt: skip
"""Headers of every answer: no other site shows a page or learns its address, no disk keeps it."""
_CLOSED_POLICY = (
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'"
)
"""Policy of files: opened alone, a browser shows them in a page of its own, and runs nothing. In a
sandbox it would not load them into that page."""


@dataclass(frozen=True)
class Answer:
    """What is sent for an address."""

    body: bytes | Callable[[], tuple[BinaryIO, int]]
    """The bytes, or a function that opens a file and tells its size."""
    media_type: str
    """Type of the content, such as ``video/mp4``."""
    policy: str = _CLOSED_POLICY
    """What a page may load (Content Security Policy)."""


AnswerOf = Callable[[str, Mapping[str, str]], Answer | None]
"""Function from an address behind the token and the values behind ``?`` to what is sent; None:
there is no such address."""


class ViewServer(ThreadingHTTPServer):
    """Answers requests on this machine; each connection has a thread."""

    daemon_threads = True
    request_queue_size = 256
    """Connections that the system keeps until they are accepted."""

    def __init__(self, answers: AnswerOf, *, port: int = 0) -> None:
        """Start to listen.

        Args:
            answers: what is sent.
            port: port on 127.0.0.1; 0: a free one.

        Raises:
            OptionError: the port is taken.
        """
        self.answers, self.token = answers, new_token()
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._lock = threading.Lock()
        self._unknown: dict[Any, None] = {}
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = system_reason(error) if isinstance(error, OSError) else "no such port"
            raise OptionError(f"--port {port}: {reason}; 0 takes a free one") from error

    @property
    def url(self) -> str:
        """Address of the page, with the token."""
        return f"http://{HOST}:{self.server_port}/{self.token}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, or close it if there are too many."""
        if self._free.acquire(timeout=_WAIT_SECONDS) or (
            self._close_oldest_unknown() and self._free.acquire(timeout=_WAIT_SECONDS)
        ):
            with self._lock:
                self._unknown[request] = None
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def has_shown_token(self, request: Any) -> None:
        """Note that a connection has shown the token: it is not closed for others."""
        with self._lock:
            self._unknown.pop(request, None)

    def _close_oldest_unknown(self) -> bool:
        """Close the oldest connection that has not shown the token; return whether there is one."""
        with self._lock:
            oldest = next(iter(self._unknown), None)
            if oldest is None:
                return False
            del self._unknown[oldest]
            with contextlib.suppress(OSError):
                oldest.shutdown(SHUT_RDWR)  # its thread reads an end, and closes it
        return True

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, and count it off."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.has_shown_token(request)  # no longer open
            self._free.release()

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Keep quiet of connections that a browser closed; show errors of ours."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "emo", ""
    timeout = 30
    """Seconds that a connection may be silent."""
    server: ViewServer

    def log_message(self, format: str, *values: Any) -> None:
        """Log nothing: paths hold the token."""

    def do_GET(self) -> None:
        """Send what an address stands for."""
        if not is_own_host(self.headers.get_all("Host", [])):
            return self._send_text(403, "The header Host does not name this machine.")
        path, _, query = self.path.partition("?")
        address = address_behind(self.server.token, path)
        if address is not None:
            self.server.has_shown_token(self.connection)
        try:
            answer = None if address is None else self.server.answers(address, _values(query))
            if answer is None:
                return self._send_text(404, "There is nothing at this address.")
            with self._opened(answer) as (file, size):
                return self._send(answer, file, size)
        except BusyError as error:
            return self._send_text(503, str(error))
        except EmoError as error:
            return self._send_text(422, without_folders(line_of(str(error))))

    do_HEAD = do_GET

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a request that is none, or another method than GET and HEAD, in a line of text."""
        self.close_connection = True
        text = "Only GET and HEAD are answered." if code == 501 else HTTPStatus(code).phrase
        self._send_text(code, text)

    @staticmethod
    @contextlib.contextmanager
    def _opened(answer: Answer) -> Iterator[tuple[bytes | BinaryIO, int]]:
        """Open the content of an answer."""
        if isinstance(answer.body, bytes):
            yield answer.body, len(answer.body)
        else:
            file, size = answer.body()
            with file:
                yield file, size

    def _send(self, answer: Answer, content: bytes | BinaryIO, size: int) -> None:
        """Send content of ``size`` bytes, or the part of it that is asked for."""
        is_whole = self.command == "HEAD" or "If-Range" in self.headers
        found = None if is_whole else byte_range(self.headers.get("Range"), size)
        if found == "unfit":
            return self._begin(416, "text/plain", 0, {"Content-Range": f"bytes */{size}"})
        low, high = found or (0, size)
        more = {"Accept-Ranges": "bytes", "Content-Security-Policy": answer.policy}
        if found:
            more["Content-Range"] = f"bytes {low}-{high - 1}/{size}"
        self._begin(206 if found else 200, answer.media_type, high - low, more)
        if self.command == "HEAD":
            return None
        if isinstance(content, bytes):
            self.wfile.write(content[low:high])
            return None
        content.seek(low)
        while low < high and (piece := content.read(min(_PIECE_BYTES, high - low))):
            self.wfile.write(piece)
            low += len(piece)
        self.close_connection |= low < high  # the file was cut meanwhile
        return None

    def _send_text(self, status: int, text: str) -> None:
        """Send a line of text with a status."""
        body = f"{text}\n".encode()
        self._begin(status, "text/plain; charset=utf-8", len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _begin(
        self, status: int, media_type: str, size: int, more: Mapping[str, str] | None = None
    ) -> None:
        """Send the status and the headers; bodies of requests are not read, so they end it."""
        self.send_response(status)
        headers = {**_HEADERS, "Content-Security-Policy": _CLOSED_POLICY, **(more or {})}
        for name, value in {"Content-Type": media_type, "Content-Length": size, **headers}.items():
            self.send_header(name, str(value))
        sent = {*getattr(self, "headers", ())}  # there are none of a request that is none
        if self.close_connection or {"Content-Length", "Transfer-Encoding"} & sent:
            self.send_header("Connection", "close")
        self.end_headers()


def _values(query: str) -> Mapping[str, str]:
    """Return the values of a query by name; of one with too many of them none."""
    try:
        return dict(parse_qsl(query, max_num_fields=9))
    except ValueError:
        return {}


def serve_until_interrupted(server: ViewServer) -> None:
    """Answer requests until ^C."""
    with server, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
