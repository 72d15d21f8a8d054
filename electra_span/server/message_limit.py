"""A limit of the messages that a server logs, which whoever reaches it could make it write without end."""

import logging
import time
from collections.abc import Callable

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
