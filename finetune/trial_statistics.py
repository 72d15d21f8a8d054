"""What several trials of a run say together. Imports no TensorFlow."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats

_NUM_RESAMPLES = 10_000
_CONFIDENCE = 0.95


class MetricSummary(NamedTuple):
    """One metric over trials."""

    num_trials: int  # that have a number for it
    mean: float
    median: float
    standard_deviation: float  # of a sample: divided by one trial less; 0 of one trial
    low: float | None  # the mean's 95 % bootstrap confidence interval; None of one trial
    high: float | None


def summarize_trials(values: Sequence[Mapping[str, float]], *, seed: int) -> dict[str, MetricSummary]:
    """Returns the summary of every metric, in the order in which they first occur.

    A trial without a metric, or for which it is no finite number, does not count for this metric; `num_trials` tells.
    A metric that no trial has a number for is left out. All metrics are resampled alike.

    Args:
        values: the metrics of each trial.
        seed: of the resampling; the same values and seed give the same interval.
    """
    names = dict.fromkeys(name for trial in values for name in trial)
    numbers = {name: [trial[name] for trial in values if math.isfinite(trial.get(name, math.nan))] for name in names}
    return {name: _summary(np.array(column, np.float64), seed) for name, column in numbers.items() if column}


def _summary(values: np.ndarray, seed: int) -> MetricSummary:
    """Returns the summary of the values [T] of one metric, at least one."""
    low, high = _mean_interval(values, seed) if len(values) > 1 else (None, None)
    return MetricSummary(
        num_trials=len(values),
        mean=float(np.mean(values)),
        median=float(np.median(values)),
        standard_deviation=float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
        low=low,
        high=high,
    )


def _mean_interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """Returns the percentile bootstrap interval of the mean of values [T] (Efron and Tibshirani 1993, section 13.3)."""
    interval = scipy.stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=_NUM_RESAMPLES,
        confidence_level=_CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)
