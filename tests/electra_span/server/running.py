"""A server in a thread, and how it is asked."""

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from electra_span.server import listening
from electra_span.server.app import make_app
from electra_span.server.limits import Limits
from electra_span.server.served_models import ServedModel
from tests.electra_span.server.fake_models import NEEDS


class Reply(NamedTuple):
    """What a server answered; body is JSON where it is told to be."""

    status: int
    headers: dict[str, str]
    body: Any


class Server(NamedTuple):
    """A server that listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address of its page."""
        return f"http://{self.host}:{self.port}/"

    def get(self, path: str, **headers: str) -> Reply:
        """Returns what is at a path."""
        return self.request("GET", path, None, headers)

    def post(self, command: str, **fields: Any) -> Reply:
        """Returns what is answered to a command."""
        return self.request(
            "POST", f"/api/{command}", json.dumps(fields).encode(), {"Content-Type": "application/json"}
        )

    def request(self, method: str, path: str, body: Any, headers: dict[str, str], **options: Any) -> Reply:
        """Returns what is answered to any request."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers, **options)
            response = connection.getresponse()
            content = response.read()
            told = {name.lower(): value for name, value in response.getheaders()}
            is_json = told.get("content-type", "").startswith("application/json")
            return Reply(response.status, told, json.loads(content) if is_json else content.decode())


@contextlib.contextmanager
def serving(
    models: Sequence[ServedModel], limits: Limits | None = None, *, hosts: Collection[str] | None = ("127.0.0.1",)
) -> Iterator[Server]:
    """A server of models, as long as the block lasts."""
    limits = limits or Limits()
    bound = listening.bind("127.0.0.1", 0)
    server = listening.make_server(make_app(models, NEEDS, limits, hosts), limits)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    host, port = bound.getsockname()
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield Server(host, port)
    finally:
        server.should_exit = True
        thread.join()
