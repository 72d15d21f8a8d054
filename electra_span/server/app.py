"""What goes wrong, as JSON: {"error": "..."}, never with a traceback."""

import contextlib
import pathlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp

from electra_span.config import UserError
from electra_span.server import schemas
from electra_span.server.endpoints import ENDPOINTS, Endpoint, check_texts
from electra_span.server.guard import Guard
from electra_span.server.limits import Limits
from electra_span.server.served_models import BusyError, GoneError, ServedModel, Turns, call_with_warnings, find_model

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


_PAGE = pathlib.Path(__file__).parent / "page"


def make_app(
    models: Sequence[ServedModel], needs: Mapping[str, str], limits: Limits, hosts: Collection[str] | None
) -> ASGIApp:
    """Returns the application.

    Args:
        models: at least one, of different names.
        needs: what to load for each command.
        limits: of requests.
        hosts: names by which the server may be called; None for any.
    """
    turns = Turns(limits.max_waiting)
    app = FastAPI(
        title="Electra Span",
        version="1",
        description=_description(limits),
        docs_url=None,  # its pages load what they need from elsewhere
        redoc_url=None,
        exception_handlers=dict(EXCEPTION_HANDLERS),
        lifespan=lambda _: _closing(turns),
    )
    _add_models(app, models, needs, limits)
    for endpoint in ENDPOINTS:
        _add_endpoint(app, endpoint, models, limits, turns)
    app.add_api_route("/", _index, include_in_schema=False)
    app.mount("/page", StaticFiles(directory=_PAGE))
    return Guard(app, limits=limits, hosts=hosts)


def _description(limits: Limits) -> str:
    """Returns what the endpoints have in common, for OpenAPI."""
    return (
        "What the models of this server say of texts. Each POST takes a batch of texts, and gives a result for each, "
        "in order. Places in texts are counted in code points. A request may have "
        f"{limits.max_request_bytes:,} bytes and {limits.max_texts:,} texts of {limits.max_text_length:,} code points."
    )


def _add_models(app: FastAPI, models: Sequence[ServedModel], needs: Mapping[str, str], limits: Limits) -> None:
    """Adds the endpoint that tells which models there are."""
    descriptions = [served.description for served in models]
    told = schemas.Models.model_validate(
        {"models": descriptions, "needs": dict(needs), "limits": limits}, from_attributes=True
    )

    async def tell_models() -> schemas.Models:
        return told

    summary = "The models that are served, and what each can do"
    app.add_api_route("/api/models", tell_models, summary=summary, responses=error_responses(400, 408, 413))


def _add_endpoint(
    app: FastAPI, endpoint: Endpoint, models: Sequence[ServedModel], limits: Limits, turns: Turns
) -> None:
    """Adds the endpoint of a command."""

    async def respond(body: Any, request: Request) -> Response:
        check_texts(body, limits)
        served = find_model(models, body.model, endpoint.command)
        if served is None:
            names = ", ".join(other.description.name for other in models)
            raise HTTPException(404, f"model must be one of {names}. Received: {body.model!r}")

        def ask() -> bytes:
            results, warnings = call_with_warnings(lambda: endpoint.ask(served, body, limits))
            answer = {"model": served.description.name, "warnings": warnings, "results": results}
            return endpoint.response.model_validate(answer).model_dump_json().encode()

        return Response(await turns.call(ask, request.is_disconnected), media_type="application/json")

    respond.__annotations__["body"] = endpoint.request
    app.add_api_route(
        f"/api/{endpoint.command}",
        respond,
        methods=["POST"],
        name=endpoint.command,
        summary=endpoint.summary,
        response_model=endpoint.response,
        dependencies=[Depends(_check_content_type)],
        responses=error_responses(400, 404, 408, 413, 415, 422, 500, 503),
    )


async def _check_content_type(request: Request) -> None:
    """Raises HTTPException for data that is not said to be JSON, as a form on any page may send it."""
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, f"Content-Type must be application/json. Received: {kind!r}")


async def _index() -> FileResponse:
    """Returns the page."""
    return FileResponse(_PAGE / "index.html")


@contextlib.asynccontextmanager
async def _closing(turns: Turns) -> AsyncIterator[None]:
    """Lets no call begin once the server ends."""
    yield
    turns.close()
