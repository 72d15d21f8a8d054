"""How much a server takes on at once, as flags of its command. Standard library only."""

import argparse
import dataclasses
import logging
import time
from collections.abc import Callable

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


MESSAGES_A_MINUTE = 20
_SECONDS = 60.0


class MessageLimit(logging.Filter):
    """Lets the first messages of each minute pass, and then says with the next one how many were left out.

    Args:
        most: messages a minute.
        clock: returns seconds that never go back.
    """

    def __init__(self, most: int = MESSAGES_A_MINUTE, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most, self._clock = most, clock
        self._start, self._num_messages = clock(), 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Returns whether a message is logged; changes it where others were left out before."""
        now = self._clock()
        if now - self._start >= _SECONDS:
            left_out = self._num_messages - self._most
            self._start, self._num_messages = now, 0
            if left_out > 0:
                record.msg = f"{record.getMessage()} ({left_out} messages were left out before this one)"
                record.args = ()
        self._num_messages += 1
        return self._num_messages <= self._most


def limit_messages(logger: logging.Logger) -> None:
    """Limits what a logger logs, to MESSAGES_A_MINUTE."""
    if not any(isinstance(each, MessageLimit) for each in logger.filters):
        logger.addFilter(MessageLimit())
