"""Read files by https:// from hosts that the user allowed, never from addresses of the own network.

The host's addresses are checked before every connection, which then goes to the checked address: a
name that resolves to another address later cannot lead elsewhere. A redirect is followed only to a
URL that passes the same checks. obstore's store of HTTP follows redirects by itself and refuses
servers that have no ranges, so that Python's own client is used here.
"""

import http.client
import ipaddress
import math
import random
import socket
import ssl
import time
from collections.abc import Iterable
from contextlib import closing
from typing import Any, BinaryIO
from urllib.parse import quote, urljoin, urlsplit

from emo.errors import EmoError

TRIES = 5
"""Number of times that a request is tried when the server is busy or the connection breaks."""
QUIET_SECONDS = 15.0
"""Without a byte for so long, a try fails."""
MOST_DOWNLOAD_SECONDS = 300.0
"""Most seconds of all tries for one file together."""
PAUSE_SECONDS = 0.2
"""Pause before the second try; it is doubled before each further one, with a random part."""
MOST_REDIRECTS = 5
_PIECE_BYTES = 2**18
_BUSY = frozenset({429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SPECIAL = (
    ipaddress.ip_network("fec0::/10"),  # site-local, of the own network (RFC 3879)
    ipaddress.ip_network("192.0.0.0/24"),  # of protocols; Oracle's metadata of a machine
    ipaddress.ip_network("168.63.129.16/32"),  # Azure: keys and certificates of a machine
    ipaddress.ip_network("64:ff9b:1::/48"),  # translated to IPv4 of the own network (RFC 8215)
    ipaddress.ip_network("5f00::/16"),  # segment routing inside one network (RFC 9602)
)
"""Networks that Python calls global but that lead into the own network or to a cloud's services."""
_allowed: set[str] = set()


class HttpsError(EmoError):
    """A file cannot be read by https."""


class _TooSlowError(Exception):
    """The time for a file is over."""


class _PassingError(Exception):
    """What may go well when it is tried again."""


class _TimedSocket(ssl.SSLSocket):
    """A connection that is given up at a point in time, also while a server sends byte by byte.

    Status line, headers and the lines between chunks are read by many small reads inside of one
    call of Python's client, and each of them would begin with the whole time-out anew.
    """

    end = math.inf
    """Time of the monotonic clock until which the file must be read."""

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        """Read what has come into a buffer; return the number of bytes.

        Raises:
            _TooSlowError: the time is over.
            TimeoutError: nothing came for :data:`QUIET_SECONDS`.
        """
        self.settimeout(_most_quiet(self.end))
        try:
            return super().recv_into(buffer, nbytes, flags)
        except TimeoutError as error:
            if time.monotonic() >= self.end:
                raise _TooSlowError from error
            raise


def allow_hosts(hosts: Iterable[str]) -> None:
    """Allow requests to hosts for the rest of this process (``--allow-host``)."""
    _allowed.update(host.lower() for host in hosts)


def allowed_hosts() -> tuple[str, ...]:
    """Return the allowed hosts, sorted."""
    return tuple(sorted(_allowed))


def forget_hosts() -> None:
    """Allow no host any more."""
    _allowed.clear()


def download(
    url: str, out: BinaryIO, most_bytes: int, *, most_seconds: float = MOST_DOWNLOAD_SECONDS
) -> None:
    """Write the file of a URL into ``out``, an empty file that can seek.

    Args:
        url: the URL, without user name and query.
        out: the file to write to.
        most_bytes: most bytes of the file.
        most_seconds: most seconds of all tries together.

    Raises:
        HttpsError: the host is not allowed or private, the file is missing or too large, or the
            server did not send it in :data:`TRIES` tries.
    """
    end = time.monotonic() + most_seconds
    for number in range(1, TRIES + 1):
        out.seek(0)
        out.truncate()
        try:
            return _download_once(url, out, most_bytes, end)
        except _TooSlowError as error:
            raise HttpsError(f"{url}: not read within {most_seconds:g} s (--timeout)") from error
        except (_PassingError, OSError, http.client.HTTPException) as error:
            why = str(error) or type(error).__name__
            if number == TRIES or time.monotonic() > end:
                times = "once" if number == 1 else f"{number} times"
                raise HttpsError(f"{url}: {why}; tried {times}") from error
        pause = PAUSE_SECONDS * 2 ** (number - 1) * (1 + random.random())
        time.sleep(max(0.0, min(pause, end - time.monotonic())))


def _download_once(url: str, out: BinaryIO, most_bytes: int, end: float) -> None:
    """Send one request, follow its redirects, and write what comes."""
    at = url
    for _ in range(MOST_REDIRECTS + 1):
        parts = urlsplit(at)
        with closing(_connected(at, url, end)) as connection:
            target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
            query = f"?{parts.query}" if parts.query else ""
            connection.request("GET", target + query, headers={"Accept-Encoding": "identity"})
            with connection.getresponse() as answer:
                if answer.status not in _REDIRECTS:
                    _expect_success(url, answer.status)
                    return _copy(url, answer, out, most_bytes, end)
                at = _joined(at, answer.headers.get("Location", ""), url)
    raise HttpsError(f"{url}: more than {MOST_REDIRECTS} redirects")


def _joined(at: str, location: str, url: str) -> str:
    """Return the URL that a redirect names."""
    try:
        found = urljoin(at, location)
        _ = urlsplit(found).port
    except ValueError as error:
        raise HttpsError(f"{url}: it redirects to what is not a URL") from error
    return found


def _expect_success(url: str, status: int) -> None:
    """Raise the error for a status that is not 200."""
    if status in _BUSY:
        raise _PassingError(f"the server answers {status} {http.client.responses.get(status, '')}")
    if status in (404, 410):
        raise HttpsError(f"{url}: no such file ({status})")
    if status != 200:
        word = http.client.responses.get(status, "")
        raise HttpsError(f"{url}: the server answers {status} {word}".rstrip())


def _copy(
    url: str, answer: http.client.HTTPResponse, out: BinaryIO, most_bytes: int, end: float
) -> None:
    """Write the body of an answer."""
    declared = answer.length
    if declared is not None and declared > most_bytes:
        raise HttpsError(
            f"{url}: the file has {declared:,} bytes; at most {most_bytes:,} are read (--max-bytes)"
        )
    written = 0
    while piece := answer.read1(_PIECE_BYTES):
        written += len(piece)
        if written > most_bytes:
            raise HttpsError(f"{url}: the file has more than {most_bytes:,} bytes (--max-bytes)")
        if time.monotonic() > end:
            raise _TooSlowError
        out.write(piece)
    if declared is not None and written < declared:
        raise _PassingError(f"the connection ended after {written:,} of {declared:,} bytes")


def _connected(at: str, url: str, end: float) -> http.client.HTTPSConnection:
    """Connect to the host of a URL, at an address that was checked.

    Args:
        at: the URL of this request, which a redirect may have named.
        url: the URL of the manifest, for messages.
        end: time of the monotonic clock until which the file must be read.
    """
    parts = urlsplit(at)
    port, host = parts.port or 443, (parts.hostname or "").lower()
    what = f"{url}: " + (f"it redirects to {host or 'no host'}, which" if at != url else host)
    if parts.scheme != "https" or parts.username or parts.password or not host:
        raise HttpsError(f"{what} is not read: only https:// without a user name is")
    if host not in _allowed:
        raise HttpsError(f"{what} is not allowed; if you trust it, add --allow-host {host}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise _PassingError(f"the host {host} is not found ({error.strerror})") from error
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    if private := [address for address in addresses if not is_public(address)]:
        raise HttpsError(
            f"{what} has the address {private[0]} of a private, local or special network, which "
            "is never read"
        )
    context = ssl.create_default_context()
    context.sslsocket_class = _TimedSocket
    plain = socket.create_connection((addresses[0], port), timeout=_most_quiet(end))
    try:
        plain.settimeout(_most_quiet(end))
        secure = context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        plain.close()
        raise HttpsError(f"{what} has no valid certificate: {error.verify_message}") from error
    except (OSError, _TooSlowError):
        plain.close()
        raise
    assert isinstance(secure, _TimedSocket)
    secure.end = end
    connection = http.client.HTTPSConnection(host, port)
    connection.sock = secure
    return connection


def _most_quiet(end: float) -> float:
    """Return the seconds that may pass without a byte.

    Raises:
        _TooSlowError: the time is over.
    """
    left = end - time.monotonic()
    if left <= 0:
        raise _TooSlowError
    return min(QUIET_SECONDS, left)


def is_public(address: str) -> bool:
    """Return whether an IP address belongs to the public internet.

    >>> [is_public(a) for a in ("93.184.216.34", "169.254.169.254", "::ffff:10.0.0.1")]
    [True, False, False]
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo or (None, None))[1]
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None and not is_public(str(inner)):
            return False
    if any(ip.version == each.version and ip in each for each in _SPECIAL):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved
