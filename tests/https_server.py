"""A server of https:// on this machine that pretends to have a public name and address."""

import datetime
import http.server
import ipaddress
import socket
import ssl
import threading
import time
from pathlib import Path

PUBLIC = "93.184.216.34"
"""The address that names are said to have."""


class HttpsServer:
    """Answers of ``files`` (path -> bytes) and ``answers`` (path -> next statuses or locations)."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.files: dict[str, bytes] = {}
        self.answers: dict[str, list[object]] = {}
        self.requests: list[tuple[str, str]] = []
        self.certificate = _certificate(folder, names)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append((self.headers["Host"], self.path))
                outer.answer(self)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, handler) -> None:
        path = handler.path.partition("?")[0]
        pending = self.answers.get(path)
        what = (pending if pending and pending[0] == "always" else pending or [None])[0]
        if what == "always":
            what = pending[1]
        elif pending:
            pending.pop(0)
        body = self.files.get(path)
        if what in ("drip head", "drip chunk"):
            return self._drip(handler, what)
        if isinstance(what, int) or (body is None and what is None):
            handler.send_response(what or 404)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        elif isinstance(what, str) and what != "half":
            handler.send_response(302)
            handler.send_header("Location", what)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        else:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body[: len(body) // 2] if what == "half" else body)

    def _drip(self, handler, what) -> None:
        """Send a head, or a line before a chunk, that never ends."""
        head = "X-A: " if what == "drip head" else "Transfer-Encoding: chunked\r\n\r\n1;"
        try:
            handler.wfile.write(f"HTTP/1.1 200 OK\r\n{head}".encode())
            while True:
                handler.wfile.write(b"a")
                time.sleep(0.05)
        except OSError:
            pass

    def pretend(self, monkeypatch, addresses: dict[str, str] | None = None) -> None:
        """Names resolve to public addresses, or those given; connections come here."""
        real, own = socket.getaddrinfo, self._server.server_port

        def resolve(host, port, *args, **named):
            if host in ("127.0.0.1", "localhost"):
                return real(host, port, *args, **named)
            address = (addresses or {}).get(host, PUBLIC)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        def connect(address, timeout=None):
            assert address[0] == PUBLIC, f"a connection to {address[0]}"
            found = socket.socket()
            found.settimeout(timeout)
            found.connect(("127.0.0.1", own))
            return found

        monkeypatch.setattr("emo.store.backend.https.socket.getaddrinfo", resolve)
        monkeypatch.setattr("emo.store.backend.https.socket.create_connection", connect)
        monkeypatch.setenv("SSL_CERT_FILE", str(self.certificate))

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _certificate(folder: Path, names: list[str]) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    assert ipaddress.ip_address(PUBLIC).is_global
    file = folder / "server.pem"
    encoding = serialization.Encoding.PEM
    file.write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(encoding)
    )
    return file
