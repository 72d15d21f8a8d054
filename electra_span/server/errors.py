"""What goes wrong, as JSON: {"error": "..."}, never with a traceback."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from electra_span.config import UserError
from electra_span.server import schemas
from electra_span.server.turns import BusyError, GoneError

_SHOWN_MISTAKES = 3
_CLIENT_CLOSED_REQUEST = 499  # nobody reads it

_MEANINGS: Mapping[int, str] = {
    400: "The Host header is none of the server's, or the body cannot be read",
    404: "No such model",
    408: "The request did not arrive in time",
    413: "The request has too many bytes",
    415: "The request is not said to be JSON",
    422: "The request is not as described here, has too many or too long texts, or the model cannot answer it",
    500: "A fault of the server's own",
    503: "The models are busy, and enough requests wait",
}


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Returns what OpenAPI tells of errors."""
    told: dict[int | str, dict[str, Any]] = {
        status: {"model": schemas.Error, "description": _MEANINGS[status]} for status in statuses
    }
    if 503 in told:
        seconds = {"description": "seconds after which to try again", "schema": {"type": "integer"}}
        told[503]["headers"] = {"Retry-After": seconds}
    return told


async def _unlike_schema(request: Request, error: RequestValidationError) -> Response:
    mistakes = [_mistake(found) for found in error.errors()]
    more = f" (and {len(mistakes) - _SHOWN_MISTAKES} more)" if len(mistakes) > _SHOWN_MISTAKES else ""
    return _error(422, "; ".join(mistakes[:_SHOWN_MISTAKES]) + more)


def _mistake(found: Mapping[str, Any]) -> str:
    """Returns where a request is not as it should be, and how."""
    place = found["loc"][1:]  # without "body"
    if found["type"] == "json_invalid":
        return f"the body is not JSON: {found['ctx']['error']} at character {place[0]}"
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    return f"{path or 'the body'}: {found['msg']}"


async def _http_error(request: Request, error: HTTPException) -> Response:
    return _error(error.status_code, str(error.detail), error.headers)


async def _users_mistake(request: Request, error: UserError) -> Response:
    return _error(422, " ".join(str(error).splitlines()))


async def _busy(request: Request, error: BusyError) -> Response:
    seconds = error.retry_seconds
    reason = f"the models are busy, and enough requests wait for them. Try again in {seconds} s"
    return _error(503, reason, {"Retry-After": str(seconds)})


async def _gone(request: Request, error: GoneError) -> Response:
    return _error(_CLIENT_CLOSED_REQUEST, "the client has gone")


async def _own_fault(request: Request, error: Exception) -> Response:
    return _error(500, "the server failed, and says in its terminal why")


def _error(status: int, reason: str, headers: Mapping[str, str] | None = None) -> Response:
    shown = reason.encode("utf-8", "backslashreplace").decode()  # names of fields may be no text
    return JSONResponse({"error": shown}, status, dict(headers or {}))


EXCEPTION_HANDLERS: Mapping[int | type[Exception], Callable[[Request, Any], Any]] = {
    RequestValidationError: _unlike_schema,
    StarletteHTTPException: _http_error,
    UserError: _users_mistake,
    BusyError: _busy,
    GoneError: _gone,
    Exception: _own_fault,
}
