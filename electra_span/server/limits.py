"""How much a server takes on at once, as flags of its command. Standard library only."""

import argparse
import dataclasses

from electra_span.command_line import number, whole_number


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What a server takes: of one request, and of all at a time.

    The help of each flag is its field's `metadata`.
    """

    max_request_bytes: int = dataclasses.field(default=2**20, metadata={"help": "bytes of a request's body"})
    max_texts: int = dataclasses.field(default=64, metadata={"help": "texts of a request, or questions"})
    max_text_length: int = dataclasses.field(default=20_000, metadata={"help": "code points of a text"})
    max_embedding_numbers: int = dataclasses.field(
        default=1_000_000, metadata={"help": "numbers in the vectors that answer a request"}
    )
    max_waiting: int = dataclasses.field(
        default=16, metadata={"help": "requests that wait while the models are busy; more are told to come again"}
    )
    max_connections: int = dataclasses.field(default=128, metadata={"help": "connections that are open at a time"})
    read_timeout_seconds: float = dataclasses.field(
        default=20.0, metadata={"help": "seconds in which a client has to send its request, and to read the answer"}
    )


def add_limit_flags(parser: argparse.ArgumentParser) -> None:
    """Adds a flag for each limit."""
    group = parser.add_argument_group("limits")
    for field in dataclasses.fields(Limits):
        kind = number(0, above=True) if field.type is float else whole_number(0 if field.name == "max_waiting" else 1)
        shown = f"{field.metadata['help']} (default: {field.default:,})"
        group.add_argument(_flag(field.name), type=kind, default=field.default, metavar="N", help=shown)


def read_limits(arguments: argparse.Namespace) -> Limits:
    """Returns the limits that parsed flags say."""
    return Limits(**{field.name: getattr(arguments, field.name) for field in dataclasses.fields(Limits)})


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
