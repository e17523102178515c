"""Connections of the service: how many, how slow they may be, and an end that loses no request."""

import asyncio
import contextlib
import ctypes
import ipaddress
import json
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from emo.errors import OptionError, system_reason
from emo.predict.serve.app import PredictionService
from emo.predict.serve.limits import ServiceLimits

DRAIN_SECONDS = 1.0
"""Seconds after SIGTERM in which connections are still accepted: requests that are on their way
arrive, and /readyz tells balancers to send no more."""
LAST_SECONDS = 0.3
"""Seconds before that end in which the system answers no new connection, while those that it has
answered already are accepted; without it they would be reset."""
BACKLOG = 2048
"""Connections that wait until they are accepted."""
SWITCH_SECONDS = 0.0005
"""Seconds for which a busy thread keeps the interpreter while the thread of the connections waits;
Python's 5 ms would be waited several times a request."""
_HEAD_BYTES = 2**14
"""Most bytes of the head of a request."""
_ATTACH_FILTER = 26
"""Number of the socket option SO_ATTACH_FILTER on Linux, which Python does not name."""


class BoundedProtocol(H11Protocol):
    """A connection that must send its request in time, and may be closed for another one."""

    def __init__(self, *args: Any, limits: ServiceLimits, **named: Any) -> None:
        """Begin without a request."""
        super().__init__(*args, **named)
        self._limits = limits
        self.waits_since = time.monotonic()
        """Moment since which the connection has no complete request."""
        self._head_timer: asyncio.TimerHandle | None = None
        self._is_last = False  # whether the next answer is the last one

    @property
    def is_idle(self) -> bool:
        """Whether no head of a request has come, or the last one is answered."""
        return self.cycle is None or bool(self.cycle.response_complete)

    @property
    def is_waiting(self) -> bool:
        """Whether the connection still has to send something."""
        return self.is_idle or bool(self.cycle.more_body)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection; if there are too many, close the one that waited longest."""
        super().connection_made(transport)
        self._await_head()
        if len(self.connections) > self._limits.connections:
            open_now: list[Any] = list(self.connections)
            others = [each for each in open_now if each.is_waiting]
            oldest = min(others, key=lambda each: float(each.waits_since), default=self)
            self.connections.discard(oldest)
            oldest.transport.abort()

    def _await_head(self) -> None:
        self.waits_since = time.monotonic()
        if self._head_timer is not None:
            self._head_timer.cancel()
        self._head_timer = self.loop.call_later(self._limits.header_seconds, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if self.is_idle and not self.transport.is_closing():
            self.transport.abort()

    def shutdown(self) -> None:
        """End after the answer in hand, or after that to a request that is on its way."""
        self._is_last = True
        if self.cycle is None:
            self.loop.call_later(DRAIN_SECONDS, self._close_if_idle)
        else:
            super().shutdown()

    def handle_events(self) -> None:
        """Take what has come; of a connection that ends, at most one request."""
        super().handle_events()
        if self._is_last and self.cycle is not None:
            self.cycle.keep_alive = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer of the connection."""
        if self._head_timer is not None:
            self._head_timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Wait for the next request on this connection."""
        super().on_response_complete()
        if not self.transport.is_closing():
            self._await_head()

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no request of HTTP, and close."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()
            return
        body = json.dumps({"error": "The bytes are not a request of HTTP."}).encode()
        headers = [
            (b"content-type", b"application/json"), (b"connection", b"close"),
            (b"content-length", str(len(body)).encode()),
        ]  # fmt: skip
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class DrainingServer(uvicorn.Server):
    """A server that goes on for a moment after SIGTERM or ^C, and answers all it has accepted."""

    def __init__(
        self, config: uvicorn.Config, service: PredictionService, listener: socket.socket
    ) -> None:
        """Serve a service on a socket that listens."""
        super().__init__(config)
        self._service, self._listener = service, listener
        self._end = float("inf")

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle SIGTERM and ^C while the block runs; the first one drains, the next one ends."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; a second ^C ends at once."""
        if self._service.is_draining and sig == signal.SIGINT:
            self.should_exit = self.force_exit = True
        self.drain()

    def drain(self) -> None:
        """Tell balancers that the service ends, and end after :data:`DRAIN_SECONDS`."""
        if not self._service.is_draining:
            self._service.is_draining = True
            self._end = time.monotonic() + DRAIN_SECONDS

    async def on_tick(self, counter: int) -> bool:
        """Return whether to end, and close connections after their answers while draining."""
        if self._service.is_draining:
            connections: list[Any] = list(self.server_state.connections)
            for each in connections:
                if each.cycle is not None and not each.cycle.response_complete:
                    each.cycle.keep_alive = False
        left = self._end - time.monotonic()
        if left < LAST_SECONDS:
            refuse_new(self._listener)
        self.should_exit |= left < 0
        return await super().on_tick(counter)


def refuse_new(listener: socket.socket) -> None:
    """Let a listening socket ignore new connections, but finish those that have begun.

    The system drops their first packets, so that a client tries again, and is refused once the
    socket is closed. Linux only; elsewhere connections that come in the last moment are reset.
    """
    if sys.platform != "linux":
        return
    instructions = (
        (0x30, 0, 0, 13),  # load the flags of the TCP header
        (0x54, 0, 0, 0x12),  # keep SYN and ACK
        (0x15, 0, 1, 0x02),  # SYN alone?
        (0x06, 0, 0, 0),  # yes: drop
        (0x06, 0, 0, 0xFFFFFFFF),  # no: take
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in instructions))
    program = struct.pack("HL", len(instructions), ctypes.addressof(code))
    with contextlib.suppress(OSError):  # a sandbox may forbid it
        listener.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: address of this machine.
        port: port; 0: a free one.

    Raises:
        OptionError: the address cannot be taken.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
    except (OSError, OverflowError) as error:
        reason = system_reason(error) if isinstance(error, OSError) else "no such port"
        raise OptionError(
            f"--host {host} --port {port}: {reason}; --port 0 takes a free one"
        ) from error
    found.set_inheritable(False)
    return found


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "10.0.0.1")]
    [True, True, True, False, False]
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve_clips(
    service: PredictionService,
    listener: socket.socket,
    *,
    on_server: Callable[[DrainingServer], None] = lambda server: None,
) -> None:
    """Answer requests until SIGTERM or ^C, and then those that are in hand.

    Args:
        service: the service; it is closed at the end.
        listener: the socket, from :func:`listening_socket`.
        on_server: called with the server before it starts.
    """

    def protocol(*args: Any, **named: Any) -> BoundedProtocol:
        return BoundedProtocol(*args, limits=service.limits, **named)

    config = uvicorn.Config(
        service.app(), http=protocol, ws="none", lifespan="off", loop="asyncio",  # type: ignore[arg-type]
        log_config=None, log_level="critical", access_log=False, server_header=False,
        backlog=BACKLOG, h11_max_incomplete_event_size=_HEAD_BYTES, timeout_keep_alive=10,
    )  # fmt: skip
    interval = sys.getswitchinterval()
    try:
        sys.setswitchinterval(SWITCH_SECONDS)
        server = DrainingServer(config, service, listener)
        on_server(server)
        server.run(sockets=[listener])
    finally:
        sys.setswitchinterval(interval)
        service.close()
