"""What stands before the endpoints: whom the server answers, how large a request is and how long it may take.

All of it is asked before anything is parsed, and the headers that keep a browser within the page go onto every answer.
"""

import asyncio
import urllib.parse
from collections.abc import Collection, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from electra_span.server.limits import Limits

# A body that is refused is read, and dropped, up to so many times the limit: most clients read no answer before they
# have sent everything.
_DROPPED_LIMITS = 8

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class _RefusedError(Exception):
    """A request that no endpoint sees: the status it gets, and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _ClientGoneError(Exception):
    """The connection was closed before the request was whole."""


class Guard:
    """Passes requests that may be answered on to an application, whole.

    Args:
        app: gets them.
        limits: of bytes and seconds are used.
        hosts: names by which the server may be called, in lower case; None for any. A page elsewhere, whose own name
            leads to this machine, is refused by it ("DNS rebinding").
    """

    def __init__(self, app: ASGIApp, *, limits: Limits, hosts: Collection[str] | None) -> None:
        self._app, self._limits, self._hosts = app, limits, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            _check_host(Headers(scope=scope).get("host", ""), self._hosts)
            body = await _read_body(scope, receive, self._limits)
        except _RefusedError as refusal:
            headers = {**_HEADERS, "Connection": "close"}
            response = JSONResponse({"error": str(refusal)}, refusal.status, headers)
            await response(scope, receive, send)
        except _ClientGoneError:
            return
        else:
            await self._app(scope, _receive_again(body, receive), _with_headers(send, _HEADERS))


def _check_host(header: str, hosts: Collection[str] | None) -> None:
    """Raises _RefusedError where a Host header names none of some hosts."""
    try:
        host = urllib.parse.urlsplit(f"//{header}").hostname
    except ValueError:
        host = None
    if hosts is not None and host not in hosts:
        raise _RefusedError(400, f"this server is called {' or '.join(sorted(hosts))}. Received: Host {header!r}")


async def _read_body(scope: Scope, receive: Receive, limits: Limits) -> bytes:
    """Returns the body of a request that is no larger, and no slower, than it may be."""
    headers = Headers(scope=scope)
    declared = headers.get("content-length", "")
    size = int(declared) if declared.isdecimal() else 0
    too_large = _RefusedError(413, f"a request may have {limits.max_request_bytes:,} bytes, and this one has more")
    waits_for_leave = headers.get("expect", "").lower() == "100-continue"
    if size > limits.max_request_bytes * (1 if waits_for_leave else _DROPPED_LIMITS):
        raise too_large
    try:
        async with asyncio.timeout(limits.read_timeout_seconds):
            body = await _receive_body(receive, limits.max_request_bytes)
    except TimeoutError:
        reason = f"the request did not arrive within {limits.read_timeout_seconds:g} seconds"
        raise _RefusedError(408, reason) from None
    if body is None:
        raise too_large
    return body


async def _receive_body(receive: Receive, limit: int) -> bytes | None:
    """Returns a body, None where it has more bytes than the limit."""
    chunks, size = [], 0
    while size <= limit * _DROPPED_LIMITS:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGoneError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks) if size <= limit else None
    return None


def _receive_again(body: bytes, receive: Receive) -> Receive:
    """Returns a channel that gives a body that was read, then what the other one gives."""
    read = iter([body])

    async def receive_again() -> Message:
        for content in read:
            return {"type": "http.request", "body": content, "more_body": False}
        return await receive()

    return receive_again


def _with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    """Returns a channel that adds headers to an answer."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return send_with_headers
