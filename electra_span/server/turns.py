"""One call of a model at a time, in a thread of its own, while a bounded number of others wait."""

import asyncio
import concurrent.futures
import math
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

_Result = TypeVar("_Result")


class BusyError(Exception):
    """As many calls wait as may.

    Attributes:
        retry_seconds: after which there may be room.
    """

    def __init__(self, retry_seconds: int) -> None:
        super().__init__(retry_seconds)
        self.retry_seconds = retry_seconds


class GoneError(Exception):
    """Nobody waits for the result any more."""


class Turns:
    """Calls take turns, in the order in which they came.

    Args:
        max_waiting: how many wait beside the one that runs.
    """

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting, self._num_calls, self._last_seconds = max_waiting, 0, 1.0
        self._turn = asyncio.Lock()
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="model")

    async def call(self, function: Callable[[], _Result], is_gone: Callable[[], Awaitable[bool]]) -> _Result:
        """Returns what a function returns, called in the thread.

        Args:
            function: is not called where the client has gone by its turn; once it runs, it runs to its end.
            is_gone: tells whether the client has.

        Raises:
            BusyError: too many wait.
            GoneError: the client has gone.
        """
        if self._num_calls > self._max_waiting:
            raise BusyError(max(1, math.ceil(self._num_calls * self._last_seconds)))
        self._num_calls += 1
        try:
            async with self._turn:
                if await is_gone():
                    raise GoneError
                start = time.monotonic()
                result = await asyncio.get_running_loop().run_in_executor(self._thread, function)
                self._last_seconds = time.monotonic() - start
                return result
        finally:
            self._num_calls -= 1

    def close(self) -> None:
        """Ends the thread when its call has ended."""
        self._thread.shutdown(wait=False, cancel_futures=True)
