"""Hparams that change during training: a number, or a line through points of steps and values."""

import itertools
from collections.abc import Sequence
from typing import Any

Schedule = float | Sequence[Sequence[float]]


def value_at(schedule: Schedule, step: Any) -> Any:
    """Returns the value in force at a step: the number that is the schedule, or float32 [] on the line.

    Args:
        schedule: a number; or [[step, value], ...] with rising steps, straight between two points, and level before
            the first and behind the last.
        step: integer tensor [], the number of updates before.
    """
    if not isinstance(schedule, Sequence):
        return schedule
    import tensorflow as tf  # configurations know schedules, too, and do not wait for it

    step = tf.cast(step, tf.float32)
    value = tf.constant(schedule[0][1], tf.float32)
    for (start, before), (end, after) in itertools.pairwise(schedule):
        value += (after - before) * tf.clip_by_value((step - start) / (end - start), 0.0, 1.0)
    return value


def values_of(schedule: Schedule) -> list[float]:
    """Returns the values at a schedule's points, in order: between them there is none larger or smaller."""
    return [value for _, value in schedule] if isinstance(schedule, Sequence) else [schedule]
