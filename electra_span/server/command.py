"""The command `serve`: its flags, and how it starts. Imports neither TensorFlow nor the web framework for its help."""

import argparse
import contextlib
import importlib.util
import logging
import signal

from electra_span.command_line import whole_number
from electra_span.config import UserError
from electra_span.places import check_input
from electra_span.server.limits import add_limit_flags, limit_messages, read_limits

_NEEDED = ("fastapi", "uvicorn")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    parser.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help="folder of a published model, or one with discriminator/ and generator/ in it",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="where to listen (default: %(default)s, this machine only). Whoever reaches it may use it: no password",
    )
    parser.add_argument(
        "--port", type=whole_number(0, 2**16 - 1), default=8000, help="0 for any that is free (default: %(default)s)"
    )
    add_limit_flags(parser)


def main(arguments: argparse.Namespace) -> None:
    """Serves the models until Ctrl-C or SIGTERM.

    Raises:
        UserError: a package is missing, a model cannot be loaded, or the address cannot be had.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"serve needs {' and '.join(missing)}: pip install 'electra-span[serve]'")
    for model in arguments.models:
        check_input("MODEL", model, expects_folder=True)
    from electra_span.server import listening, served_models

    limits, folders = read_limits(arguments), served_models.find_folders(arguments.models)
    bound = listening.bind(arguments.host, arguments.port)
    print(f"loading {', '.join(folders)}", flush=True)
    models = served_models.load_models(folders)

    from electra_span.inference.signatures import models_needed
    from electra_span.server.app import make_app

    app = make_app(models, models_needed(), limits, listening.allowed_hosts(arguments.host, bound))
    bound.listen(limits.max_connections)
    print(f"listening at {listening.url_of(bound)} (Ctrl-C ends it)", flush=True)
    limit_messages(logging.getLogger("uvicorn.error"))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # uvicorn raises the signal again that ended it
    with contextlib.suppress(KeyboardInterrupt):
        listening.make_server(app, limits).run(sockets=[bound])
    print("ended", flush=True)
