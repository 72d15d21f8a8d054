"""The socket of a server, and the connections to it."""

import asyncio
import ipaddress
import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from electra_span.config import UserError
from electra_span.server.limits import Limits

_SHUTDOWN_SECONDS = 5


class TimedProtocol(H11Protocol):
    """A connection that is closed where no request begins in time, or an answer is not read."""

    read_timeout_seconds = 20.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins to wait for the first request."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops waiting."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Begins to wait for the next request."""
        self._wait_for_request()
        super().on_response_complete()

    def _wait_for_request(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(self.read_timeout_seconds, self._close_without_request)

    def _close_without_request(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()


def bind(host: str, port: int) -> socket.socket:
    """Returns a socket of its own at an address, which does not listen yet.

    Args:
        host: a name or an address of this machine.
        port: 0 for any that is free.

    Raises:
        UserError: the address cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise UserError(f"--host must be a name or address of this machine. Received: {host!r} ({error})") from error
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise UserError(
            f"cannot listen at {host}, port {port}: {error.strerror}. Choose another --port, or 0 for any that is free"
        ) from error
    return bound


def url_of(bound: socket.socket) -> str:
    """Returns the address of a socket's page: by the machine's name where it listens to all of its addresses."""
    host, port = bound.getsockname()[:2]
    if _address(bound).is_unspecified:
        host = socket.gethostname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def allowed_hosts(host: str, bound: socket.socket) -> frozenset[str] | None:
    """Returns the names by which a server may be called: its machine's own, where it listens to that alone; else any.

    Args:
        host: as it was given.
        bound: the socket.
    """
    address = _address(bound)
    if not address.is_loopback:
        return None
    return frozenset({"localhost", str(address), host.lower()})


def _address(bound: socket.socket) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Returns the address that a socket is bound to."""
    return ipaddress.ip_address(bound.getsockname()[0].partition("%")[0])


def make_server(app: ASGIApp, limits: Limits) -> uvicorn.Server:
    """Returns a server, which `run(sockets=[bound])` starts, and a signal or `should_exit` ends.

    Args:
        app: what answers.
        limits: of connections and seconds are used.
    """
    protocol = type("Protocol", (TimedProtocol,), {"read_timeout_seconds": limits.read_timeout_seconds})
    options: dict[str, Any] = {
        "http": protocol,
        "ws": "none",
        "limit_concurrency": limits.max_connections,
        "timeout_graceful_shutdown": _SHUTDOWN_SECONDS,
        "proxy_headers": False,
        "server_header": False,
        "access_log": False,
        "log_config": None,
        "log_level": "warning",
    }
    return uvicorn.Server(uvicorn.Config(app, **options))
