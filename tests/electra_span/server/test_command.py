"""The command that starts a server."""

import argparse
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from electra_span.config import UserError
from electra_span.server import command
from electra_span.server.limits import Limits, read_limits


def parse(*words):
    parser = argparse.ArgumentParser(exit_on_error=False)
    command.add_arguments(parser)
    return parser.parse_args(words)


def test_defaults_are_the_limits_own_and_this_machine_only():
    arguments = parse("model")
    assert read_limits(arguments) == Limits()
    assert (arguments.host, arguments.port) == ("127.0.0.1", 8000)


def test_limits_are_flags():
    arguments = parse("a", "b", "--max-texts", "3", "--max-waiting", "0", "--read-timeout-seconds", "1.5")
    assert arguments.models == ["a", "b"]
    assert read_limits(arguments) == Limits(max_texts=3, max_waiting=0, read_timeout_seconds=1.5)


@pytest.mark.parametrize(
    ("flag", "value", "rule"),
    [
        ("--port", "65536", "must be a whole number from 0 to 65535"),
        ("--port", "-1", "must be a whole number from 0 to 65535"),
        ("--max-texts", "0", "must be a whole number from 1"),
        ("--max-waiting", "-1", "must be a whole number from 0"),
        ("--max-request-bytes", "1e6", "must be a whole number from 1"),
        ("--read-timeout-seconds", "nan", "must be a number above 0"),
    ],
)
def test_limits_that_cannot_be_are_mistakes(flag, value, rule):
    with pytest.raises(argparse.ArgumentError, match=rf"{rule}.* Received: '{value}'"):
        parse("model", f"{flag}={value}")


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(UserError, match=r"serve needs uvicorn: pip install 'electra-span\[serve\]'"):
        command.main(parse("model"))


def test_help_and_mistakes_need_no_tensorflow(tmp_path):
    for module in ("tensorflow", "keras"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('TensorFlow was imported')", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "electra_span", "serve", *words],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )

    shown = run("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "--max-request-bytes" in shown.stdout
    pytest.importorskip("fastapi", reason="needs the extra serve")
    mistaken = run("none")
    assert mistaken.returncode == 2
    assert mistaken.stderr.splitlines()[-1].startswith("error: MODEL: none: No such file")


def test_an_address_that_cannot_be_had_is_a_mistake():
    pytest.importorskip("fastapi", reason="needs the extra serve")
    from electra_span.server import listening

    with listening.bind("127.0.0.1", 0) as bound:
        bound.listen()
        port = bound.getsockname()[1]
        with pytest.raises(UserError, match=rf"cannot listen at 127\.0\.0\.1, port {port}: .*Choose another --port"):
            listening.bind("127.0.0.1", port)
    with pytest.raises(UserError, match=r"--host must be a name or address of this machine\. Received: 'no host'"):
        listening.bind("no host", 0)


def test_only_servers_of_this_machine_alone_ask_by_which_name_they_are_called():
    pytest.importorskip("fastapi", reason="needs the extra serve")
    from electra_span.server import listening

    with listening.bind("localhost", 0) as bound:
        assert {"localhost", bound.getsockname()[0]} == listening.allowed_hosts("localhost", bound)
        assert re.fullmatch(r"http://(127\.0\.0\.1|\[::1\]):\d+/", listening.url_of(bound))
    with listening.bind("0.0.0.0", 0) as bound:
        assert listening.allowed_hosts("0.0.0.0", bound) is None
        assert listening.url_of(bound) == f"http://{socket.gethostname()}:{bound.getsockname()[1]}/"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_starts_answers_and_ends(tmp_path, number):
    pytest.importorskip("fastapi", reason="needs the extra serve")
    from electra_span.published.save_load import save_pretrained
    from tests.electra_span.inference.tiny_text_models import make_text_model

    model = make_text_model("discriminator")
    save_pretrained(model, model.tokenizer, tmp_path / "tiny")
    started = [sys.executable, "-m", "electra_span", "serve", str(tmp_path / "tiny"), "--port", "0"]
    with subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout.readline() == "loading tiny\n"
            address = re.match(r"listening at http://(127\.0\.0\.1:\d+)/", process.stdout.readline()).group(1)
            assert tokens_of("the cat sat", address) == ["the", "cat", "sat"]
            process.send_signal(number)
            assert process.stdout.read() == "ended\n"
            assert process.wait() == 0
        finally:
            process.kill()


def tokens_of(text, address):
    """Returns the tokens that a server sees in a text."""
    connection = http.client.HTTPConnection(address, timeout=120)
    with contextlib.closing(connection):
        connection.request("POST", "/api/replaced", json.dumps({"texts": [text]}), {"Content-Type": "application/json"})
        (tokens,) = json.loads(connection.getresponse().read())["results"]
    return [token["token"] for token in tokens]
