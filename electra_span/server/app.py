"""The web application: the JSON endpoints with their description, the page, and what stands before them."""

import contextlib
import pathlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from electra_span.server import schemas
from electra_span.server.endpoints import ENDPOINTS, Endpoint, check_texts
from electra_span.server.errors import EXCEPTION_HANDLERS, error_responses
from electra_span.server.guard import Guard
from electra_span.server.limits import Limits
from electra_span.server.served_models import ServedModel, call_with_warnings, find_model
from electra_span.server.turns import Turns

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
