"""Measuring some who take turns, a few steps each: a machine whose speed drifts changes all of them."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Times(NamedTuple):
    """What a step took: seconds by the clock, and of the processor, all threads together."""

    seconds: float
    processor_seconds: float


class Contender(NamedTuple):
    """One of those that take turns.

    Attributes:
        batches: that it is measured on, or their numbers.
        run: runs some of them and returns the `Times` of each.
    """

    batches: Sequence[Any]
    run: Callable[[Sequence[Any]], Sequence[Sequence[float]]]


def take_turns(contenders: dict[str, Contender], *, num_rounds: int, num_turns: int) -> dict[str, np.ndarray]:
    """Returns the `Times` of every batch of every contender in every round, [num_rounds, num_batches, 2] by name."""
    times: dict[str, list[Sequence[float]]] = {name: [] for name in contenders}
    for _, turn in itertools.product(range(num_rounds), range(num_turns)):
        for name, (batches, run) in contenders.items():
            times[name] += run(batches[len(batches) * turn // num_turns : len(batches) * (turn + 1) // num_turns])
    return {name: np.reshape(values, [num_rounds, -1, 2]) for name, values in times.items()}


def settled(times: np.ndarray) -> np.ndarray:
    """Returns the mean `Times` [2] of a batch once all is traced and compiled, without the first round."""
    return np.quantile(times[1:], 0.25, axis=0).mean(axis=0)


def spread(sizes: Sequence[int], number: int) -> list[int]:
    """Returns the indices of that many batches with sizes like those of all: the middles of equal parts, mixed."""
    middles = (np.arange(number) + 0.5) * len(sizes) / number
    chosen = np.argsort(sizes, kind="stable")[middles.astype(int)]
    return np.random.default_rng(0).permutation(chosen).tolist()
