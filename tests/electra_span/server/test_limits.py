"""What a server refuses, and what it lets wait."""

import concurrent.futures
import contextlib
import http.client
import json
import re
import socket
import time

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")

from electra_span.server.limits import Limits
from tests.electra_span.server.fake_models import FakeModel, served
from tests.electra_span.server.running import serving

LIMITS = Limits(
    max_request_bytes=1000,
    max_texts=3,
    max_text_length=30,
    max_embedding_numbers=8,
    max_waiting=1,
    max_connections=20,
)
HEAD = b"POST /api/replaced HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server():
    with serving([served("fake")], LIMITS) as server:
        yield server


@contextlib.contextmanager
def raw_connection(server):
    with socket.create_connection((server.host, server.port), timeout=10) as connection:
        yield connection


def read_all(connection: socket.socket) -> bytes:
    """Returns what arrives until the connection is closed from the other side."""
    with contextlib.suppress(ConnectionResetError):
        return b"".join(iter(lambda: connection.recv(4096), b""))
    return b""


def test_bodies_over_the_limit_are_refused_however_they_come(server):
    body = b'{"texts": ["' + b"a" * 2000 + b'"]}'
    whole = server.request("POST", "/api/replaced", body, JSON)
    chunked = server.request("POST", "/api/replaced", iter([body[:700], body[700:]]), JSON, encode_chunked=True)
    assert whole.status == chunked.status == 413
    assert whole.body == chunked.body == {"error": "a request may have 1,000 bytes, and this one has more"}


def test_bodies_of_no_end_are_not_read_to_it(server):
    with raw_connection(server) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(9):  # of 1,000 bytes: 8 limits are dropped
            connection.sendall(b"3e8\r\n" + b" " * 1000 + b"\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 413 ")
    with raw_connection(server) as connection:
        connection.sendall(HEAD + b"Content-Length: 99999999999\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_asks_first_is_told_not_to_send(server):
    with raw_connection(server) as connection:
        connection.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("command", "fields", "error"),
    [
        ("replaced", {"texts": ["a"] * 4}, "texts: a request may have 3. Received: 4"),
        ("replaced", {"texts": ["a", "🐈" * 31]}, "texts[1]: a text may have 30 characters. Received: 31"),
        ("classify", {"texts": ["a"], "pairs": ["b" * 31]}, "pairs[0]: a text may have 30 characters. Received: 31"),
        (
            "answer",
            {"questions": ["a"], "contexts": ["b" * 40]},
            "contexts[0]: a text may have 30 characters. Received: 40",
        ),
    ],
)
def test_too_many_or_too_long_texts_are_refused(server, command, fields, error):
    reply = server.post(command, **fields)
    assert (reply.status, reply.body) == (422, {"error": error})


def test_length_of_texts_is_counted_in_code_points(server):
    assert server.post("replaced", texts=["🐈" * 30]).status == 200


def test_vectors_of_too_many_numbers_are_refused(server):
    assert server.post("embed", texts=["a b"], pooling="none").status == 200
    reply = server.post("embed", texts=["a b c"], pooling="none")
    assert reply.status == 422
    assert "may have 8 numbers in all. Received: texts with 9" in reply.body["error"]


def test_slow_requests_are_ended():
    body = HEAD + b"Content-Length: 20\r\n\r\n{"
    with (
        serving([served("fake")], Limits(read_timeout_seconds=0.6)) as server,
        raw_connection(server) as silent,
        raw_connection(server) as slow_head,
        raw_connection(server) as slow_body,
    ):
        slow_head.sendall(body[:13])
        slow_body.sendall(body)
        assert read_all(silent) == read_all(slow_head) == b""
        answer = read_all(slow_body)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"the request did not arrive within 0.6 seconds" in answer


def test_an_answer_that_is_not_read_is_dropped():
    body = json.dumps({"texts": ["a " * 10_000] * 20}).encode()  # whose answer is larger than what sockets hold
    with (
        serving([served("fake")], Limits(read_timeout_seconds=0.6)) as server,
        socket.socket() as connection,
    ):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((server.host, server.port))
        connection.settimeout(20)
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        size = int(re.search(rb"content-length: (\d+)", connection.recv(1000)).group(1))
        time.sleep(1.5)
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(2**20):
                size -= len(part)
        assert size > 1_000_000


def test_connections_that_are_in_use_are_kept():
    with serving([served("fake")], Limits(read_timeout_seconds=1.5)) as server:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
        with contextlib.closing(connection):
            connection.connect()
            opened = connection.sock
            for _ in range(3):
                time.sleep(0.6)  # in all, longer than the timeout
                connection.request("GET", "/api/models")
                assert connection.getresponse().read()
            assert connection.sock is opened


def test_one_call_runs_a_bounded_number_waits_and_others_come_again():
    model = FakeModel()
    with serving([served("fake", model=model)], LIMITS) as server, concurrent.futures.ThreadPoolExecutor() as pool:
        try:
            running = pool.submit(server.post, "replaced", texts=["wait"])
            assert model.has_begun.wait(10)
            others = [pool.submit(server.post, "replaced", texts=["other"]) for _ in range(3)]
            answered = concurrent.futures.as_completed(others)
            for refused in (next(answered).result(), next(answered).result()):
                assert refused.status == 503
                assert int(refused.headers["retry-after"]) >= 1
                assert refused.body["error"].startswith("the models are busy")
            assert model.num_calls == 1
            assert server.get("/api/models").status == 200
        finally:
            model.may_go_on.set()
        assert running.result().status == next(answered).result().status == 200
        assert model.num_calls == 2
        assert server.post("replaced", texts=["next"]).status == 200


def test_a_client_that_has_gone_by_its_turn_costs_no_call():
    model = FakeModel()
    body = b'{"texts": ["gone"]}'
    with serving([served("fake", model=model)], LIMITS) as server, concurrent.futures.ThreadPoolExecutor() as pool:
        try:
            running = pool.submit(server.post, "replaced", texts=["wait"])
            assert model.has_begun.wait(10)
            with raw_connection(server) as connection:
                connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
                let_events_pass(server)
                assert server.post("replaced", texts=["full"]).status == 503
            let_events_pass(server)
        finally:
            model.may_go_on.set()
        assert running.result().status == 200
        assert server.post("replaced", texts=["next"]).status == 200
    assert model.num_calls == 2


def let_events_pass(server):
    """Returns once the server has seen what was sent before: its events come in turn."""
    for _ in range(5):
        server.get("/api/models")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "localhost", "[", ""])
def test_other_names_of_the_server_are_refused(server, host):
    reply = server.get("/api/models", Host=host)
    assert reply.status == 400
    assert reply.body == {"error": f"this server is called 127.0.0.1. Received: Host {host!r}"}


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_a_form_of_another_page_could_send_is_refused(server, kind):
    reply = server.request("POST", "/api/replaced", b'{"texts": ["a"]}', {"Content-Type": kind})
    assert reply.status == 415
    assert reply.body == {"error": f"Content-Type must be application/json. Received: {kind!r}"}


def test_answers_keep_a_browser_within_the_page(server):
    for reply in (
        server.get("/"),
        server.get("/none"),
        server.get("/", Host="other"),
        server.post("replaced", texts=["fail"]),
    ):
        assert reply.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert not [name for name in reply.headers if name.startswith("access-control")]
