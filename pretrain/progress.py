"""Progress of long work: a bar with rate and time left on a terminal, ten lines of the same in a log."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from absl import logging
from tqdm import tqdm

_NUM_LINES = 10

Result = TypeVar("Result")


def with_progress(results: Iterable[Result], sizes: Sequence[int], label: str, unit: str = "B") -> Iterator[Result]:
    """Yields the results, and shows how far they have come, each when the next one is asked for.

    Args:
        results: one for each size.
        sizes: how much work each result stands for.
        label: what is done to it, as "tokenized".
        unit: of the sizes.
    """
    sized = zip(results, sizes, strict=True)
    if not sys.stderr.isatty():
        yield from _with_lines(sized, sum(sizes), label, unit)
        return
    with tqdm(desc=label, total=sum(sizes), unit=unit, unit_scale=True) as bar:
        for result, size in sized:
            yield result
            bar.update(size)


def _with_lines(sized: Iterable[tuple[Result, int]], total: int, label: str, unit: str) -> Iterator[Result]:
    start = time.monotonic()
    num_done = num_lines = 0
    for result, size in sized:
        yield result
        num_done += size
        if num_done * _NUM_LINES >= (num_lines + 1) * total:
            num_lines = num_done * _NUM_LINES // max(1, total)
            seconds = max(time.monotonic() - start, 1e-6)
            left = tqdm.format_interval(seconds * (total - num_done) / max(1, num_done))
            amounts = [tqdm.format_sizeof(number) + unit for number in (num_done, total, num_done / seconds)]
            logging.info("%s %s of %s, %s/s, %s left", label, *amounts, left)
