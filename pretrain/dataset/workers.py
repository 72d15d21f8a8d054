"""Processes that share work, and do again what one of them did not survive. Imports no TensorFlow."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Self, TypeVar

from absl import logging

from electra_span.config import UserError
from pretrain.sources.corpus import with_progress

# So often in a row may processes die without anything getting done.
_MAX_DEATHS = 3
_ITEMS_AHEAD = 4  # a process, so that none waits for the slowest

Item = TypeVar("Item")
Result = TypeVar("Result")


class WorkerError(UserError):
    """Work that its processes do not survive."""


class Workers:
    """Processes that work on items; this process alone, where it is one. A context manager."""

    def __init__(self, num_processes: int) -> None:
        """Starts nothing yet: processes start with the work.

        Args:
            num_processes: how many, at least 1.
        """
        self._num_processes = num_processes
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ends the processes, each after the item that it is at."""
        self._end()

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        label: str,
        sizes: Sequence[int] | None = None,
        unit: str = "B",
    ) -> Iterator[Result]:
        """Yields the function's result for each item, in the items' order, with a progress bar.

        Where a process is killed, what was not done yet is done again in new ones.

        Args:
            function: a function that can be pickled; repeated calls must do no harm.
            items: what to call it with.
            label: what it does, for the progress bar, as "tokenized".
            sizes: how much work each item is; None: items are counted.
            unit: of the sizes.

        Raises:
            WorkerError: where processes are killed three times without an item getting done.
        """
        items = list(items)
        results = map(function, items) if self._num_processes == 1 else self._results(function, items)
        if sizes is None:
            sizes, unit = [1] * len(items), " items"
        yield from with_progress(results, sizes, label, unit)

    def _results(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        futures: dict[int, Future[Result]] = {}
        position = num_done = num_deaths = 0
        while position < len(items):
            try:
                self._submit(function, items, futures, position)
                result = futures[position].result()
            except BrokenProcessPool as error:
                futures = {number: future for number, future in futures.items() if _is_done(future)}
                num_deaths = num_deaths + 1 if num_done == position + len(futures) else 1
                num_done = position + len(futures)
                self._end()
                if num_deaths == _MAX_DEATHS:
                    raise WorkerError(
                        f"A worker process was killed {_MAX_DEATHS} times at the same work, most likely for lack of "
                        f"memory; use fewer than {self._num_processes} processes"
                    ) from error
                logging.warning("a worker process was killed; what it did not finish is done again")
                continue
            del futures[position]
            position += 1
            yield result

    def _submit(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        futures: dict[int, "Future[Result]"],
        position: int,
    ) -> None:
        """Adds a future for each item from the position on that processes may be at soon."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._num_processes,
                mp_context=multiprocessing.get_context("spawn"),  # TensorFlow does not survive a fork
                initializer=_start_worker,
                initargs=(max(1, (os.cpu_count() or 1) // self._num_processes),),
            )
        for number in range(position, min(position + _ITEMS_AHEAD * self._num_processes, len(items))):
            if number not in futures:
                futures[number] = self._pool.submit(function, items[number])


def _is_done(future: "Future[Result]") -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _start_worker(num_threads: int) -> None:
    """Makes a new process ready: it leaves Ctrl-C to its parent, and ends when that is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for kind in ("INTRAOP", "INTEROP"):  # read by TensorFlow when it starts
        os.environ[f"TF_NUM_{kind}_THREADS"] = str(num_threads)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
